// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// Reasons of the condition metallb.io/Announced, beside those for which nodes do
// not announce a Service.
const (
	// ReasonAnnounced: each address is announced, over each protocol that an
	// advertisement asks for.
	ReasonAnnounced intent.Reason = "Announced"
	// ReasonPartlyAnnounced: some address is announced; another one is not, or
	// not over one of the two protocols.
	ReasonPartlyAnnounced intent.Reason = "PartlyAnnounced"
	// ReasonNoSessionEstablished: nodes mean to announce it over BGP, and none of
	// the sessions that would carry it is Established.
	ReasonNoSessionEstablished intent.Reason = "NoSessionEstablished"
)

// Announced is what the condition metallb.io/Announced of a Service is to say. It
// does not change once made.
type Announced struct {
	// Addresses that it is about, sorted.
	Addresses []netip.Addr
	Status    metav1.ConditionStatus
	Reason    intent.Reason
	Message   string
}

// Said reports whether svc's condition already says a; nil: that it has none.
func (a *Announced) Said(svc *corev1.Service) bool {
	have := Find(svc.Status.Conditions, v1beta1.ConditionAnnounced)
	if a == nil || have == nil {
		return a == nil && have == nil
	}
	return have.Status == a.Status && have.Reason == string(a.Reason) && have.Message == a.Message
}

// Equal reports whether both say the same of the same addresses; nil says nothing.
func (a *Announced) Equal(o *Announced) bool {
	if a == nil || o == nil {
		return a == o
	}
	return a.Status == o.Status && a.Reason == o.Reason && a.Message == o.Message && slices.Equal(a.Addresses, o.Addresses)
}

// among reports whether all addresses that a is about are among addresses, and
// whether those are all.
func (a *Announced) among(addresses []netip.Addr) (among, all bool) {
	for _, addr := range a.Addresses {
		if !slices.Contains(addresses, addr) {
			return false, false
		}
	}
	return true, len(addresses) == len(a.Addresses)
}

// settled reports whether svc's condition is as it is to be while svc has those
// addresses. A nil a says nothing yet, and what svc says stays.
func (a *Announced) settled(svc *corev1.Service, addresses []netip.Addr) bool {
	if a == nil {
		return true
	}
	switch among, all := a.among(addresses); {
	case all:
		return a.Said(svc)
	case among:
		return true // what it says of them is still so
	}
	return Find(svc.Status.Conditions, v1beta1.ConditionAnnounced) == nil
}

// condition returns the condition that svc is to have while it has those addresses;
// nil: none.
func (a *Announced) condition(svc *corev1.Service, addresses []netip.Addr, now time.Time) *metav1.Condition {
	have := Find(svc.Status.Conditions, v1beta1.ConditionAnnounced)
	if len(addresses) == 0 {
		return nil
	}
	if a == nil {
		return have
	}
	switch among, all := a.among(addresses); {
	case all:
		made := condition(v1beta1.ConditionAnnounced, a.Status, a.Reason, a.Message)
		made = Since(svc.Status.Conditions, made, now)
		return &made
	case among:
		return have
	}
	return nil
}

// place is where one address is announced from.
type place struct {
	bgp, layer2         string        // nodes and what they do it with; empty: nowhere
	noBGP, noLayer2     plan.Obstacle // why not, where those are empty
	wantBGP, wantLayer2 bool          // and it is meant to be
}

func (p *place) announced() bool { return p.bgp != "" || p.layer2 != "" }

// whole reports whether it is announced in all ways in which it is to be.
func (p *place) whole() bool { return p.announced() && !p.wantBGP && !p.wantLayer2 }

// obstacle is why an address is announced nowhere.
func (p *place) obstacle() plan.Obstacle {
	switch {
	case p.wantBGP && p.wantLayer2 && p.noBGP.Message == p.noLayer2.Message:
		return plan.Obstacle{Reason: p.noBGP.Reason, Message: "not announced over bgp and layer2: " + p.noBGP.Message}
	case p.wantBGP && p.wantLayer2:
		return plan.Obstacle{Reason: p.noBGP.Reason, Message: "not announced over bgp: " + p.noBGP.Message + "; nor over layer2: " + p.noLayer2.Message}
	case p.wantBGP:
		return plan.Obstacle{Reason: p.noBGP.Reason, Message: "not announced over bgp: " + p.noBGP.Message}
	case p.wantLayer2:
		return plan.Obstacle{Reason: p.noLayer2.Reason, Message: "not announced over layer2: " + p.noLayer2.Message}
	case p.noBGP == p.noLayer2: // no pool
		return plan.Obstacle{Reason: p.noBGP.Reason, Message: "not announced: " + p.noBGP.Message}
	case p.noLayer2.Reason == plan.ServiceNotSelected && p.noBGP.Reason != plan.ServiceNotSelected:
		return plan.Obstacle{Reason: p.noLayer2.Reason, Message: "not announced: " + p.noLayer2.Message}
	case p.noBGP.Reason == plan.ServiceNotSelected && p.noLayer2.Reason != plan.ServiceNotSelected:
		return plan.Obstacle{Reason: p.noBGP.Reason, Message: "not announced: " + p.noBGP.Message}
	}
	return plan.Obstacle{Reason: p.noBGP.Reason, Message: "not announced: " + p.noBGP.Message + "; " + p.noLayer2.Message + "; write an advertisement that does"}
}

// text says it of an address, behind that.
func (p *place) text() string {
	if !p.announced() {
		return p.obstacle().Message
	}
	var parts []string
	for _, part := range []string{p.bgp, p.layer2} {
		if part != "" {
			parts = append(parts, "from "+part)
		}
	}
	text := strings.Join(parts, "; ")
	if p.wantBGP {
		text += "; not over bgp: " + p.noBGP.Message
	}
	if p.wantLayer2 {
		text += "; not over layer2: " + p.noLayer2.Message
	}
	return text
}

// announcedOf makes the verdict out of the places of a Service's addresses.
func announcedOf(addresses []netip.Addr, places []place) *Announced {
	a := &Announced{Addresses: addresses, Status: metav1.ConditionFalse, Reason: ReasonAnnounced}
	var texts []string
	var about [][]netip.Addr
	for i := range places {
		p := &places[i]
		if p.announced() {
			a.Status = metav1.ConditionTrue
		}
		if !p.whole() {
			a.Reason = ReasonPartlyAnnounced
		}
		text := p.text()
		if at := slices.Index(texts, text); at >= 0 {
			about[at] = append(about[at], addresses[i])
			continue
		}
		texts, about = append(texts, text), append(about, []netip.Addr{addresses[i]})
	}
	if a.Status == metav1.ConditionFalse {
		a.Reason = places[0].obstacle().Reason
	}
	for i := range texts {
		texts[i] = joined(about[i], " and ") + " " + texts[i]
	}
	a.Message = bounded(strings.Join(texts, "; "), maxMessage)
	return a
}

// over names nodes and what they announce with; ten of each and a count.
func over(nodes []string, protocol, kind string, with []string) string {
	if len(with) == 0 {
		return fmt.Sprintf("%s over %s (all %s)", List(nodes), protocol, kind)
	}
	return fmt.Sprintf("%s over %s (%s %s)", List(nodes), protocol, kind, List(with))
}

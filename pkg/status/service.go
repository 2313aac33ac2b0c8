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
	"metallb.io/metallb-frr/pkg/ipam"
)

// ReasonAssigned: the Service has the addresses that it is to have.
const ReasonAssigned intent.Reason = "Assigned"

// Service is what the controller writes on a Service. The zero value is that of
// one that is no load balancer of ours.
type Service struct {
	// Addresses for status.loadBalancer.ingress, in this order.
	Addresses []netip.Addr
	// Pool they come from, for the annotation; empty removes it.
	Pool string
	// Remember are the sets of addresses for the annotation metallb.io/last-ips, in
	// this order; none removes it.
	Remember [][]netip.Addr
	// SharedAs is the annotation metallb.io/shared-as; empty removes it.
	SharedAs string
	// Condition metallb.io/AddressAssigned; nil removes it.
	Condition *metav1.Condition
	// Conflict is the condition metallb.io/AddressConflict; nil removes it.
	Conflict *metav1.Condition
	// Announced is the condition metallb.io/Announced; nil removes it.
	Announced *metav1.Condition
}

// ForService returns what to write on svc for the outcome of address assignment,
// the addresses that other stations have, and where it is announced from; nil: that
// is not known, and what svc says stays.
func ForService(svc *corev1.Service, out ipam.Outcome, conflicts *Conflicts, announced *Announced, now time.Time) Service {
	want := Service{
		Addresses: out.Addresses, Pool: out.Pool, Remember: out.Remember, SharedAs: out.SharedAs,
		Conflict:  conflicts.condition(svc, out.Addresses, now),
		Announced: announced.condition(svc, out.Addresses, now),
	}
	c := metav1.Condition{
		Type: v1beta1.ConditionAddressAssigned, Status: metav1.ConditionTrue,
		Reason: string(ReasonAssigned), Message: fmt.Sprintf("%s from pool %s", joined(out.Addresses, ", "), out.Pool),
	}
	switch {
	case len(out.Addresses) == 0:
		c = condition(c.Type, metav1.ConditionFalse, out.Reason, out.Message)
	case out.Reason != "":
		c = condition(c.Type, metav1.ConditionTrue, out.Reason, c.Message+"; "+out.Message)
	}
	c = Since(svc.Status.Conditions, c, now)
	if c.Status == metav1.ConditionTrue && !holdsAny(svc, out.Addresses) {
		// The age of the claim is that of the addresses, not of having some.
		c.LastTransitionTime = metav1.NewTime(now.UTC().Truncate(time.Second))
	}
	want.Condition = &c
	return want
}

func joined(addresses []netip.Addr, separator string) string {
	words := make([]string, len(addresses))
	for i, a := range addresses {
		words[i] = a.String()
	}
	return strings.Join(words, separator)
}

func holdsAny(svc *corev1.Service, addresses []netip.Addr) bool {
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if a, err := netip.ParseAddr(in.IP); err == nil && slices.Contains(addresses, a.Unmap()) {
			return true
		}
	}
	return false
}

// SameAddresses reports whether svc's ingress is exactly s.Addresses. The order
// and what else is in an entry (the API server adds ipMode) do not count, a
// hostname does.
func (s Service) SameAddresses(svc *corev1.Service) bool { return sameAddresses(svc, s.Addresses) }

func sameAddresses(svc *corev1.Service, addresses []netip.Addr) bool {
	ingress := svc.Status.LoadBalancer.Ingress
	if len(ingress) != len(addresses) {
		return false
	}
	for i := range ingress {
		in := &ingress[i]
		a, err := netip.ParseAddr(in.IP)
		if err != nil || in.Hostname != "" || len(in.Ports) > 0 || !slices.Contains(addresses, a) {
			return false
		}
	}
	return true
}

// Settled reports, without building anything, whether svc is as ForService wants
// it for an outcome that is all well, no conflict and announced. It is what nearly all
// Services are in each pass. What they remember and share as is in out.Changed;
// text there that means nothing is written anew with the next change.
func Settled(svc *corev1.Service, out *ipam.Outcome, conflicts *Conflicts, announced *Announced) bool {
	if out.Changed || out.Reason != "" || len(out.Addresses) == 0 || !sameAddresses(svc, out.Addresses) || conflicts.among(out.Addresses) ||
		!announced.settled(svc, out.Addresses) {
		return false
	}
	c := Find(svc.Status.Conditions, v1beta1.ConditionAddressAssigned)
	return Find(svc.Status.Conditions, v1beta1.ConditionAddressConflict) == nil && c != nil && c.Status == metav1.ConditionTrue && c.Reason == string(ReasonAssigned) &&
		svc.Annotations[v1beta1.AnnotationAllocatedFromPool] == out.Pool
}

// serviceKeys are those of Annotations.
var serviceKeys = [...]string{v1beta1.AnnotationAllocatedFromPool, v1beta1.AnnotationLastIPs, v1beta1.AnnotationSharedAs}

// annotated reports whether svc has an annotation of that value; empty: has none.
func annotated(svc *corev1.Service, key, value string) bool {
	have, ok := svc.Annotations[key]
	return have == value && ok == (value != "")
}

// remembered writes sets as the annotation has them.
func remembered(sets [][]netip.Addr) string {
	words := make([]string, len(sets))
	for i, set := range sets {
		words[i] = joined(set, ",")
	}
	return strings.Join(words, ";")
}

// Annotations returns those that the controller writes, by key; empty: it is to
// be removed.
func (s Service) Annotations() map[string]string {
	return map[string]string{
		v1beta1.AnnotationAllocatedFromPool: s.Pool,
		v1beta1.AnnotationLastIPs:           remembered(s.Remember),
		v1beta1.AnnotationSharedAs:          s.SharedAs,
	}
}

// Same reports whether svc already is as s says.
func (s Service) Same(svc *corev1.Service) bool {
	for key, value := range s.Annotations() {
		if !annotated(svc, key, value) {
			return false
		}
	}
	return s.SameAddresses(svc) &&
		SameCondition(Find(svc.Status.Conditions, v1beta1.ConditionAddressAssigned), s.Condition) &&
		SameCondition(Find(svc.Status.Conditions, v1beta1.ConditionAddressConflict), s.Conflict) &&
		SameCondition(Find(svc.Status.Conditions, v1beta1.ConditionAnnounced), s.Announced)
}

// Cleared reports whether svc carries nothing of what only the controller
// writes, as it should once it is no load balancer.
func Cleared(svc *corev1.Service) bool {
	for _, key := range serviceKeys {
		if _, ok := svc.Annotations[key]; ok {
			return false
		}
	}
	return Find(svc.Status.Conditions, v1beta1.ConditionAddressAssigned) == nil &&
		Find(svc.Status.Conditions, v1beta1.ConditionAddressConflict) == nil &&
		Find(svc.Status.Conditions, v1beta1.ConditionAnnounced) == nil
}

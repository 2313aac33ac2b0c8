// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// ReasonForeignOwner: a station that is no speaker has an address of the Service.
const ReasonForeignOwner intent.Reason = "ForeignOwner"

// Conflicts are the addresses that stations have which are no speakers. It does
// not change once made. Nil: none.
type Conflicts struct{ stations map[netip.Addr][]station }

// station has an address that is to be announced.
type station struct {
	mac, link string
	nodes     []string // that heard it there, sorted
}

// NewConflicts gathers what the speakers of those nodes that are ready report;
// nil: no conflict.
func NewConflicts(states []*v1beta1.ConfigurationState, nodes []*intent.Node) *Conflicts {
	var c *Conflicts
	for _, state := range states {
		if len(state.Status.Foreign) == 0 {
			continue
		}
		node, ok := nodeOf(state)
		if !ok || !slices.ContainsFunc(nodes, func(n *intent.Node) bool { return n.Name == node && n.Ready }) {
			continue
		}
		for _, f := range state.Status.Foreign {
			addr, err := netip.ParseAddr(f.Address)
			if err != nil {
				continue
			}
			if c == nil {
				c = &Conflicts{stations: map[netip.Addr][]station{}}
			}
			c.add(addr, f, node)
		}
	}
	return c
}

func (c *Conflicts) add(addr netip.Addr, f v1beta1.ForeignOwner, node string) {
	all := c.stations[addr]
	at, found := slices.BinarySearchFunc(all, station{mac: f.MAC, link: f.Interface}, func(a, b station) int {
		return cmp.Or(cmp.Compare(a.mac, b.mac), cmp.Compare(a.link, b.link))
	})
	if !found {
		all = slices.Insert(all, at, station{mac: f.MAC, link: f.Interface})
		c.stations[addr] = all
	}
	if i, found := slices.BinarySearch(all[at].nodes, node); !found {
		all[at].nodes = slices.Insert(all[at].nodes, i, node)
	}
}

// Equal reports whether both say the same.
func (c *Conflicts) Equal(o *Conflicts) bool {
	if c == nil || o == nil {
		return c == o
	}
	return maps.EqualFunc(c.stations, o.stations, func(a, b []station) bool {
		return slices.EqualFunc(a, b, func(x, y station) bool {
			return x.mac == y.mac && x.link == y.link && slices.Equal(x.nodes, y.nodes)
		})
	})
}

// among reports whether one of addresses is in conflict.
func (c *Conflicts) among(addresses []netip.Addr) bool {
	return c != nil && slices.ContainsFunc(addresses, func(a netip.Addr) bool { return c.stations[a] != nil })
}

// condition returns the condition metallb.io/AddressConflict of a Service with
// those addresses; nil: none of them is in conflict.
func (c *Conflicts) condition(svc *corev1.Service, addresses []netip.Addr, now time.Time) *metav1.Condition {
	if !c.among(addresses) {
		return nil
	}
	var parts []string
	for _, a := range addresses {
		for _, s := range c.stations[a] {
			by := "by "
			if s.link != "" {
				by = "on interface " + s.link + " of "
			}
			parts = append(parts, fmt.Sprintf("%s belongs to the station with MAC %s, heard %s%s", a, s.mac, by, List(s.nodes)))
		}
	}
	made := condition(v1beta1.ConditionAddressConflict, metav1.ConditionTrue, ReasonForeignOwner,
		"not announced in layer 2: "+bounded(strings.Join(parts, "; "), maxMessage-200)+
			"; give the station at that MAC another address, or take the address out of the IPAddressPool")
	made = Since(svc.Status.Conditions, made, now)
	return &made
}

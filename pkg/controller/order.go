// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/status"
)

// A pass gives an address on at once, to the next Service, when the one that has it
// loses it. The two are two writes, in any order, and the first may fail. So whoever
// gets an address waits until no status shows it any more for the one that leaves
// it: no two Services ever hold it, not even for a moment.

// leaving says which Services leave an address.
type leaving map[netip.Addr][]intent.Key

func (l leaving) add(a netip.Addr, key intent.Key) {
	if !slices.Contains(l[a], key) {
		l[a] = append(l[a], key)
	}
}

// block makes those jobs wait whose addresses others have yet to leave. Of those that
// wait for each other, as two that change places, one leaves its addresses first, and
// has none for that time. Called with the lock held, at the end of a pass.
func (w *writer) block() {
	w.blocked = false
	left := leaving{}
	for key, j := range w.jobs {
		j.leaves(w.pass, func(a netip.Addr) { left.add(a, key) })
	}
	if len(left) == 0 {
		return
	}
	behind := map[intent.Key][]intent.Key{}
	for key, j := range w.jobs {
		if j.state != queued || j.pass != w.pass {
			continue
		}
		for _, a := range j.want.Addresses {
			for _, by := range left[a] {
				if by != key {
					behind[key] = append(behind[key], by)
				}
			}
		}
	}
	circles := circles{behind: behind, seen: map[intent.Key]bool{}, leave: func(key intent.Key) bool { return w.jobs[key].leave() }}
	for _, key := range slices.SortedFunc(maps.Keys(behind), intent.Key.Compare) {
		circles.visit(key)
	}
	for key := range behind {
		j := w.jobs[key]
		j.state, j.blocked = waiting, true
		w.blocked = true
	}
}

// circles finds who waits for himself, and takes one of each circle out of behind.
type circles struct {
	behind map[intent.Key][]intent.Key
	seen   map[intent.Key]bool // false: on the way from the one that began
	leave  func(intent.Key) bool
}

func (c *circles) visit(key intent.Key) {
	if _, ok := c.seen[key]; ok {
		return
	}
	c.seen[key] = false
	for _, by := range c.behind[key] {
		c.visit(by)
		if !c.seen[by] && c.leave(key) {
			delete(c.behind, key)
			break
		}
	}
	c.seen[key] = true
}

// leaves yields the addresses that the Service has, or may have, and is to have no
// longer.
func (j *job) leaves(pass uint64, yield func(netip.Addr)) {
	has := shown(j.seen)
	keeps := j.decided
	if j.pass != pass { // as it is in the Snapshot it is right
		keeps = has
	}
	each := func(addrs []netip.Addr) {
		for _, a := range addrs {
			if !slices.Contains(keeps, a) {
				yield(a)
			}
		}
	}
	each(has)
	each(j.maybe)
	if j.state == writing || j.state == landed {
		each(j.want.Addresses)
	}
}

// leave makes of the write one that only takes from the Service what it is to have no
// longer, and reports whether there is something to take. The next pass decides the
// rest anew.
func (j *job) leave() bool {
	has := shown(j.svc)
	var keeps []netip.Addr
	for _, a := range j.want.Addresses {
		if slices.Contains(has, a) {
			keeps = append(keeps, a)
		}
	}
	if len(keeps) == len(has) {
		return false
	}
	want := status.Service{Addresses: keeps, Remember: j.want.Remember}
	if len(keeps) > 0 {
		present := j.svc.Status.Conditions // of which the claim's age counts
		want.Pool, want.SharedAs = j.want.Pool, j.want.SharedAs
		want.Condition = status.Find(present, v1beta1.ConditionAddressAssigned)
		want.Conflict = status.Find(present, v1beta1.ConditionAddressConflict)
		want.Announced = status.Find(present, v1beta1.ConditionAnnounced)
	}
	j.outcome = ipam.Outcome{Service: j.key, Cleared: j.outcome.Cleared}
	j.want = want
	return true
}

// shown returns the addresses that the Service's status has.
func shown(svc *corev1.Service) []netip.Addr {
	var all []netip.Addr
	for _, in := range svc.Status.LoadBalancer.Ingress {
		if a, err := netip.ParseAddr(in.IP); err == nil {
			all = append(all, a.Unmap())
		}
	}
	return all
}

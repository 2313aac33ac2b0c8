// SPDX-License-Identifier: Apache-2.0

package controller

import (
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

// leaving says which Service leaves an address; the zero Key: several do.
type leaving map[netip.Addr]intent.Key

func (l leaving) add(a netip.Addr, key intent.Key) {
	if by, ok := l[a]; ok && by != key {
		key = intent.Key{}
	}
	l[a] = key
}

// block makes those jobs wait whose addresses others have yet to leave. Where such
// another waits itself, as when two Services change places, a job that leaves
// addresses writes that much. Called with the lock held, at the end of a pass.
func (w *writer) block() {
	w.blocked = false
	left := leaving{}
	for key, j := range w.jobs {
		j.leaves(w.pass, func(a netip.Addr) { left.add(a, key) })
	}
	if len(left) == 0 {
		return
	}
	behind := map[*job]intent.Key{}
	for key, j := range w.jobs {
		if j.state != queued || j.pass != w.pass {
			continue
		}
		for _, a := range j.want.Addresses {
			if by, ok := left[a]; ok && by != key {
				behind[j] = by
			}
		}
	}
	for j, by := range behind {
		if other := w.jobs[by]; other != nil && behind[other] == (intent.Key{}) || !j.leave(left) {
			j.state, j.blocked = waiting, true
			w.blocked = true
		}
	}
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

// clears reports whether the write takes an address that the Service has.
func (j *job) clears() bool {
	return slices.ContainsFunc(shown(j.svc), func(a netip.Addr) bool { return !slices.Contains(j.want.Addresses, a) })
}

// leave takes from the write the addresses that others have yet to leave, and
// reports whether something remains to be written: that the Service leaves some.
func (j *job) leave(left leaving) bool {
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
	j.want = want // the next pass decides the rest anew
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

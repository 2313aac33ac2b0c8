// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// history is what judges a Service's addresses.
type history struct {
	excused bool // there was a reason to take them
	late    bool // a controller that was killed gave them
	rekeyed bool // the user changed with whom it shares, which may come too late for others
}

func (m *model) allowed(s *corev1.Service) bool { return allowed(m.pools, s) }

func allowed(pools []*v1beta1.IPAddressPool, s *corev1.Service) bool {
	return !slices.ContainsFunc(shown(s), func(a netip.Addr) bool {
		return !slices.ContainsFunc(pools[0].Spec.Addresses, func(p string) bool { return netip.MustParsePrefix(p).Contains(a) })
	})
}

// land makes the write, and judges it.
func (m *model) land(q *sent) {
	q.landed = true
	name, late := q.j.key.Name, q.by != m.ctl
	old := m.api[name]
	if old == nil || old.ResourceVersion != q.version {
		return
	}
	q.answer = m.change(name, func(s *corev1.Service) { apply(s, q.j.want) })
	m.tell("%s has %v, late %t, version %d", name, shown(q.answer), late, m.version)
	h, before, after := m.had[name], shown(old), shown(q.answer)
	if slices.Equal(before, after) {
		return
	}
	lost := slices.ContainsFunc(before, func(a netip.Addr) bool { return !slices.Contains(after, a) })
	if lost && !h.excused && !remembers(old, after) {
		m.blame("%s had %v without anything against it, and has %v", name, before, after)
	}
	*h = history{excused: !m.allowed(q.answer), late: late}
	for _, e := range m.log[min(m.ctl.at, q.at):] { // which the controller has yet to see, or has after it decided
		h.excused = h.excused || e.pools != nil && !allowed(e.pools, q.answer)
	}
	for _, a := range after {
		if slices.Contains(before, a) {
			continue
		}
		for other, s := range m.api {
			if other == name || !slices.Contains(shown(s), a) || mayShare(s, q.answer) {
				continue
			}
			h.excused, m.had[other].excused = true, true
			if !late && !m.had[other].late && !m.had[other].rekeyed {
				m.blame("%s has %s, which %s has", name, a, other)
			}
		}
	}
}

// remembers reports whether addrs are a set that the Service remembers, beside which it
// may get an address of the other family; or none, on its way there, as one of two that
// change places.
func remembers(s *corev1.Service, addrs []netip.Addr) bool {
	last := s.Annotations[v1beta1.AnnotationLastIPs]
	return slices.ContainsFunc(strings.Split(last, ";"), func(set string) bool {
		return last != "" && !slices.ContainsFunc(strings.Split(set, ","), func(a string) bool {
			return len(addrs) > 0 && !slices.Contains(addrs, netip.MustParseAddr(a))
		})
	})
}

func mayShare(a, b *corev1.Service) bool {
	key := a.Annotations[v1beta1.AnnotationAllowSharedIP]
	return key != "" && key == b.Annotations[v1beta1.AnnotationAllowSharedIP] && a.Spec.Ports[0].Port != b.Spec.Ports[0].Port
}

// settle lets everything come to rest without a pass that nothing makes due, and
// compares with what a new controller would do.
func (m *model) settle() {
	m.tell("settle")
	c := m.ctl
	for range 1000 {
		m.deliver(len(m.log))
		m.pass()
		m.send()
		for len(m.requests) > 0 {
			m.move(m.requests[0])
			m.requests = slices.DeleteFunc(m.requests, func(q *sent) bool { return q.by != m.ctl || q.landed && q.replied || q.replied && m.r.IntN(2) == 0 })
		}
		if c.due || c.hasWork(true) || c.hasWork(false) || c.at < len(m.log) {
			continue
		}
		if c.timer.IsZero() {
			break
		}
		time.Sleep(time.Until(c.timer) + 1) // a real clock never stands still
	}
	for key, j := range c.writer.jobs {
		m.blame("at rest %s is to have %v: state %d, blocked %t, maybe %v", key.Name, j.want.Addresses, j.state, j.blocked, j.maybe)
	}
	m.start()
	m.pass()
	for key, j := range m.ctl.writer.jobs {
		m.blame("at rest %s has %v, a new controller gives it %v", key.Name, shown(j.svc), j.want.Addresses)
	}
}

// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/status"
)

// pending are Services without an address, as a pass sees them.
type pending struct {
	reminders
	services []*corev1.Service
	out      ipam.Outcome
}

// pass returns how many are reminded of, and how long until the next may be.
func (p *pending) pass(now time.Time, write bool) (sent int, next time.Duration) {
	p.begin()
	for _, svc := range p.services {
		want := status.ForService(svc, p.out, nil, nil, now)
		if p.due(intent.Key{Name: svc.Name}, svc, &p.out, want, now) {
			sent++
		}
		if write {
			svc.Status.Conditions = []metav1.Condition{*want.Condition}
		}
	}
	if at := p.end(); !at.IsZero() {
		next = at.Sub(now)
	}
	return sent, next
}

func TestPendingServicesAreRemindedOf(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	full := ipam.Outcome{Reason: ipam.NoFreeAddress, Message: "no available IPs in pool a"}
	p := &pending{services: []*corev1.Service{{ObjectMeta: metav1.ObjectMeta{Name: "web"}}}, out: full}
	for _, step := range []struct {
		situation string
		at        time.Duration
		set       func()
		sent      int
		next      time.Duration
	}{
		{"just told with the write", 0, nil, 0, remindInterval},
		{"later", 10 * time.Minute, nil, 0, remindInterval - 10*time.Minute},
		{"almost", remindInterval - time.Second, nil, 0, time.Second},
		{"due", remindInterval, nil, 1, remindInterval},
		{"once", remindInterval + time.Second, nil, 0, remindInterval - time.Second},
		{"due again", 2 * remindInterval, nil, 1, remindInterval},
		{"another reason is told with the write", 2*remindInterval + 10*time.Minute, func() { p.out.Message = "no available IPs in pool b" }, 0, remindInterval},
		{"so it begins anew", 3 * remindInterval, nil, 0, 10 * time.Minute},
		{"a new leader, before it is due", 3*remindInterval + time.Second, func() {
			p.reminders, p.services[0].Status.Conditions[0].LastTransitionTime = reminders{}, metav1.NewTime(start.Add(3*remindInterval-9*time.Minute))
		}, 0, remindInterval - 9*time.Minute - time.Second},
		{"a new leader, long after", 3*remindInterval + 2*time.Second, func() {
			p.reminders, p.services[0].Status.Conditions[0].LastTransitionTime = reminders{}, metav1.NewTime(start)
		}, 1, remindInterval},
		{"it gets an address", 5 * remindInterval, func() { p.out = ipam.Outcome{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Pool: "a"} }, 0, 0},
		{"and one of two families is no reason to remind", 6 * remindInterval, func() { p.out.Reason = ipam.AdditionalFamilyFailed }, 0, 0},
		{"it loses it: told with the write", 7 * remindInterval, func() { p.out = full }, 0, remindInterval},
		{"gone", 8 * remindInterval, func() { p.services = nil }, 0, 0},
	} {
		if step.set != nil {
			step.set()
		}
		if sent, next := p.pass(start.Add(step.at), true); sent != step.sent || next != step.next {
			t.Errorf("%s: %d sent, the next after %v; want %d, %v", step.situation, sent, next, step.sent, step.next)
		}
	}
	if len(p.told) != 0 {
		t.Errorf("%d Services that are gone are kept", len(p.told))
	}
}

// A new leader that finds thousands of old ones reminds of them bit by bit.
func TestRemindersAreBounded(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p := &pending{out: ipam.Outcome{Reason: ipam.NoFreeAddress, Message: "no available IPs"}}
	const n = 2*remindersPerPass + 7
	for i := range n {
		p.services = append(p.services, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("s%03d", i)}})
	}
	p.pass(start, true)
	p.reminders = reminders{}
	total := 0
	now := start.Add(remindInterval)
	for range 3 {
		sent, next := p.pass(now, false)
		if total += sent; sent > remindersPerPass || total < n && next != remindPause {
			t.Errorf("%d sent in a pass, the next after %v", sent, next)
		}
		if total < n {
			now = now.Add(next)
		}
	}
	if sent, _ := p.pass(now, false); total != n || sent != 0 {
		t.Errorf("%d reminded of, and %d twice; want all %d once", total, sent, n)
	}
}

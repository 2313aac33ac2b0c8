// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/status"
)

// gated is a gate with the Services that it is about.
type gated struct {
	*gate
	services []*intent.Service
	objects  []*corev1.Service
	each     []*status.Announced
}

func newGated(n int) *gated {
	g := &gated{gate: newGate(), each: make([]*status.Announced, n)}
	for i := range n {
		name := fmt.Sprintf("s%03d", i)
		g.services = append(g.services, &intent.Service{Key: intent.Key{Namespace: "default", Name: name}})
		g.objects = append(g.objects, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})
	}
	return g
}

func verdictOf(value metav1.ConditionStatus, reason intent.Reason, message string) *status.Announced {
	return &status.Announced{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Status: value, Reason: reason, Message: message}
}

func (g *gated) at(now time.Time) bool { return g.round(g.services, g.each, g.objects, now) }

// write makes the Services say what was let through.
func (g *gated) write() {
	for _, v := range g.through() {
		if svc := objectOf(g.objects, v.key); v.announced != nil {
			svc.Status.Conditions = []metav1.Condition{{
				Type: v1beta1.ConditionAnnounced, Status: v.announced.Status, Reason: string(v.announced.Reason), Message: v.announced.Message,
			}}
		}
	}
}

// told takes the news of the last rounds.
func (g *gated) told() bool {
	select {
	case <-g.news:
		return true
	default:
		return false
	}
}

// says counts the Services that were let through with each message.
func (g *gated) says() map[string]int {
	n := map[string]int{}
	for _, v := range g.through() {
		if v.announced != nil {
			n[v.announced.Message]++
		}
	}
	return n
}

func TestGateLetsThroughWhatHasSettled(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	g := newGated(1)
	yes, no := verdictOf("True", status.ReasonAnnounced, "yes"), verdictOf("False", status.ReasonNoSessionEstablished, "no")
	for _, step := range []struct {
		situation string
		at        time.Duration
		is        *status.Announced
		left      bool
		says      string
		told      bool
	}{
		{"without an address", 0, nil, false, "", false},
		{"new", 0, yes, true, "", false},
		{"not settled", 900 * time.Millisecond, yes, true, "", false},
		{"settled", time.Second, yes, false, "yes", true},
		{"no news", 2 * time.Second, yes, false, "yes", false},
		{"another object that says the same", 3 * time.Second, verdictOf("True", status.ReasonAnnounced, "yes"), false, "yes", false},
		{"a moment", 4 * time.Second, no, true, "yes", false},
		{"and back", 4500 * time.Millisecond, yes, false, "yes", false},
		{"for longer", 5 * time.Second, no, true, "yes", false},
		{"settled again", 6 * time.Second, no, false, "no", true},
		{"no address any more", 7 * time.Second, nil, false, "", false},
	} {
		g.each[0] = step.is
		left := g.at(start.Add(step.at))
		says := ""
		for text := range g.says() {
			says = text
		}
		if told := g.told(); left != step.left || says != step.says || told != step.told {
			t.Errorf("%s: left %t, says %q, told %t; want %t, %q, %t", step.situation, left, says, told, step.left, step.says, step.told)
		}
		g.write()
	}

	// What changes all the time is let through all the same, now and then.
	last := start.Add(time.Minute)
	for i := range 60 {
		g.each[0] = verdictOf("True", status.ReasonAnnounced, fmt.Sprint(i))
		now := start.Add(time.Minute + time.Duration(i)*500*time.Millisecond)
		g.at(now)
		if g.told() {
			if pause := now.Sub(last); pause < holdLimit || pause > holdLimit+time.Second {
				t.Errorf("let through %v after the last one, want %v", pause, holdLimit)
			}
			last = now
			g.write()
		}
	}
	if last.Equal(start.Add(time.Minute)) {
		t.Error("what never settles was never let through")
	}
}

// A change of all Services is a bounded number per round; those that are no longer
// announced come first.
func TestGateIsBounded(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const n = 3*passesPerRound - 1
	g := newGated(n)
	for i := range g.each {
		g.each[i] = verdictOf("True", status.ReasonAnnounced, "from n1")
	}
	g.at(start)
	rounds := 0
	for now := start.Add(settleTime); g.at(now); now = now.Add(settleTime) {
		if rounds++; g.says()["from n1"] != rounds*passesPerRound {
			t.Fatalf("%d let through in %d rounds, want %d in each", g.says()["from n1"], rounds, passesPerRound)
		}
	}
	if g.write(); rounds != 2 || g.says()["from n1"] != n {
		t.Fatalf("%d let through, %d rounds before the last; want all, 2", g.says()["from n1"], rounds)
	}
	for i := range g.each {
		g.each[i] = verdictOf("True", status.ReasonAnnounced, "from n2")
	}
	g.each[n-1] = verdictOf("False", status.ReasonNoSessionEstablished, "no")
	g.at(start.Add(time.Minute))
	if g.at(start.Add(time.Minute + settleTime)); g.says()["no"] != 1 || g.says()["from n2"] != passesPerRound-1 {
		t.Errorf("let through: %v; want the one that is no longer announced, and %d others", g.says(), passesPerRound-1)
	}
}

// A new leader finds what Services say, and that it is so: nothing is news, and
// nothing waits.
func TestNewLeaderFindsWhatIsSaid(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	g := newGated(2 * passesPerRound)
	for i := range g.each {
		g.each[i] = verdictOf("True", status.ReasonAnnounced, "from n1")
	}
	for now := start; g.at(now); now = now.Add(settleTime) {
	}
	g.write()
	next := &gated{gate: newGate(), services: g.services, objects: g.objects, each: g.each}
	if left := next.at(start); left || next.told() || next.says()["from n1"] != len(g.each) {
		t.Errorf("left %t, %v", left, next.says())
	}
	// What the Services have lost meanwhile comes back.
	for _, v := range next.through() {
		if svc := objectOf(g.objects, v.key); v.announced.Said(svc) {
			svc.Status.Conditions = nil
			if v.announced.Said(svc) {
				t.Fatal("a Service without the condition counts as saying it")
			}
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/hack/docs/row"
	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/l2"
	"metallb.io/metallb-frr/pkg/status"
)

// eventRows are the events of speakers on Services and Nodes: what happens, and the
// shape of the text ("object: type reason message"). Those with a rule are MetalLB's.
var eventRows = []struct {
	rule, differs string
	happens       func(*hearing)
	reason        intent.Reason
	shape         string
}{
	{"nodeAssigned, Normal, for layer 2: announcing from node and protocol, again at each time that the speaker looks at the Service.", "It is told when another node announces, or this one again.",
		func(h *hearing) { h.heardLayer2(l2.Event{Kind: l2.Claimed, Addr: addr4}, named("web")) },
		eventAssigned, `^web: Normal nodeAssigned announcing from node "n1" with protocol "layer2"$`},
	{"announceFailed, Warning: the interfaces requested for the address do not exist on the assigned node.", "It names them, and is told again only when others are asked for, or after ten minutes.",
		func(h *hearing) { h.announceFailed(named("web")[0], addr4, []string{"eth7"}) },
		eventFailed, `^web: Warning announceFailed the interfaces requested for LB IP "192\.0\.2\.1" do not exist on the assigned node "n1".*: eth7`},
	{"", "", func(h *hearing) {
		h.heardLayer2(l2.Event{Kind: l2.ForeignOwner, Addr: addr4, MAC: mac2, Link: "eth0"}, named("web"))
	}, eventForeign, `^web: Warning ForeignOwner node "n1" does not announce 192\.0\.2\.1`},
	{"", "", func(h *hearing) {
		h.heardLayer2(l2.Event{Kind: l2.IPVSWithoutStrictARP, Addr: addr4, Node: "n2", MAC: mac2, Link: "eth0"}, nil)
	}, eventAnswers, `^n2: Warning IPVSWithoutStrictARP the kernel of node "n2" answers ARP`},
}

func TestEventsAreThoseOfTheContract(t *testing.T) {
	var rules []row.Rule
	examples := map[string]row.Reason{}
	for _, r := range eventRows {
		synctest.Test(t, func(t *testing.T) {
			h := newHearing(t, "web")
			h.runs(t)
			r.happens(h)
			told := h.told(2 * burstTime)
			if len(told) != 1 || !regexp.MustCompile(r.shape).MatchString(told[0]) {
				t.Fatalf("told %q, want %s", told, r.shape)
			}
			object, text, _ := strings.Cut(told[0], ": ")
			kind, text, _ := strings.Cut(text, " ")
			_, message, _ := strings.Cut(text, " ")
			object = map[string]string{"web": "Service default/web", "n2": "Node n2"}[object]
			examples[string(r.reason)] = row.Reason{Reason: string(r.reason), Severity: kind, Object: object, Message: message}
			if r.rule != "" {
				rules = append(rules, row.Rule{Section: "Events on a Service", Rule: r.rule, Differs: r.differs, Findings: []string{message}})
			}
			r.happens(h)
			if again := h.told(2 * burstTime); r.reason != eventAssigned && r.reason != eventForeign && len(again) > 0 {
				t.Errorf("told again: %q", again)
			}
		})
	}
	declared, err := row.Declared(".")
	if err != nil || len(declared) < 4 {
		t.Fatalf("%d Reasons declared, %v", len(declared), err)
	}
	var reasons []row.Reason
	for _, c := range declared {
		if _, there := examples[c.Value]; !there {
			t.Errorf("no row shows the event %s", c.Value)
		}
		reasons = append(reasons, examples[c.Value])
	}
	row.Keep(t, row.RulesFile, rules)
	row.Keep(t, row.ReasonsFile, append(reasons, examplesOfStatus()...))
}

// examplesOfStatus are the texts that speakers write with Reasons of package status.
func examplesOfStatus() []row.Reason {
	var all []row.Reason
	leaving := &intent.Node{Name: "n1", Leaving: &intent.Leaving{Message: "node n1 is cordoned (spec.unschedulable)"}}
	for _, at := range []struct {
		node           *intent.Node
		marking, proxy bool
	}{{&intent.Node{Name: "n1"}, false, true}, {leaving, true, true}, {leaving, false, true}, {&intent.Node{Name: "n1"}, false, false}} {
		s := New(Options{Node: "n1", Log: logr.Discard(), DrainWait: time.Second})
		s.drain.marking = at.marking
		s.forward.proxy.Store(at.proxy)
		c := s.inService(at.node).Condition(nil, time.Now())
		all = append(all, row.Reason{Reason: c.Reason, Object: c.Type + "=" + string(c.Status), Message: c.Message})
	}
	changed := status.Differences([]frr.Command{{Line: frr.Line{Node: []string{"router bgp 64512"}, Text: "no timers bgp 3 9"}}})
	return append(all,
		row.Reason{Reason: string(status.ReasonDrift), Severity: "Warning", Object: "ConfigurationState speaker-n1", Message: setRight(changed)},
		row.Reason{Reason: string(status.ReasonDaemonLost), Severity: "Warning", Object: "ConfigurationState speaker-n1", Message: lost("zebra")})
}

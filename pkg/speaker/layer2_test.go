// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/l2"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/telemetry"
)

func newTestLayer2(t *testing.T) *layer2 {
	t.Helper()
	l := newLayer2(Options{Node: "n1", Layer2: &Layer2{}, Metrics: &telemetry.Speaker{}})
	engine, err := l2.New(l2.Options{Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	l.engine = engine
	return l
}

// An address whose traffic kube-proxy does not pass on yet stays with another node
// that can still answer for it; where there is none, late is better than never.
func TestAddressWaitsForKubeProxy(t *testing.T) {
	l := newTestLayer2(t)
	addr := netip.MustParseAddr("192.0.2.1")
	waits := map[netip.Addr]bool{addr: true}
	for _, row := range []struct {
		name  string
		order []string
		alive *plan.Alive
		waits map[netip.Addr]bool
		own   bool
	}{
		{"another answers", []string{"n1", "n2"}, plan.NewAlive("n1", "n2"), waits, false},
		{"another that leaves answers", []string{"n1", "n2"}, nil, waits, false},
		{"the other is dead", []string{"n1", "n2"}, plan.NewAlive("n1"), waits, true},
		{"there is no other", []string{"n1"}, nil, waits, true},
		{"another address waits", []string{"n1", "n2"}, nil, map[netip.Addr]bool{netip.MustParseAddr("192.0.2.2"): true}, true},
		{"nothing waits", []string{"n1", "n2"}, nil, nil, true},
	} {
		r := &plan.Result{Plan: &plan.NodePlan{Announcements: []plan.Announcement{{Addr: addr, Own: true, Order: row.order}}}}
		if got := l.wanted(r, row.waits, row.alive)[0].Own; got != row.own {
			t.Errorf("%s: own %v, want %v", row.name, got, row.own)
		}
		if !r.Plan.Announcements[0].Own {
			t.Errorf("%s: the plan was changed", row.name)
		}
	}
}

// A node becomes a member when the others can know its MACs, or after a while.
func TestIntroduced(t *testing.T) {
	l := newTestLayer2(t)
	of := func(links []intent.Link) *intent.Intent {
		return &intent.Intent{Config: &intent.Config{Nodes: []*intent.Node{{Name: "n1", Links: links}}}}
	}
	if l.introduced(of(nil)) {
		t.Error("introduced before its links are published")
	}
	if !l.introduced(of([]intent.Link{})) {
		t.Error("not introduced though its links, none, are published")
	}
	if !l.introduced(of(nil)) {
		t.Error("not introduced any more, since its ConfigurationState was deleted")
	}
	l = newTestLayer2(t)
	l.introduced(of(nil))
	l.limit = time.Now()
	if !l.introduced(of(nil)) {
		t.Error("it waits for ever")
	}
}

func TestStations(t *testing.T) {
	c := &intent.Config{Nodes: []*intent.Node{
		{Name: "n1", Links: []intent.Link{{Name: "eth0", MAC: "02:00:5e:10:00:01"}, {Name: "tun0"}}},
		{Name: "n2"},
		{Name: "n3", Links: []intent.Link{{Name: "eth0", MAC: "02:00:5e:10:00:03"}, {Name: "eth1", MAC: "no MAC"}, {Name: "ib0", MAC: "00:00:00:00:fe:80:00:00:00:00:00:00:02:00:5e:10:00:00:00:01"}}},
	}}
	got := stations(c)
	if len(got) != 2 || got[l2.MAC{2, 0, 0x5e, 0x10, 0, 1}] != "n1" || got[l2.MAC{2, 0, 0x5e, 0x10, 0, 3}] != "n3" {
		t.Errorf("%v", got)
	}
}

// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// There is a series for each address that is announced now, and for no other.
func TestAnnouncedSeriesComeAndGo(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := telemetry.NewSpeaker(registry)
	if err != nil {
		t.Fatal(err)
	}
	g := &gauges{metrics: metrics, node: "n1"}
	decision := func(name string, addrs ...string) plan.Decision {
		d := plan.Decision{Service: intent.Key{Namespace: "default", Name: name}, Protocol: "bgp", Announce: len(addrs) > 0}
		for _, a := range addrs {
			d.Addresses = append(d.Addresses, netip.MustParseAddr(a))
		}
		return d
	}
	for _, c := range []struct {
		situation string
		decisions []plan.Decision
		want      []string
	}{
		{"nothing yet", []plan.Decision{decision("a")}, nil},
		{"two come", []plan.Decision{decision("a", "192.0.2.1"), decision("b", "192.0.2.2", "fd00::2")}, []string{"default/a 192.0.2.1", "default/b 192.0.2.2", "default/b fd00::2"}},
		{"one loses an address", []plan.Decision{decision("a", "192.0.2.1"), decision("b", "fd00::2")}, []string{"default/a 192.0.2.1", "default/b fd00::2"}},
		{"one goes, one is silent", []plan.Decision{decision("b")}, nil},
	} {
		g.set(&plan.Result{Decisions: c.decisions})
		var got []string
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() != "metallb_speaker_announced" {
				continue
			}
			for _, m := range f.GetMetric() {
				labels := map[string]string{}
				for _, l := range m.GetLabel() {
					labels[l.GetName()] = l.GetValue()
				}
				got = append(got, fmt.Sprint(labels["service"], " ", labels["ip"]))
			}
		}
		if slices.Sort(got); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.situation, got, c.want)
		}
	}
}

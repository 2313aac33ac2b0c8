// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
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
		{"two come", []plan.Decision{decision("a", "192.0.2.1"), decision("b", "192.0.2.2", "fd00::2")}, []string{"default/a bgp 192.0.2.1", "default/b bgp 192.0.2.2", "default/b bgp fd00::2"}},
		{"one loses an address", []plan.Decision{decision("a", "192.0.2.1"), decision("b", "fd00::2")}, []string{"default/a bgp 192.0.2.1", "default/b bgp fd00::2"}},
		{"one goes, one is silent", []plan.Decision{decision("b")}, nil},
	} {
		g.set(&plan.Result{Decisions: c.decisions})
		got := announcedSeries(t, registry)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.situation, got, c.want)
		}
	}
}

// announcedSeries returns the labels service, protocol and ip of the series,
// sorted.
func announcedSeries(t *testing.T, r prometheus.Gatherer) []string {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		if f.GetName() != "metallb_speaker_announced" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["node"] != "n1" || m.GetGauge().GetValue() != 1 {
				t.Errorf("series %v is %v", labels, m.GetGauge().GetValue())
			}
			got = append(got, fmt.Sprint(labels["service"], " ", labels["protocol"], " ", labels["ip"]))
		}
	}
	slices.Sort(got)
	return got
}

// answering are Services that are announced in layer 2, by what is announced of
// them.
func answering(services ...string) []answered {
	var all []answered
	for _, s := range services {
		name, addrs, _ := strings.Cut(s, " ")
		a := answered{service: intent.Key{Namespace: "default", Name: name}}
		for text := range strings.FieldsSeq(addrs) {
			a.addrs = append(a.addrs, netip.MustParseAddr(text))
		}
		all = append(all, a)
	}
	return all
}

// In layer 2 likewise, beside what is announced over BGP.
func TestAnnouncedSeriesOfLayer2(t *testing.T) {
	registry := prometheus.NewRegistry()
	metrics, err := telemetry.NewSpeaker(registry)
	if err != nil {
		t.Fatal(err)
	}
	g := &gauges{metrics: metrics, node: "n1"}
	bgp := plan.Decision{Service: intent.Key{Namespace: "default", Name: "b"}, Protocol: "bgp", Announce: true, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.2")}}
	g.set(&plan.Result{Decisions: []plan.Decision{bgp}})
	for _, c := range []struct {
		situation string
		now       []answered
		want      []string
	}{
		{"nothing yet", nil, nil},
		{"two come, one that is announced over BGP too", answering("b 192.0.2.2 fd00::2", "d 192.0.2.4"), []string{"default/b layer2 192.0.2.2", "default/b layer2 fd00::2", "default/d layer2 192.0.2.4"}},
		{"others before, between and after", answering("a 192.0.2.1", "b 192.0.2.2 fd00::2", "c 192.0.2.3", "d 192.0.2.4", "e 192.0.2.5"),
			[]string{"default/a layer2 192.0.2.1", "default/b layer2 192.0.2.2", "default/b layer2 fd00::2", "default/c layer2 192.0.2.3", "default/d layer2 192.0.2.4", "default/e layer2 192.0.2.5"}},
		{"addresses go and change", answering("a 192.0.2.9", "b fd00::2", "e 192.0.2.5"), []string{"default/a layer2 192.0.2.9", "default/b layer2 fd00::2", "default/e layer2 192.0.2.5"}},
		{"a shared address stays with one of its Services", answering("z 192.0.2.9"), []string{"default/z layer2 192.0.2.9"}},
		{"all go", nil, nil},
	} {
		g.setLayer2(c.now)
		want := append([]string{"default/b bgp 192.0.2.2"}, c.want...)
		slices.Sort(want)
		if got := announcedSeries(t, registry); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", c.situation, got, want)
		}
	}
}

// What did not change costs a look, and no memory.
func TestUnchangedSeriesOfLayer2AllocateNothing(t *testing.T) {
	metrics, err := telemetry.NewSpeaker(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	g := &gauges{metrics: metrics, node: "n1"}
	one, same := answering("a 192.0.2.1 fd00::1", "b 192.0.2.2"), answering("a 192.0.2.1 fd00::1", "b 192.0.2.2")
	g.setLayer2(one)
	if n := testing.AllocsPerRun(100, func() { g.setLayer2(same); g.setLayer2(one) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

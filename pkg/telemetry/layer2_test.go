// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"maps"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// Addresses have series under MetalLB's names once something happened to them
// here; what is only known of another node's has none.
func TestLayer2Series(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	s, err := NewSpeaker(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := layer2Values(t, r); len(got) > 0 {
		t.Errorf("before anything is known: %v", got)
	}
	s.Layer2.Count(maps.All(map[netip.Addr]Layer2Counts{
		netip.MustParseAddr("192.0.2.1"):   {Requests: 1, Responses: 2, Gratuitous: 3, TakeOvers: 4, Conflicts: 5},
		netip.MustParseAddr("192.0.2.2"):   {},
		netip.MustParseAddr("2001:db8::1"): {Gratuitous: 1},
	}))
	s.Layer2.SetAlive(3)
	want := map[string]float64{
		"metallb_layer2_requests_received 192.0.2.1": 1, "metallb_layer2_requests_received 2001:db8::1": 0,
		"metallb_layer2_responses_sent 192.0.2.1": 2, "metallb_layer2_responses_sent 2001:db8::1": 0,
		"metallb_layer2_gratuitous_sent 192.0.2.1": 3, "metallb_layer2_gratuitous_sent 2001:db8::1": 1,
		"metallb_layer2_take_overs 192.0.2.1": 4, "metallb_layer2_take_overs 2001:db8::1": 0,
		"metallb_layer2_conflicts 192.0.2.1": 5, "metallb_layer2_conflicts 2001:db8::1": 0,
		"metallb_members_alive": 3,
	}
	if got := layer2Values(t, r); !maps.Equal(got, want) {
		t.Errorf("series %v, want %v", got, want)
	}
}

// layer2Values are the values of layer 2's series but the histogram's, by name
// and label ip.
func layer2Values(t *testing.T, r prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "metallb_layer2_") && !strings.HasPrefix(f.GetName(), "metallb_members_") {
			continue
		}
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			switch {
			case m.GetCounter() != nil:
				got[name] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				got[name] = m.GetGauge().GetValue()
			}
		}
	}
	return got
}

// The buckets tell 10 ms from 10 s, and the aimed-at second from what is more.
func TestLayer2TimesToTheFirstFrame(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	s, err := NewSpeaker(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, seconds := range []float64{.008, .09, .7, .99, 1.2, 9} {
		s.Layer2.FirstGratuitous.Observe(seconds)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	want := map[float64]uint64{.01: 1, .1: 2, .8: 3, 1: 4, 1.5: 5, 10: 6}
	for _, f := range families {
		if f.GetName() != "metallb_layer2_loss_to_first_gratuitous_seconds" {
			continue
		}
		for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
			if n, ok := want[b.GetUpperBound()]; ok && n != b.GetCumulativeCount() {
				t.Errorf("within %v s: %d, want %d", b.GetUpperBound(), b.GetCumulativeCount(), n)
			}
			delete(want, b.GetUpperBound())
		}
	}
	if len(want) > 0 {
		t.Errorf("no buckets at %v", want)
	}
}

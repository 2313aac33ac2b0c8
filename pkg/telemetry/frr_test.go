// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"metallb.io/metallb-frr/pkg/frr"
)

// frrNames are MetalLB's, which dashboards and alerts are written for.
var frrNames = map[string]string{
	"metallb_bgp_session_up":               "GAUGE",
	"metallb_bgp_announced_prefixes_total": "GAUGE",
	"metallb_bgp_updates_total":            "COUNTER",
	"metallb_bgp_updates_total_received":   "COUNTER",
	"metallb_bgp_opens_sent":               "COUNTER",
	"metallb_bgp_opens_received":           "COUNTER",
	"metallb_bgp_notifications_sent":       "COUNTER",
	"metallb_bgp_keepalives_sent":          "COUNTER",
	"metallb_bgp_keepalives_received":      "COUNTER",
	"metallb_bgp_route_refresh_sent":       "COUNTER",
	"metallb_bgp_total_sent":               "COUNTER",
	"metallb_bgp_total_received":           "COUNTER",
	"metallb_bfd_session_up":               "GAUGE",
	"metallb_bfd_control_packet_input":     "COUNTER",
	"metallb_bfd_control_packet_output":    "COUNTER",
	"metallb_bfd_echo_packet_input":        "COUNTER",
	"metallb_bfd_echo_packet_output":       "COUNTER",
	"metallb_bfd_session_up_events":        "COUNTER",
	"metallb_bfd_session_down_events":      "COUNTER",
	"metallb_bfd_zebra_notifications":      "COUNTER",
}

// scraped are the series of one scrape, as name{peer,vrf}, and their families.
func scraped(t *testing.T, r prometheus.Gatherer) (map[string]float64, map[string]string) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series, kinds := map[string]float64{}, map[string]string{}
	for _, f := range families {
		kinds[f.GetName()] = f.GetType().String()
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			series[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return series, kinds
}

func TestFRRMetrics(t *testing.T) {
	one, link := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("fe80::2")
	state := &frr.State{
		Sessions: []frr.SessionState{
			{Neighbor: "192.0.2.2", Addr: one, Port: 179, State: "Established", SentPrefixes: 3, Messages: frr.MessageCounts{
				UpdatesSent: 1, UpdatesReceived: 2, OpensSent: 3, OpensReceived: 4, NotificationsSent: 5, KeepalivesSent: 6,
				KeepalivesReceived: 7, RouteRefreshSent: 8, TotalSent: 9, TotalReceived: 10,
			}},
			{Neighbor: "2001:db8::2", Port: 1790, State: "Idle"},
			{Neighbor: "eth1", Addr: link, Port: 179, State: "Established"},
			{VRF: "red", Neighbor: "192.0.2.2", Addr: one, Port: 179, State: "Active"},
		},
		BFD: []frr.BFDState{
			{Peer: one, Interface: "eth0", Status: "up", Counters: frr.BFDCounters{ControlIn: 1, ControlOut: 2, EchoIn: 3, EchoOut: 4, Ups: 5, Downs: 6, Notifications: 7}},
			{Peer: one, Interface: "eth2", Status: "down"}, // typed by hand: one of them is shown
			{Peer: link, Interface: "eth1", Status: "up"},
			{VRF: "red", Peer: one, Status: "init"},
		},
	}
	r := prometheus.NewPedanticRegistry()
	if _, err := NewFRR(r, func(context.Context) (*frr.State, error) { return state, nil }); err != nil {
		t.Fatal(err)
	}
	series, kinds := scraped(t, r)
	for name, kind := range frrNames {
		if kinds[name] != kind {
			t.Errorf("%s has type %s, want %s", name, kinds[name], kind)
		}
	}
	if len(kinds) != len(frrNames)+1 {
		t.Errorf("%d families, want the %d of MetalLB and the errors", len(kinds), len(frrNames))
	}
	const tor, bfd = "{peer=192.0.2.2:179,vrf=default}", "{peer=192.0.2.2,vrf=default}"
	for name, want := range map[string]float64{
		"bgp_session_up" + tor: 1, "bgp_announced_prefixes_total" + tor: 3, "bgp_updates_total" + tor: 1,
		"bgp_updates_total_received" + tor: 2, "bgp_opens_sent" + tor: 3, "bgp_opens_received" + tor: 4,
		"bgp_notifications_sent" + tor: 5, "bgp_keepalives_sent" + tor: 6, "bgp_keepalives_received" + tor: 7,
		"bgp_route_refresh_sent" + tor: 8, "bgp_total_sent" + tor: 9, "bgp_total_received" + tor: 10,
		"bgp_session_up{peer=[2001:db8::2]:1790,vrf=default}": 0,
		"bgp_session_up{peer=eth1,vrf=default}":               1,
		"bgp_session_up{peer=192.0.2.2:179,vrf=red}":          0,
		"bfd_session_up" + bfd:                                1, "bfd_control_packet_input" + bfd: 1, "bfd_control_packet_output" + bfd: 2,
		"bfd_echo_packet_input" + bfd: 3, "bfd_echo_packet_output" + bfd: 4, "bfd_session_up_events" + bfd: 5,
		"bfd_session_down_events" + bfd: 6, "bfd_zebra_notifications" + bfd: 7,
		"bfd_session_up{peer=eth1,vrf=default}":  1,
		"bfd_session_up{peer=192.0.2.2,vrf=red}": 0,
		"frr_scrape_errors_total{}":              0,
	} {
		if got, ok := series["metallb_"+name]; !ok || got != want {
			t.Errorf("metallb_%s = %v (there: %t), want %v", name, got, ok, want)
		}
	}
	if want := 12*4 + 8*3 + 1; len(series) != want {
		t.Errorf("%d series, want %d", len(series), want)
	}
}

func TestScrapersTogetherAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		r := prometheus.NewPedanticRegistry()
		_, err := NewFRR(r, func(context.Context) (*frr.State, error) {
			asked.Add(1)
			time.Sleep(100 * time.Millisecond)
			return &frr.State{}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		scrape := func() {
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() { scraped(t, r) })
			}
			all.Wait()
		}
		scrape()
		scrape()
		if n := asked.Load(); n != 1 {
			t.Errorf("ten scrapes within a second asked FRR %d times, want once", n)
		}
		time.Sleep(2 * time.Second)
		scrape()
		if n := asked.Load(); n != 2 {
			t.Errorf("asked %d times after two more seconds, want twice", n)
		}
	})
}

func TestScrapeWithoutFRR(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs := false
		r := prometheus.NewPedanticRegistry()
		_, err := NewFRR(r, func(ctx context.Context) (*frr.State, error) {
			if hangs {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return nil, errors.New("FRR's bgpd is not running")
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			series, _ := scraped(t, r)
			if slices.ContainsFunc(slices.Collect(maps.Keys(series)), func(n string) bool { return strings.HasPrefix(n, "metallb_bgp") }) {
				t.Errorf("series without an answer: %v", series)
			}
			hangs = true
			time.Sleep(fresh + time.Millisecond)
		}
		began := time.Now()
		series, _ := scraped(t, r)
		if took := time.Since(began); took > frrLimit {
			t.Errorf("a scrape took %v with FRR hanging, want at most %v", took, frrLimit)
		}
		// The one under way is counted or not.
		if n := series["metallb_frr_scrape_errors_total{}"]; n < 2 || n > 3 {
			t.Errorf("%v errors counted, want those of two or three scrapes", n)
		}
	})
}

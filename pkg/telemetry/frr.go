// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"metallb.io/metallb-frr/pkg/frr"
)

const (
	// fresh is how long an answer of FRR's is good for: scrapers that come
	// together ask once.
	fresh = time.Second
	// frrLimit is how long FRR may take to answer. A scrape without an answer
	// is served without FRR's metrics.
	frrLimit = 3 * time.Second
)

// series is one metric of a session of type S.
type series[S any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*S) float64
}

// FRR is FRR's sessions as metrics, asked for at each scrape. The names are
// MetalLB's. Labels: peer (address:port of a BGP session, address of a BFD
// session, in both the interface of an unnumbered one), vrf ("default" for the
// default one).
type FRR struct {
	ask    *once[*frr.State]
	bgp    []series[frr.SessionState]
	bfd    []series[frr.BFDState]
	errors prometheus.Counter
}

// NewFRR registers the collector on r. ask returns the state of FRR's sessions;
// the Port of a session is the one in its label.
func NewFRR(r prometheus.Registerer, ask func(context.Context) (*frr.State, error)) (*FRR, error) {
	f := &FRR{
		ask: newOnce(ask),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "metallb", Subsystem: "frr", Name: "scrape_errors_total",
			Help: "Times that FRR's state was asked for and FRR did not answer.",
		}),
		bgp: bgpSeries(),
		bfd: bfdSeries(),
	}
	return f, register(r, f, f.errors)
}

func bgpSeries() []series[frr.SessionState] {
	type state = frr.SessionState
	add := func(name string, kind prometheus.ValueType, help string, value func(*state) float64) series[state] {
		return series[state]{desc("bgp", name, help), kind, value}
	}
	count := func(name, help string, value func(*frr.MessageCounts) uint64) series[state] {
		return add(name, prometheus.CounterValue, help, func(s *state) float64 { return float64(value(&s.Messages)) })
	}
	return []series[state]{
		add("session_up", prometheus.GaugeValue, "1 while the BGP session is established.", func(s *state) float64 { return one(s.Up()) }),
		add("announced_prefixes_total", prometheus.GaugeValue, "Prefixes announced on the BGP session.", func(s *state) float64 { return float64(s.SentPrefixes) }),
		count("updates_total", "BGP UPDATE messages sent.", func(m *frr.MessageCounts) uint64 { return m.UpdatesSent }),
		count("updates_total_received", "BGP UPDATE messages received.", func(m *frr.MessageCounts) uint64 { return m.UpdatesReceived }),
		count("opens_sent", "BGP OPEN messages sent.", func(m *frr.MessageCounts) uint64 { return m.OpensSent }),
		count("opens_received", "BGP OPEN messages received.", func(m *frr.MessageCounts) uint64 { return m.OpensReceived }),
		count("notifications_sent", "BGP NOTIFICATION messages sent.", func(m *frr.MessageCounts) uint64 { return m.NotificationsSent }),
		count("keepalives_sent", "BGP KEEPALIVE messages sent.", func(m *frr.MessageCounts) uint64 { return m.KeepalivesSent }),
		count("keepalives_received", "BGP KEEPALIVE messages received.", func(m *frr.MessageCounts) uint64 { return m.KeepalivesReceived }),
		count("route_refresh_sent", "BGP ROUTE-REFRESH messages sent.", func(m *frr.MessageCounts) uint64 { return m.RouteRefreshSent }),
		count("total_sent", "BGP messages sent.", func(m *frr.MessageCounts) uint64 { return m.TotalSent }),
		count("total_received", "BGP messages received.", func(m *frr.MessageCounts) uint64 { return m.TotalReceived }),
	}
}

func bfdSeries() []series[frr.BFDState] {
	type state = frr.BFDState
	count := func(name, help string, value func(*frr.BFDCounters) uint64) series[state] {
		return series[state]{desc("bfd", name, help), prometheus.CounterValue, func(s *state) float64 { return float64(value(&s.Counters)) }}
	}
	return []series[state]{
		{desc("bfd", "session_up", "1 while the BFD session is up."), prometheus.GaugeValue, func(s *state) float64 { return one(s.Up()) }},
		count("control_packet_input", "BFD control packets received.", func(c *frr.BFDCounters) uint64 { return c.ControlIn }),
		count("control_packet_output", "BFD control packets sent.", func(c *frr.BFDCounters) uint64 { return c.ControlOut }),
		count("echo_packet_input", "BFD echo packets received.", func(c *frr.BFDCounters) uint64 { return c.EchoIn }),
		count("echo_packet_output", "BFD echo packets sent.", func(c *frr.BFDCounters) uint64 { return c.EchoOut }),
		count("session_up_events", "Times that the BFD session came up.", func(c *frr.BFDCounters) uint64 { return c.Ups }),
		count("session_down_events", "Times that the BFD session went down.", func(c *frr.BFDCounters) uint64 { return c.Downs }),
		count("zebra_notifications", "Notifications about the BFD session that zebra was sent.", func(c *frr.BFDCounters) uint64 { return c.Notifications }),
	}
}

func desc(sub, name, help string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName("metallb", sub, name), help, []string{"peer", "vrf"}, nil)
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// Describe implements prometheus.Collector.
func (f *FRR) Describe(ch chan<- *prometheus.Desc) {
	for _, s := range f.bgp {
		ch <- s.desc
	}
	for _, s := range f.bfd {
		ch <- s.desc
	}
}

// Collect implements prometheus.Collector. A scrape that FRR does not answer
// gets no series, and counts as an error.
func (f *FRR) Collect(ch chan<- prometheus.Metric) {
	state, err := f.ask.get()
	if err != nil {
		f.errors.Inc()
		return
	}
	// The same labels twice would cost the whole scrape.
	type labels struct{ peer, vrf string }
	seen := map[labels]bool{}
	for i := range state.Sessions {
		s := &state.Sessions[i]
		l := labels{s.Neighbor, vrfLabel(s.VRF)}
		if s.Numbered() {
			l.peer = net.JoinHostPort(s.Neighbor, strconv.Itoa(int(s.Port)))
		}
		if !seen[l] {
			seen[l] = true
			emit(ch, f.bgp, s, l.peer, l.vrf)
		}
	}
	clear(seen)
	for i := range state.BFD {
		b := &state.BFD[i]
		l := labels{b.Peer.String(), vrfLabel(b.VRF)}
		if s := state.Session(b.VRF, b.Interface); s != nil && b.Peer.IsLinkLocalUnicast() {
			l.peer = b.Interface
		}
		if !seen[l] {
			seen[l] = true
			emit(ch, f.bfd, b, l.peer, l.vrf)
		}
	}
}

func emit[S any](ch chan<- prometheus.Metric, list []series[S], state *S, peer, vrf string) {
	for _, s := range list {
		ch <- prometheus.MustNewConstMetric(s.desc, s.kind, s.value(state), peer, vrf)
	}
}

func vrfLabel(vrf string) string {
	if vrf == "" {
		return "default"
	}
	return vrf
}

// once is a question that is asked by one at a time, and whose answer, or error,
// serves all who come within a second.
type once[T any] struct {
	do   func(context.Context) (T, error)
	turn chan struct{}

	// With the turn:
	at    time.Time
	value T
	err   error
}

func newOnce[T any](do func(context.Context) (T, error)) *once[T] {
	return &once[T]{do: do, turn: make(chan struct{}, 1)}
}

func (o *once[T]) get() (T, error) {
	o.turn <- struct{}{}
	defer func() { <-o.turn }()
	if o.at.IsZero() || time.Since(o.at) > fresh {
		// Not the caller's context: the answer is for those who wait too.
		ctx, cancel := context.WithTimeout(context.Background(), frrLimit)
		defer cancel()
		o.value, o.err = o.do(ctx)
		o.at = time.Now()
	}
	return o.value, o.err
}

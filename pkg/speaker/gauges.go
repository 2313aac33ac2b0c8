// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"
	"slices"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// gauges keeps the series of what is announced: one per Service and address.
type gauges struct {
	metrics *telemetry.Speaker
	node    string
	shown   *plan.Result
	layer2  []answered
}

type announced struct {
	service  intent.Key
	protocol string
	addr     netip.Addr
}

// set shows what r announces over BGP. Series come and go with what changed since it was
// called before.
func (g *gauges) set(r *plan.Result) {
	was, is := r.Changed(g.shown)
	now := map[announced]bool{}
	for _, d := range is {
		for _, a := range series(d) {
			now[a] = true
		}
	}
	for _, d := range was {
		for _, a := range series(d) {
			if !now[a] {
				g.metrics.Announced.DeleteLabelValues(a.service.String(), a.protocol, g.node, a.addr.String())
			}
		}
	}
	for a := range now {
		g.metrics.Announced.WithLabelValues(a.service.String(), a.protocol, g.node, a.addr.String()).Set(1)
	}
	g.shown = r
}

// series are those of a Decision.
func series(d plan.Decision) []announced {
	if !d.Announce {
		return nil
	}
	out := make([]announced, len(d.Addresses))
	for i, a := range d.Addresses {
		out[i] = announced{d.Service, d.Protocol, a}
	}
	return out
}

// setLayer2 shows what the node announces in layer 2: all of it, sorted by
// Service, and not written any more. Series come and go with what changed since it
// was called before.
func (g *gauges) setLayer2(now []answered) {
	was := g.layer2
	g.layer2 = now
	for len(was) > 0 || len(now) > 0 {
		switch order := compareAnswered(was, now); {
		case order < 0:
			g.layer2Series(was[0].service, was[0].addrs, nil)
			was = was[1:]
		case order > 0:
			g.layer2Series(now[0].service, nil, now[0].addrs)
			now = now[1:]
		default:
			g.layer2Series(now[0].service, was[0].addrs, now[0].addrs)
			was, now = was[1:], now[1:]
		}
	}
}

// compareAnswered says which of two lists goes on with the lesser Service; one that
// is at its end does with none.
func compareAnswered(a, b []answered) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return a[0].service.Compare(b[0].service)
}

// layer2Series replaces a Service's series.
func (g *gauges) layer2Series(service intent.Key, was, now []netip.Addr) {
	if slices.Equal(was, now) {
		return
	}
	for _, a := range was {
		if !slices.Contains(now, a) {
			g.metrics.Announced.DeleteLabelValues(service.String(), "layer2", g.node, a.String())
		}
	}
	for _, a := range now {
		g.metrics.Announced.WithLabelValues(service.String(), "layer2", g.node, a.String()).Set(1)
	}
}

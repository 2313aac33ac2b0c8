// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// gauges keeps the series of what is announced: one per Service and address.
type gauges struct {
	metrics *telemetry.Speaker
	node    string
	shown   *plan.Result
}

type announced struct {
	service  intent.Key
	protocol string
	addr     netip.Addr
}

// set shows what r announces. Series come and go with what changed since it was
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

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
	shown   map[announced]bool
}

type announced struct {
	service intent.Key
	addr    netip.Addr
}

func (g *gauges) set(r *plan.Result) {
	now := make(map[announced]bool, len(r.Decisions))
	for _, d := range r.Decisions {
		if !d.Announce {
			continue
		}
		for _, a := range d.Addresses {
			k := announced{d.Service, a}
			now[k] = true
			if !g.shown[k] {
				g.metrics.Announced.WithLabelValues(d.Service.String(), d.Protocol, g.node, a.String()).Set(1)
			}
		}
	}
	for k := range g.shown {
		if !now[k] {
			g.metrics.Announced.DeleteLabelValues(k.service.String(), "bgp", g.node, k.addr.String())
		}
	}
	g.shown = now
}

// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"
	"slices"
	"time"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/l2"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/status"
)

// answered is a Service that the node announces in layer 2, as its engine has it.
type answered struct {
	service intent.Key
	addrs   []netip.Addr // sorted, those that the node owns; at least one
	links   []string     // sorted; nil: all that can
}

// answered returns what the engine announces, sorted by Service.
func (l *layer2) answered(r *plan.Result) []answered {
	var out []answered
	engine := l.engine
	for i := range r.L2 {
		d := &r.L2[i]
		var one answered
		for _, addr := range d.Addresses {
			st := engine.Status(addr)
			if st.State != l2.Owner {
				continue
			}
			one.addrs = append(one.addrs, addr)
			if a := r.Plan.Announcement(addr); a != nil && a.Links != nil {
				one.links = append(one.links, st.Links...)
			}
		}
		if one.addrs == nil {
			continue
		}
		one.service = d.Service
		slices.SortFunc(one.addrs, netip.Addr.Compare)
		slices.Sort(one.links)
		one.links = slices.Compact(one.links)
		out = append(out, one)
	}
	return out
}

// strangers returns the addresses that stations have which are no speakers',
// sorted.
func (l *layer2) strangers() []v1beta1.ForeignOwner {
	var out []v1beta1.ForeignOwner
	for addr, f := range l.foreign {
		st := l.engine.Status(addr)
		if st.State != l2.Foreign {
			delete(l.foreign, addr)
			continue
		}
		f.MAC = st.MAC.String()
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b v1beta1.ForeignOwner) int {
		return netip.MustParseAddr(a.Address).Compare(netip.MustParseAddr(b.Address))
	})
	return out
}

// heardEngine takes in what happened to an address, or to a link.
func (s *Speaker) heardEngine(ev l2.Event) {
	var services []*intent.Service
	if s.result != nil {
		services = s.result.Sharing(ev.Addr)
	}
	s.heardLayer2(ev, services)
	if _, known := s.layer2.foreign[ev.Addr]; ev.Kind == l2.ForeignOwner && !known {
		s.layer2.foreign[ev.Addr] = v1beta1.ForeignOwner{Address: ev.Addr.String(), Interface: ev.Link, Since: status.At(ev.At)}
	}
	s.layer2.look()
}

// tellLayer2 looks at what the engine has, and tells of it.
func (s *Speaker) tellLayer2() {
	l := s.layer2
	l.armed, l.looked = false, time.Now()
	now := l.answered(s.result)
	s.gauges.setLayer2(now)
	if l.member() {
		s.l2status.offer(now)
	}
	s.report()
}

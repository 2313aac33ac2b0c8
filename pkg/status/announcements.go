// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// Sources is what tells where Services are announced from.
type Sources struct {
	Intent *intent.Intent
	// BGP is made from Intent. It leaves out the nodes that are not ready.
	BGP *plan.Announcers
	// Layer2 is what the speakers say that they announce, sorted by Service, as
	// the labels have it.
	Layer2    []*v1beta1.ServiceL2Status
	Reports   *Reports
	Conflicts *Conflicts
}

// Announcements say of each Service where it is announced from.
type Announcements struct {
	// Each is one per Service in the order of the Intent's; nil: it has no
	// address. What says the same as before is the same pointer.
	Each []*Announced

	from       Sources
	candidates *plan.Candidates
	carried    map[*plan.Reach]*carried
	each       []inputs
	ready      map[string]bool                         // nodes
	holders    map[netip.Addr]*v1beta1.ServiceL2Status // made when asked for
}

// inputs is what was looked at for a Service.
type inputs struct {
	service *intent.Service
	carried *carried
	layer2  []*v1beta1.ServiceL2Status
}

func (in *inputs) same(o *inputs) bool {
	return in.service == o.service && in.carried == o.carried && slices.Equal(in.layer2, o.layer2)
}

// carried is where the Services that share a Reach are announced from over BGP, by
// family.
type carried struct{ v4, v6 route }

// route is that of one family.
type route struct {
	from string // empty: from nowhere
	// not is why, where nodes mean to; without a Reason: none does.
	not plan.Obstacle
}

func (c *carried) of(f bgp.Family) route {
	if f == bgp.IPv4 {
		return c.v4
	}
	return c.v6
}

// NewAnnouncements works out where Services are announced from. prev, which may be
// nil, is the result before: what depends on nothing that changed is taken from it.
func NewAnnouncements(prev *Announcements, from Sources) *Announcements {
	n := &Announcements{from: from, carried: map[*plan.Reach]*carried{}}
	var candidates *plan.Candidates
	if prev == nil {
		prev = &Announcements{}
	} else {
		candidates = prev.candidates
	}
	n.candidates = plan.NewCandidates(candidates, from.Intent.Config)
	again := prev.from.Intent == nil || prev.from.Intent.Config != from.Intent.Config || !prev.from.Conflicts.Equal(from.Conflicts)
	if n.ready = prev.ready; again {
		n.ready = map[string]bool{}
		for _, node := range from.Intent.Nodes {
			n.ready[node.Name] = node.Ready
		}
	}
	n.carry(prev)
	n.judge(prev, again)
	return n
}

// carry works out what the sessions carry. It looks again at what has a session on
// a node where one changed.
func (n *Announcements) carry(prev *Announcements) {
	changed := n.from.Reports.changed(prev.from.Reports)
	for _, r := range n.from.BGP.Reaches {
		if n.carried[r] != nil {
			continue
		}
		was := prev.carried[r]
		if was != nil && !slices.ContainsFunc(r.Nodes, func(node string) bool { return changed[node] }) {
			n.carried[r] = was
			continue
		}
		now := &carried{v4: n.from.Reports.route(r, bgp.IPv4), v6: n.from.Reports.route(r, bgp.IPv6)}
		if was != nil && *was == *now {
			now = was
		}
		n.carried[r] = now
	}
}

// judge fills Each. Unless again, what has the same inputs as in prev is taken from
// there.
func (n *Announcements) judge(prev *Announcements, again bool) {
	services, layer2 := n.from.Intent.Services, n.from.Layer2
	n.Each, n.each = make([]*Announced, len(services)), make([]inputs, len(services))
	at := 0
	for i, s := range services {
		for at < len(prev.each) && prev.each[at].service.Key.Compare(s.Key) < 0 {
			at++
		}
		var was *Announced
		var before inputs
		if at < len(prev.each) && prev.each[at].service.Key == s.Key {
			was, before = prev.Each[at], prev.each[at]
		}
		in := inputs{service: s, carried: n.carried[n.from.BGP.Reaches[i]]}
		in.layer2, layer2 = about(layer2, s.Key)
		n.each[i] = in
		if len(s.Addresses) == 0 {
			continue
		}
		if !again && was != nil && before.same(&in) && s.Sharing == nil {
			n.Each[i] = was
			continue
		}
		now := n.announced(i)
		if was.Equal(now) {
			now = was
		}
		n.Each[i] = now
	}
}

// about returns the objects about a Service, and those about later ones.
func about(all []*v1beta1.ServiceL2Status, key intent.Key) (own, rest []*v1beta1.ServiceL2Status) {
	for len(all) > 0 && serviceOf(all[0]).Compare(key) < 0 {
		all = all[1:]
	}
	end := 0
	for end < len(all) && serviceOf(all[end]) == key {
		end++
	}
	return all[:end:end], all[end:]
}

func serviceOf(s *v1beta1.ServiceL2Status) intent.Key {
	return intent.Key{Namespace: s.Labels[v1beta1.LabelServiceNamespace], Name: s.Labels[v1beta1.LabelServiceName]}
}

func (n *Announcements) announced(i int) *Announced {
	in := &n.each[i]
	places := make([]place, len(in.service.Addresses))
	for j, addr := range in.service.Addresses {
		p := &places[j]
		route := in.carried.of(bgp.FamilyOf(addr))
		p.bgp, p.noBGP = route.from, route.not
		p.layer2 = n.answered(in, addr)
		if p.bgp == "" && p.noBGP.Reason == "" {
			p.noBGP = n.from.BGP.Why(i, bgp.FamilyOf(addr))
		}
		if p.layer2 == "" {
			p.noLayer2 = n.unanswered(in.service, addr)
		}
		p.wantBGP = p.bgp == "" && p.noBGP.Meant()
		p.wantLayer2 = p.layer2 == "" && p.noLayer2.Meant()
	}
	return announcedOf(in.service.Addresses, places)
}

// answered says who answers for an address in layer 2, of the nodes that are ready.
func (n *Announcements) answered(in *inputs, addr netip.Addr) string {
	var nodes, links []string
	all := false
	for _, s := range in.layer2 {
		if !n.ready[s.Status.Node] || !names(s, addr) {
			continue
		}
		nodes = append(nodes, s.Status.Node)
		all = all || len(s.Status.Interfaces) == 0
		for _, link := range s.Status.Interfaces {
			links = append(links, link.Name)
		}
	}
	if len(nodes) == 0 {
		return ""
	}
	if all {
		links = nil
	}
	slices.Sort(nodes)
	slices.Sort(links)
	return over(slices.Compact(nodes), "layer2", "interfaces", slices.Compact(links))
}

// names reports whether a node announces an address of the Service. An object that
// names none, as those of MetalLB's speakers, is about all.
func names(s *v1beta1.ServiceL2Status, addr netip.Addr) bool {
	return s.Status.Node != "" && (len(s.Status.Addresses) == 0 || slices.Contains(s.Status.Addresses, addr.String()))
}

// unanswered says why nobody answers for an address of a Service.
func (n *Announcements) unanswered(s *intent.Service, addr netip.Addr) plan.Obstacle {
	can, why := n.candidates.Of(s, addr)
	switch {
	case len(can) == 0:
		return why
	case n.from.Conflicts.among([]netip.Addr{addr}):
		return plan.Obstacle{Reason: ReasonForeignOwner, Message: "another station has the address; see the condition " + v1beta1.ConditionAddressConflict}
	}
	if other := n.holder(s, addr); other != nil {
		return plan.Obstacle{Reason: plan.OwnerServesOthers, Message: fmt.Sprintf("node %s announces it for Service %s and cannot announce this one; give Services that share an address the same externalTrafficPolicy and L2Advertisements", other.Status.Node, serviceOf(other))}
	}
	return plan.Obstacle{Reason: ReasonNotReported, Message: fmt.Sprintf("%s could, and no speaker says that it does; see the speakers' logs", List(can))}
}

// holder returns what says that a node that is ready announces the address for
// another Service; nil: nothing.
func (n *Announcements) holder(s *intent.Service, addr netip.Addr) *v1beta1.ServiceL2Status {
	if s.Sharing == nil {
		return nil
	}
	if n.holders == nil {
		n.holders = map[netip.Addr]*v1beta1.ServiceL2Status{}
		for _, l2 := range n.from.Layer2 {
			for _, text := range l2.Status.Addresses {
				if a, err := netip.ParseAddr(text); err == nil && n.ready[l2.Status.Node] && n.holders[a] == nil {
					n.holders[a] = l2
				}
			}
		}
	}
	return n.holders[addr]
}

// changed returns the nodes of whose sessions r and prev, which may be nil, report
// other states.
func (r *Reports) changed(prev *Reports) map[string]bool {
	if prev == nil {
		prev = &Reports{}
	}
	nodes := map[string]bool{}
	for _, two := range [][2]*Reports{{r, prev}, {prev, r}} {
		for peer, sessions := range two[0].sessions {
			for node, s := range sessions {
				if other, reported := two[1].sessions[peer][node]; !reported || other.State != s.State {
					nodes[node] = true
				}
			}
		}
	}
	return nodes
}

// route says where Services of a Reach are announced from. A node counts while one
// of the sessions that carry the family is Established.
func (r *Reports) route(reach *plan.Reach, f bgp.Family) route {
	var nodes []string
	with := map[string]bool{}
	down, unknown := map[string][]string{}, map[string][]string{} // nodes by peer
	for i, node := range reach.Nodes {
		up := false
		for _, peer := range reach.Peers(i, f) {
			switch s, reported := r.sessions[peer][node]; {
			case !reported:
				unknown[peer] = append(unknown[peer], node)
			case s.State == v1beta1.SessionEstablished:
				up, with[peer] = true, true
			default:
				down[peer] = append(down[peer], node)
			}
		}
		if up {
			nodes = append(nodes, node)
		}
	}
	switch {
	case len(nodes) > 0:
		return route{from: over(nodes, "bgp", "peers", slices.Sorted(maps.Keys(with)))}
	case len(down) > 0:
		return route{not: plan.Obstacle{Reason: ReasonNoSessionEstablished, Message: "no BGP session is Established: " + byPeer(down, unknown) + "; see the BGPPeers"}}
	case len(unknown) > 0:
		return route{not: plan.Obstacle{Reason: ReasonNotReported, Message: "no speaker has reported a BGP session: " + byPeer(down, unknown) + "; see the speakers' logs"}}
	}
	return route{}
}

// byPeer names BGPPeers with the nodes on which their sessions are not Established.
func byPeer(down, unknown map[string][]string) string {
	peers := map[string]bool{}
	for _, by := range []map[string][]string{down, unknown} {
		for peer := range by {
			peers[peer] = true
		}
	}
	var texts []string
	for _, peer := range slices.Sorted(maps.Keys(peers)) {
		var parts []string
		if nodes := down[peer]; len(nodes) > 0 {
			parts = append(parts, "down on "+List(nodes))
		}
		if nodes := unknown[peer]; len(nodes) > 0 {
			parts = append(parts, "unknown on "+List(nodes))
		}
		texts = append(texts, peer+" ("+strings.Join(parts, ", ")+")")
	}
	return List(texts)
}

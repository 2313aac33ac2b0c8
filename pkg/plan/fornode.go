// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	"metallb.io/metallb-frr/pkg/intent"
)

// Result is what ForNode made: the plan, why, and what is wrong between the
// peers that meet on the node.
type Result struct {
	Plan      *NodePlan
	Decisions []Decision // about BGP, one per Service, in their order
	// L2 are the Decisions about layer 2, one per Service in their order; none
	// where there is no L2Advertisement.
	L2       []Decision
	Findings []intent.Finding

	in       *intent.Intent // as BGP goes by it
	facts    NodeFacts
	view     *view
	layer2   *elections
	verdicts []*verdict
	routes   routes

	made, from  *mark
	gone, fresh []*verdict // against the Result that it was made from
}

// Changed returns the Decisions of prev that do not stand any more and those that
// are new, each in the order of the Services. A Service of which something changed
// is in both. Where r was made from prev the cost is that of what changed. A nil
// prev has none.
func (r *Result) Changed(prev *Result) (was, is []Decision) {
	switch {
	case prev == nil:
		return nil, r.Decisions
	case r == prev:
		return nil, nil
	case r.from == nil || r.from != prev.made:
		return prev.Decisions, r.Decisions
	}
	return decisionsOf(r.gone), decisionsOf(r.fresh)
}

// ChangedL2 is Changed for the Decisions about layer 2.
func (r *Result) ChangedL2(prev *Result) (was, is []Decision) {
	switch {
	case prev == nil:
		return nil, r.L2
	case r.layer2 == prev.layer2:
		return nil, nil
	case r.layer2.from == nil || r.layer2.from != prev.layer2.made:
		return prev.L2, r.L2
	}
	return r.layer2.gone, r.layer2.fresh
}

func decisionsOf(verdicts []*verdict) []Decision {
	out := make([]Decision, len(verdicts))
	for i, v := range verdicts {
		out[i] = v.decision
	}
	return out
}

// ForNode plans one node. prev, which may be nil, is the same node's Result
// before: what depends on nothing that changed is taken from it.
func ForNode(prev *Result, in *intent.Intent, facts NodeFacts) *Result {
	r := &Result{in: in, facts: facts, made: new(mark)}
	r.elect(prev)
	if facts.Passed != nil {
		r.in = facts.Passed
	}
	if prev != nil && prev.in.Config == in.Config && prev.facts.bgp() == facts.bgp() {
		r.view = prev.view
	} else {
		r.view, prev = newView(in.Config, facts), nil
	}
	r.Findings = r.view.findings
	r.gone, r.fresh = r.judge(prev)
	if prev == nil {
		prev = &Result{Plan: &NodePlan{}}
	}
	r.from = prev.made
	touched := r.routes.join(r.view, prev.routes, r.gone, r.fresh)
	r.Plan = r.view.plan(prev, &r.routes, touched)
	r.Plan.Announcements = r.layer2.announcements
	return r
}

// elect decides who announces in layer 2.
func (r *Result) elect(prev *Result) {
	var before *elections
	if prev != nil {
		before = prev.layer2
	}
	r.layer2 = elect(before, r.in, r.facts)
	r.L2 = r.layer2.decisions
}

// judge fills verdicts and Decisions. It returns those of prev's verdicts that do
// not stand any more and those that are new.
func (r *Result) judge(prev *Result) (gone, fresh []*verdict) {
	if prev == nil {
		prev = &Result{in: &intent.Intent{}}
	}
	before, now := prev.in.Services, r.in.Services
	verdicts, went, came := carry(before, now, prev.verdicts)
	r.verdicts = verdicts
	r.Decisions, _, _ = carry(before, now, prev.Decisions)
	for _, i := range went {
		gone = append(gone, prev.verdicts[i])
	}
	for _, i := range came {
		verdicts[i] = r.view.judge(now[i])
		r.Decisions[i] = verdicts[i].decision
		fresh = append(fresh, verdicts[i])
	}
	return gone, fresh
}

// view is what a node sees of the Config: everything about announcing that does
// not depend on a Service.
type view struct {
	config   *intent.Config
	facts    NodeFacts
	node     *intent.Node
	routers  []*Router
	findings []intent.Finding
	sets     map[string]*adSet // by class name
	profiles []*intent.BFDProfile
	extras   *intent.Extras
}

// adSet is a class on this node and who it goes to.
type adSet struct {
	class   *Class
	exports map[*Session]Export
	routers []bool // by index of view.routers: some session there carries it
	peers   []string
}

func newView(c *intent.Config, facts NodeFacts) *view {
	v := &view{config: c, facts: facts, node: c.Node(facts.Name), sets: map[string]*adSet{}}
	if v.node == nil {
		return v
	}
	v.routers, v.findings = RoutersFor(c, v.node)
	for _, r := range v.routers {
		r.Marked = v.node.Leaving != nil
	}
	extras, findings := extrasFor(c, v.routers, v.node)
	v.extras, v.findings = extras, append(v.findings, findings...)
	profiles := map[string]*intent.BFDProfile{}
	for _, r := range v.routers {
		for _, s := range r.Sessions {
			if s.BFD != nil {
				profiles[s.BFD.Name] = s.BFD
			}
		}
	}
	v.profiles = slices.SortedFunc(maps.Values(profiles), func(a, b *intent.BFDProfile) int { return cmp.Compare(a.Name, b.Name) })
	return v
}

// plan puts routes into the node's BGP instances. Only the prefixes in touched
// differ from those of prev's.
func (v *view) plan(prev *Result, routes *routes, touched []netip.Prefix) *NodePlan {
	p := &NodePlan{Node: v.facts.Name, BFDProfiles: v.profiles, Extras: v.extras}
	sameClasses := routes.number(&prev.routes)
	for i, base := range v.routers {
		if sameClasses && i < len(prev.Plan.Routers) {
			p.Routers = append(p.Routers, routes.patch(prev.Plan.Routers[i], i, touched))
		} else {
			p.Routers = append(p.Routers, v.fill(i, base, routes))
		}
	}
	return p
}

// fill makes a router with classes, exports and routes out of the view's.
func (v *view) fill(i int, base *Router, routes *routes) *Router {
	r := *base
	r.made = new(mark)
	r.Routes = make(map[netip.Prefix]*Route, routes.by.size())
	r.Sessions = make([]*Session, len(base.Sessions))
	for j, s := range base.Sessions {
		copied := *s
		r.Sessions[j] = &copied
	}
	for _, c := range routes.classes {
		set := v.sets[c.Name]
		if !set.routers[i] {
			continue
		}
		r.Classes = append(r.Classes, c)
		for j, s := range base.Sessions {
			if e, ok := set.exports[s]; ok {
				e.Class = c
				r.Sessions[j].Exports = append(r.Sessions[j].Exports, e)
			}
		}
	}
	for prefix, route := range routes.by.all() {
		if route.set.routers[i] {
			r.Routes[prefix] = routes.route(route)
		}
	}
	return &r
}

// patch returns prev, the router of index i before, with the touched routes as
// they are now.
func (rs *routes) patch(prev *Router, i int, touched []netip.Prefix) *Router {
	if len(touched) == 0 {
		return prev
	}
	r := *prev
	r.made, r.from, r.touched = new(mark), prev.made, touched
	r.Routes = maps.Clone(prev.Routes)
	for _, prefix := range touched {
		if route := rs.by.get(prefix); route != nil && route.set.routers[i] {
			r.Routes[prefix] = rs.route(route)
		} else {
			delete(r.Routes, prefix)
		}
	}
	return &r
}

// Sharing returns the Services that have an address and may be announced in layer
// 2, sorted by key; none where there is no L2Advertisement.
func (r *Result) Sharing(addr netip.Addr) []*intent.Service {
	if s := r.layer2.seat(addr); s != nil {
		return s.services
	}
	return nil
}

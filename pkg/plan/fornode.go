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
	Decisions []Decision // one per Service, in their order
	Findings  []intent.Finding

	in       *intent.Intent
	facts    NodeFacts
	view     *view
	verdicts []*verdict
}

// ForNode plans one node. prev, which may be nil, is the same node's Result
// before: what depends on nothing that changed is taken from it.
func ForNode(prev *Result, in *intent.Intent, facts NodeFacts) *Result {
	r := &Result{in: in, facts: facts}
	if prev != nil && prev.in.Config == in.Config && prev.facts == facts {
		r.view = prev.view
	} else {
		r.view, prev = newView(in.Config, facts), nil
	}
	r.Findings = r.view.findings
	r.judge(prev)
	r.Plan = r.view.plan(r.verdicts)
	return r
}

// judge fills verdicts and Decisions, walking prev's in step.
func (r *Result) judge(prev *Result) {
	r.verdicts = make([]*verdict, len(r.in.Services))
	r.Decisions = make([]Decision, len(r.in.Services))
	at := 0
	for i, s := range r.in.Services {
		if prev != nil {
			for at < len(prev.in.Services) && prev.in.Services[at].Key.Compare(s.Key) < 0 {
				at++
			}
			if at < len(prev.in.Services) && prev.in.Services[at] == s {
				r.verdicts[i], r.Decisions[i] = prev.verdicts[at], prev.Decisions[at]
				continue
			}
		}
		r.verdicts[i] = r.view.judge(s)
		r.Decisions[i] = r.verdicts[i].decision
	}
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
	profiles := map[string]*intent.BFDProfile{}
	for _, r := range v.routers {
		for _, s := range r.Sessions {
			if s.Peer.BFD != nil {
				profiles[s.Peer.BFD.Name] = s.Peer.BFD
			}
		}
	}
	v.profiles = slices.SortedFunc(maps.Values(profiles), func(a, b *intent.BFDProfile) int { return cmp.Compare(a.Name, b.Name) })
	return v
}

// plan puts the Services' contributions together.
func (v *view) plan(verdicts []*verdict) *NodePlan {
	p := &NodePlan{Node: v.facts.Name, BFDProfiles: v.profiles}
	routes := v.routes(verdicts)
	used := map[string]*adSet{}
	for _, c := range routes {
		used[c.set.class.Name] = c.set
	}
	classes := make([]*Class, 0, len(used))
	for _, name := range slices.Sorted(maps.Keys(used)) {
		c := *used[name].class
		classes = append(classes, &c)
	}
	number(classes)
	for i, base := range v.routers {
		p.Routers = append(p.Routers, v.fill(i, base, classes, routes))
	}
	return p
}

// fill makes a router with classes, exports and routes out of the view's.
func (v *view) fill(i int, base *Router, classes []*Class, routes map[netip.Prefix]contribution) *Router {
	r := *base
	r.Routes = make(map[netip.Prefix]*Route, len(routes))
	r.Sessions = make([]*Session, len(base.Sessions))
	numbered := map[string]*Class{}
	for j, s := range base.Sessions {
		copied := *s
		r.Sessions[j] = &copied
	}
	for _, c := range classes {
		set := v.sets[c.Name]
		if !set.routers[i] {
			continue
		}
		r.Classes = append(r.Classes, c)
		numbered[c.Name] = c
		for j, s := range base.Sessions {
			if e, ok := set.exports[s]; ok {
				e.Class = c
				r.Sessions[j].Exports = append(r.Sessions[j].Exports, e)
			}
		}
	}
	for prefix, c := range routes {
		if class := numbered[c.set.class.Name]; class != nil {
			r.Routes[prefix] = &Route{Prefix: prefix, Class: class, Services: c.services}
		}
	}
	return &r
}

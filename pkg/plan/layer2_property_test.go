// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// lan is a cluster that announces in layer 2 and changes at random.
type lan struct {
	*rand.Rand
	t                            *testing.T
	nodes, states, ads, services map[string]string           // manifests by name
	known                        map[string]*intent.Snapshot // by manifest
	alive                        *plan.Alive
	held                         *plan.Held
	forwards                     map[string]bool
}

const lanNodes, lanServices = 6, 14

func newLAN(t *testing.T, seed uint64) *lan {
	l := &lan{Rand: rand.New(rand.NewPCG(seed, 11)), t: t, nodes: map[string]string{}, states: map[string]string{}, ads: map[string]string{}, services: map[string]string{}, forwards: map[string]bool{}, known: map[string]*intent.Snapshot{}}
	for i := range lanNodes {
		l.node(fmt.Sprintf("n%d", i))
	}
	for range 3 {
		l.ad()
	}
	for range 2 * lanServices {
		l.service()
	}
	return l
}

func (l *lan) often(n int) bool { return l.IntN(n) == 0 }

func (l *lan) someNodes() []string {
	var some []string
	for i := range lanNodes {
		if l.often(3) {
			some = append(some, fmt.Sprintf("n%d", i))
		}
	}
	return some
}

func (l *lan) node(name string) {
	meta := ", labels: {kubernetes.io/hostname: " + name + ", rack: r" + fmt.Sprint(l.IntN(3))
	if l.often(8) {
		meta += ", node.kubernetes.io/exclude-from-external-load-balancers: x"
	}
	meta += "}"
	if l.often(4) {
		meta += fmt.Sprintf(", annotations: {metallb.io/l2-weight: '%d'}", l.IntN(30)-15)
	}
	l.nodes[name], l.forwards[name] = node(name, meta, ready), !l.often(8)
	delete(l.states, name)
	if !l.often(3) {
		var list []string
		for i := range l.IntN(4) {
			list = append(list, fmt.Sprintf("eth%d %s", i, []string{"192.0.2.1/28", "192.0.2.17/28 fd00::1/64", "fe80::1/64 192.0.2.17/28 fd00::1/64", "fe80::1/64 198.51.100.1/24"}[l.IntN(4)]))
		}
		l.states[name] = links(name, list...)
	}
}

func (l *lan) ad() {
	name := fmt.Sprintf("ad%d", l.IntN(4))
	var spec []string
	if l.often(3) {
		spec = append(spec, fmt.Sprintf("nodeSelectors: [{matchLabels: {rack: r%d}}, {matchLabels: {kubernetes.io/hostname: n%d}}]", l.IntN(3), l.IntN(lanNodes)))
	}
	if l.often(3) {
		spec = append(spec, fmt.Sprintf("serviceSelectors: [{matchLabels: {name: s%02d}}, {matchLabels: {name: s%02d}}]", l.IntN(lanServices), l.IntN(lanServices)))
	}
	if l.often(3) {
		spec = append(spec, fmt.Sprintf("interfaces: [eth%d, eth2]", l.IntN(3)))
	}
	if l.often(2) {
		spec = append(spec, fmt.Sprintf("preferredNodeSelectors: [{weight: %d, preference: {matchLabels: {rack: r%d}}}]", 1+l.IntN(20), l.IntN(3)))
	}
	l.ads[name] = l2(name, strings.Join(spec, ", "))
}

func (l *lan) service() {
	name := fmt.Sprintf("s%02d", l.IntN(lanServices))
	if l.often(5) {
		delete(l.services, name)
		return
	}
	policy := ""
	if l.often(3) {
		policy = local
	}
	addrs := []string{fmt.Sprintf("192.0.2.%d", 2*l.IntN(16)), fmt.Sprintf("fd00::%x", l.IntN(8))}
	l.services[name] = service(name, strings.Join(addrs[l.IntN(2):], " "), policy, l.someNodes()...)
}

// change changes one thing, or a few.
func (l *lan) change() {
	switch i := l.IntN(20); {
	case i == 0:
		l.node(fmt.Sprintf("n%d", l.IntN(lanNodes)))
	case i == 1:
		l.ad()
	case i == 2:
		name := fmt.Sprintf("n%d", l.IntN(lanNodes))
		delete(l.nodes, name)
	case i == 3:
		name := fmt.Sprintf("n%d", l.IntN(lanNodes))
		l.forwards[name] = !l.forwards[name]
	case i < 9:
		l.alive = nil
		if !l.often(5) {
			l.alive = plan.NewAlive(append(l.someNodes(), l.someNodes()...)...)
		}
	case i < 12:
		l.held = l.held.With([]netip.Addr{addr("192.0.2." + fmt.Sprint(2*l.IntN(16)))}, []netip.Addr{addr("192.0.2." + fmt.Sprint(2*l.IntN(16)))})
	default:
		for range 1 + l.IntN(3) {
			l.service()
		}
	}
}

var addr = netip.MustParseAddr

// snapshot has the same object for the same manifest, as a cache does.
func (l *lan) snapshot() *intent.Snapshot {
	s := &intent.Snapshot{Namespace: "metallb-system"}
	for _, docs := range []map[string]string{{"": l2pool}, l.nodes, l.states, l.ads, l.services} {
		for _, doc := range docs {
			if l.known[doc] == nil {
				l.known[doc] = read(l.t, doc)
			}
			o := l.known[doc]
			s.Pools, s.L2Ads = append(s.Pools, o.Pools...), append(s.L2Ads, o.L2Ads...)
			s.Nodes, s.States = append(s.Nodes, o.Nodes...), append(s.States, o.States...)
			s.Services, s.EndpointSlices = append(s.Services, o.Services...), append(s.EndpointSlices, o.EndpointSlices...)
		}
	}
	s.Sort()
	return s
}

func (l *lan) facts(name string) plan.NodeFacts {
	return plan.NodeFacts{Name: name, Forwarding: l.forwards[name], Alive: l.alive, Held: l.held}
}

func layer2(r *plan.Result) string {
	var out strings.Builder
	for _, a := range r.Plan.Announcements {
		fmt.Fprintf(&out, "%+v\n", a)
	}
	for _, d := range r.L2 {
		fmt.Fprintf(&out, "%+v\n", d)
	}
	return out.String()
}

// Over any history, electing with what was elected before gives what electing
// anew gives, leaves what was before as it was, and says what changed.
func TestElectionsWithPrevious(t *testing.T) {
	kept, own := 0, 0
	for seed := range uint64(8) {
		l := newLAN(t, seed)
		var in *intent.Intent
		var prev *plan.Result
		for step := range 60 {
			l.change()
			snapshot := l.snapshot()
			in = intent.Resolve(in, snapshot)
			before, was := prev, ""
			if before != nil {
				was = layer2(before)
			}
			prev = plan.ForNode(prev, in, l.facts("n1"))
			fresh := plan.ForNode(nil, intent.Resolve(nil, snapshot), l.facts("n1"))
			if d := cmp.Diff(layer2(fresh), layer2(prev)); d != "" {
				t.Fatalf("seed %d, step %d (-anew +with previous):\n%s", seed, step, d)
			}
			if before != nil && layer2(before) != was {
				t.Fatalf("seed %d, step %d: electing changed what was elected before", seed, step)
			}
			kept += checkChangedL2(t, before, prev)
			for _, a := range prev.Plan.Announcements {
				if a.Own {
					own++
				}
			}
		}
	}
	if kept == 0 || own == 0 {
		t.Errorf("%d decisions were kept, %d addresses announced: nothing was compared", kept, own)
	}
}

// checkChangedL2: what was before, without what ChangedL2 says is gone and with
// what it says is new, is what is. It returns how many it says nothing about.
func checkChangedL2(t *testing.T, before, after *plan.Result) int {
	t.Helper()
	have := map[intent.Key]string{}
	if before != nil {
		for _, d := range before.L2 {
			have[d.Service] = fmt.Sprintf("%+v", d)
		}
	}
	was, is := after.ChangedL2(before)
	for _, d := range was {
		if have[d.Service] != fmt.Sprintf("%+v", d) {
			t.Errorf("gone is %+v, which was not there", d)
		}
		delete(have, d.Service)
	}
	kept := len(have)
	for _, d := range is {
		if _, there := have[d.Service]; there {
			t.Errorf("new is %+v beside an older one", d)
		}
		have[d.Service] = fmt.Sprintf("%+v", d)
	}
	want := map[intent.Key]string{}
	for _, d := range after.L2 {
		want[d.Service] = fmt.Sprintf("%+v", d)
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Errorf("what ChangedL2 says leads elsewhere (-want +got):\n%s", d)
	}
	sorted := func(list []plan.Decision) bool {
		return slices.IsSortedFunc(list, func(a, b plan.Decision) int { return a.Service.Compare(b.Service) })
	}
	if !sorted(was) || !sorted(is) {
		t.Errorf("not in the order of the Services: %v, %v", was, is)
	}
	return kept
}

// owners says of every address which node announces it and in which order the
// nodes stand. It fails where not exactly one of those alive does, or where what
// the nodes decide about Services does not fit.
func owners(t *testing.T, in *intent.Intent, facts func(string) plan.NodeFacts) (owners, orders map[netip.Addr]string) {
	t.Helper()
	owners, orders = map[netip.Addr]string{}, map[netip.Addr]string{}
	assigned := map[intent.Key]string{}
	for _, n := range in.Nodes {
		r := plan.ForNode(nil, in, facts(n.Name))
		own := map[netip.Addr]bool{}
		for _, a := range r.Plan.Announcements {
			order := strings.Join(a.Order, " ")
			if was, there := orders[a.Addr]; there && was != order {
				t.Fatalf("%s: node %s sees %s, others %s", a.Addr, n.Name, order, was)
			}
			orders[a.Addr] = order
			if a.Own {
				if owners[a.Addr] != "" {
					t.Fatalf("%s: owners %s and %s", a.Addr, owners[a.Addr], n.Name)
				}
				owners[a.Addr], own[a.Addr] = n.Name, true
			}
		}
		served := map[netip.Addr]bool{}
		for _, d := range r.L2 {
			for _, a := range d.Addresses {
				served[a] = true
			}
			if d.Announce != (len(d.Addresses) > 0) || d.Announce != (d.Reason == "") || d.Reason != "" && d.Message == "" {
				t.Fatalf("%+v", d)
			}
			if d.Assigned && (assigned[d.Service] != "" || d.Reason != plan.NoMatchingLink) {
				t.Fatalf("node %q and %s are assigned: %+v", assigned[d.Service], n.Name, d)
			} else if d.Assigned {
				assigned[d.Service] = n.Name
			}
		}
		if d := cmp.Diff(own, served, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
			t.Fatalf("node %s: announces (-) for Services (+):\n%s", n.Name, d)
		}
	}
	return owners, orders
}

// Whatever the cluster: every address that a node can announce has exactly one
// owner among those alive; a node that is no owner and goes moves nothing; one that
// comes, or comes back, moves only what it wins; the order of the objects does not
// matter.
func TestOneOwner(t *testing.T) {
	addresses, moved := 0, 0
	for seed := range uint64(12) {
		l := newLAN(t, seed)
		for range 10 {
			l.change()
			s := l.snapshot()
			in := intent.Resolve(nil, s)
			alive := slices.DeleteFunc(slices.Sorted(maps.Keys(l.nodes)), func(string) bool { return l.often(4) })
			facts := func(alive []string) func(string) plan.NodeFacts {
				a := plan.NewAlive(alive...)
				return func(n string) plan.NodeFacts { return plan.NodeFacts{Name: n, Forwarding: true, Alive: a} }
			}
			all, orders := owners(t, in, facts(alive))
			for a, order := range orders {
				addresses++
				if n := in.Node(all[a]); a.Is6() && n != nil && n.Links != nil && !slices.ContainsFunc(n.Links, answersNDP) {
					t.Fatalf("%s: owner %s answers no NDP: %+v", a, n.Name, n.Links)
				}
				can := slices.ContainsFunc(strings.Fields(order), func(n string) bool { return slices.Contains(alive, n) && in.Node(n).Leaving == nil })
				if can != (all[a] != "") {
					t.Fatalf("%s: owner %q of %s, alive %v", a, all[a], order, alive)
				}
			}
			for _, gone := range alive {
				less, _ := owners(t, in, facts(slices.DeleteFunc(slices.Clone(alive), func(n string) bool { return n == gone })))
				for a := range orders {
					if less[a] != all[a] && all[a] != gone {
						t.Fatalf("%s moved from %s to %s when %s died, or came back", a, all[a], less[a], gone)
					}
					if all[a] == gone {
						moved++
					}
				}
			}
			shuffle(l, s.Nodes)
			shuffle(l, s.States)
			shuffle(l, s.L2Ads)
			shuffle(l, s.Services)
			shuffle(l, s.EndpointSlices)
			s.Sort()
			again, _ := owners(t, intent.Resolve(nil, s), facts(alive))
			if d := cmp.Diff(fmt.Sprint(all), fmt.Sprint(again)); d != "" {
				t.Fatalf("in another order:\n%s", d)
			}
		}
	}
	if addresses == 0 || moved == 0 {
		t.Errorf("%d addresses, %d moves: nothing was compared", addresses, moved)
	}
}

func answersNDP(l intent.Link) bool {
	return slices.ContainsFunc(l.Prefixes, func(p netip.Prefix) bool { return p.Addr().IsLinkLocalUnicast() })
}

func shuffle[T any](l *lan, list []T) {
	l.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// A Node object that comes or goes moves what it wins or had, and nothing else.
func TestNodesComeAndGo(t *testing.T) {
	moved := 0
	for seed := range uint64(20) {
		l := newLAN(t, seed)
		l.states = map[string]string{} // where a node is in the subnet and others are not, those lose by it
		facts := func(n string) plan.NodeFacts { return plan.NodeFacts{Name: n, Forwarding: true} }
		all, _ := owners(t, intent.Resolve(nil, l.snapshot()), facts)
		for _, name := range slices.Sorted(maps.Keys(l.nodes)) {
			kept := l.nodes[name]
			delete(l.nodes, name)
			less, _ := owners(t, intent.Resolve(nil, l.snapshot()), facts)
			l.nodes[name] = kept
			for a, was := range all {
				if less[a] != was && was != name {
					t.Fatalf("seed %d: %s moved from %s to %s without %s", seed, a, was, less[a], name)
				}
				if was == name {
					moved++
				}
			}
		}
	}
	if moved == 0 {
		t.Error("no node had anything")
	}
}

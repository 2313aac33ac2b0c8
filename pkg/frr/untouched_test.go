// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
	"metallb.io/metallb-frr/pkg/frr/vtysh"
	"metallb.io/metallb-frr/pkg/plan"
)

// On the way from any Document to any other the session that is in both does not
// end, and a route that both offer the router is never gone from its kernel for a
// moment, be its attributes other ones. What is reached is what loading the
// Document afresh gives.
func TestRealFRRLeavesAloneWhatStays(t *testing.T) {
	t.Parallel()
	steps := 16
	if os.Getenv("METALLB_SOAK") != "" {
		steps = 400
	}
	node, fresh := frrtest.Start(t, frrtest.Options{}), frrtest.Start(t, frrtest.Options{})
	router := frrtest.Start(t, frrtest.Options{Listen: true})
	frrtest.Link(t, "eth0", node, "192.0.2.1/24", router, "192.0.2.2/24")
	router.Load(t, "router bgp 65000\n no bgp ebgp-requires-policy\n neighbor 192.0.2.1 remote-as 64512\n neighbor 192.0.2.1 passive\n")
	routes := router.WatchRoutes(t)
	d := vtysh.New(vtysh.Options{Command: node.Vtysh()})
	defer d.Close()

	r := newRandom(1)
	r.steady = true
	var prev *frr.Document
	var before map[string]bool
	stayed := 0
	for step := range steps {
		doc, _, p := r.planned(t, prev)
		apply(t, d, doc)
		flush(t, d, doc, routes)
		after := offered(p)
		for _, gone := range routes.Deleted() {
			if before[gone] && after[gone] {
				t.Errorf("step %d: route %s is in both and was withdrawn for a moment; the delta was:\n%s", step, gone, script(frr.Diff(prev, doc).Commands))
			}
		}
		for route := range after {
			routes.Wait(t, route)
			if before[route] {
				stayed++
			}
		}
		routes.Forget()
		if text := router.Run(t, "vtysh", "-c", "show bgp neighbors 192.0.2.1 json"); !strings.Contains(text, `"connectionsDropped":0`) {
			t.Fatalf("step %d: the session has ended; the delta was:\n%s", step, script(frr.Diff(prev, doc).Commands))
		}
		if step%4 == 3 {
			fresh.Load(t, doc.Text())
			if diff := cmp.Diff(sortedLines(fresh.Running(t)), sortedLines(node.Running(t))); diff != "" {
				t.Errorf("step %d: loaded afresh (-) and by deltas (+) it is:\n%s", step, diff)
			}
			fresh.Load(t, script(frr.Diff(doc, &frr.Document{}).Commands))
		}
		prev, before = doc, after
	}
	t.Logf("%d times a route stayed over a step", stayed)
	if stayed < steps+steps/2 { // one of them is always there
		t.Errorf("%d times a route stayed over a step: the clusters have too little in common", stayed)
	}
}

func apply(t *testing.T, d *vtysh.Driver, doc *frr.Document) {
	t.Helper()
	a, err := d.Apply(t.Context(), doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range a.Refused {
		t.Errorf("refused: %q in %q: %s", r.Line.Text, r.Line.Node, r.Message)
	}
}

// flush waits until the router has seen all that doc changed: a mark that is
// announced after it has come and gone.
func flush(t *testing.T, d *vtysh.Driver, doc *frr.Document, routes *frrtest.RouteLog) {
	t.Helper()
	kept := frr.NetworkKey{Prefix: netip.MustParsePrefix("198.18.0.1/32")}
	mark := frr.NetworkKey{Prefix: netip.MustParsePrefix("198.18.0.2/32")}
	marked := *doc
	marked.Networks = maps.Clone(doc.Networks)
	f := *doc.Networks[kept]
	f.Lines = slices.Clone(f.Lines)
	f.Lines[0].Text = strings.Replace(f.Lines[0].Text, kept.Prefix.String(), mark.Prefix.String(), 1)
	marked.Networks[mark] = &f
	apply(t, d, &marked)
	routes.Wait(t, "198.18.0.2")
	apply(t, d, doc)
	routes.WaitGone(t, "198.18.0.2")
}

// offered returns the IPv4 prefixes that the plan offers the router, as its kernel
// prints them.
func offered(p *plan.NodePlan) map[string]bool {
	all := map[string]bool{}
	for _, r := range p.Routers {
		for _, s := range r.Sessions {
			if s.ID != "192.0.2.2" {
				continue
			}
			for prefix, route := range r.Routes {
				to := slices.ContainsFunc(s.Exports, func(e plan.Export) bool { return e.Class.Name == route.Class.Name })
				if to && prefix.Addr().Is4() {
					all[strings.TrimSuffix(prefix.String(), "/32")] = true
				}
			}
		}
	}
	return all
}

func sortedLines(text string) []string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return lines
}

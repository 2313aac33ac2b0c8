// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// leavingNode is a node with an eBGP and an iBGP router and two Services; it gets
// the metadata of the Node.
const leavingNode = `
apiVersion: v1
kind: Node
metadata: {name: n1%s}
status: {addresses: [{type: InternalIP, address: 192.0.2.1}]}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: pool}
spec: {addresses: [203.0.113.0/24]}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: ad}
spec: {communities: ['65000:100'], localPref: 150}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: tor}
spec: {myASN: 64512, peerASN: 65000, peerAddress: 192.0.2.2}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: reflector}
spec: {myASN: 64512, peerASN: 64512, peerAddress: 192.0.3.2}
`

func leavingDocument(t *testing.T, leaves, marking bool) *frr.Document {
	t.Helper()
	label := ""
	if leaves {
		label = ", labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}"
	}
	var out strings.Builder
	fmt.Fprintf(&out, leavingNode, label)
	for i := range 2 {
		fmt.Fprintf(&out, "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%d}\nspec: {type: LoadBalancer, clusterIPs: [10.96.0.1]}\nstatus: {loadBalancer: {ingress: [{ip: 203.0.113.%d}]}}\n", i, i+1)
		fmt.Fprintf(&out, "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s%d-a, namespace: default, labels: {kubernetes.io/service-name: s%d}}\nendpoints: [{addresses: [10.244.0.1], nodeName: n1}]\n", i, i)
	}
	snapshot, err := intent.ReadYAML(strings.NewReader(out.String()), "metallb-system")
	if err != nil {
		t.Fatal(err)
	}
	facts := plan.NodeFacts{Name: "n1", Forwarding: true, Marking: marking}
	doc, err := frr.Build(nil, plan.ForNode(nil, intent.Resolve(nil, snapshot), facts).Plan, frr.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// path is what a router has of a route.
type path struct {
	LocPrf    int
	Community struct{ String string }
}

func (p path) String() string {
	return fmt.Sprintf("%s local-preference %d", p.Community.String, p.LocPrf)
}

// received waits until a router's two routes are as wanted; "": not there.
func received(t *testing.T, step string, r *frrtest.FRR, want string) {
	t.Helper()
	var got map[string]string
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var table struct{ Routes map[string][]path }
		text := r.Run(t, "vtysh", "-c", "show bgp ipv4 unicast detail json")
		if err := json.Unmarshal([]byte(text), &table); err != nil {
			t.Fatalf("%s: %v\n%s", step, err, text)
		}
		got = map[string]string{}
		for prefix, paths := range table.Routes {
			got[prefix] = fmt.Sprint(paths)
		}
		if want == "" && len(got) == 0 || want != "" && len(got) == 2 && got["203.0.113.1/32"] == "["+want+"]" && got["203.0.113.2/32"] == "["+want+"]" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: the router has %v, want %q on both routes", step, got, want)
		}
	}
}

// What real routers see of a node that leaves and comes back, step by step, over
// sessions that stay up.
func TestRealRoutersSeeTheNodeLeave(t *testing.T) {
	t.Parallel()
	node := frrtest.Start(t, frrtest.Options{})
	tor := frrtest.Start(t, frrtest.Options{Listen: true})
	reflector := frrtest.Start(t, frrtest.Options{Listen: true})
	frrtest.Link(t, "e0", node, "192.0.2.1/24", tor, "192.0.2.2/24")
	frrtest.Link(t, "e1", node, "192.0.3.1/24", reflector, "192.0.3.2/24")
	tor.Load(t, "router bgp 65000\n no bgp ebgp-requires-policy\n neighbor 192.0.2.1 remote-as 64512\n neighbor 192.0.2.1 passive\n")
	reflector.Load(t, "router bgp 64512\n neighbor 192.0.3.1 remote-as 64512\n neighbor 192.0.3.1 passive\n")

	inService := leavingDocument(t, false, false)
	var was *frr.Document
	for _, step := range []struct {
		name               string
		doc                *frr.Document
		external, internal string
	}{
		{"in service", inService, "65000:100 local-preference 0", "65000:100 local-preference 150"},
		{"marked", leavingDocument(t, true, true), "65000:100 graceful-shutdown local-preference 0", "65000:100 local-preference 0"},
		{"changed its mind", inService, "65000:100 local-preference 0", "65000:100 local-preference 150"},
		{"marked again", leavingDocument(t, true, true), "65000:100 graceful-shutdown local-preference 0", "65000:100 local-preference 0"},
		{"out of service", leavingDocument(t, true, false), "", ""},
		{"back", inService, "65000:100 local-preference 0", "65000:100 local-preference 150"},
	} {
		began := time.Now()
		delta := frr.Diff(was, step.doc)
		node.Load(t, script(delta.Commands))
		received(t, step.name, tor, step.external)
		received(t, step.name, reflector, step.internal)
		t.Logf("%s: seen by both routers after %v", step.name, time.Since(began).Round(time.Millisecond))
		was = step.doc
	}
	for _, r := range []*frrtest.FRR{tor, reflector} {
		if s := r.Run(t, "sh", "-c", "vtysh -c 'show bgp neighbors' | grep 'Connections established'"); !strings.Contains(s, "established 1; dropped 0") {
			t.Errorf("sessions flapped: %s", s)
		}
	}
}

// The mark is one line however much is announced, and goes before anything new is
// announced: a node that returns never shows marked routes.
func TestMarkIsOneLine(t *testing.T) {
	in, marked, out := leavingDocument(t, false, false), leavingDocument(t, true, true), leavingDocument(t, true, false)
	mark := frr.Diff(in, marked)
	if len(mark.Commands) != 1 || mark.Commands[0].Text != "bgp graceful-shutdown" || len(mark.SoftOut) > 0 {
		t.Errorf("marking types\n%s and clears %v", script(mark.Commands), mark.SoftOut)
	}
	if withdraw := frr.Diff(marked, out); slices.ContainsFunc(withdraw.Commands, func(c frr.Command) bool { return strings.Contains(c.Text, "graceful-shutdown") }) {
		t.Errorf("the withdrawal touches the mark:\n%s", script(withdraw.Commands))
	}
	if back := frr.Diff(out, in).Commands; back[0].Text != "no bgp graceful-shutdown" {
		t.Errorf("coming back begins with %q, want the mark's end", back[0].Text)
	}
	if keys := slices.Collect(maps.Keys(out.Networks)); len(keys) > 0 {
		t.Errorf("out of service with %v", keys)
	}
}

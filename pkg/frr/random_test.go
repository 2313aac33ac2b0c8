// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// random makes clusters at random, few of whose objects are the same from one to
// the next, but all from the same few names.
type random struct {
	*rand.Rand
	myASN  int
	extras bool // with a ConfigMap bgpextras
	// steady: nothing changes that must end all sessions of the node (its AS
	// number, its router ID), and one peer, "far", and one Service of its own
	// are always the same.
	steady bool
}

func newRandom(seed uint64) *random {
	return &random{Rand: rand.New(rand.NewPCG(seed, 11)), myASN: 64512}
}

// often reports true p times in ten.
func (r *random) often(p int) bool { return r.IntN(10) < p }

func (r *random) pick(list ...string) string { return list[r.IntN(len(list))] }

// some joins some of the list.
func (r *random) some(list ...string) string {
	var chosen []string
	for _, item := range list {
		if r.often(4) {
			chosen = append(chosen, item)
		}
	}
	return strings.Join(chosen, ", ")
}

func (r *random) object(out *strings.Builder, kind, version, name, spec string) {
	fmt.Fprintf(out, "---\napiVersion: metallb.io/%s\nkind: %s\nmetadata: {name: %s}\nspec: {%s}\n", version, kind, name, spec)
}

func (r *random) manifests() string {
	var out strings.Builder
	fmt.Fprintf(&out, "apiVersion: v1\nkind: Node\nmetadata: {name: n1%s}\nstatus: {addresses: [{type: InternalIP, address: %s}]}\n",
		r.unsteady("", ", labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}"), r.unsteady("10.0.0.11", "'fd00::11'"))
	if r.steady {
		out.WriteString(steady)
	}
	r.object(&out, "IPAddressPool", "v1beta1", "pool", "addresses: [203.0.113.0/24, 'fd00:5::/64']")
	for _, name := range []string{"f1", "f2"} {
		r.object(&out, "BFDProfile", "v1beta1", name, r.some(fmt.Sprintf("detectMultiplier: %d", 2+r.IntN(3)), "receiveInterval: "+r.pick("100", "300"),
			"transmitInterval: 200", "echoInterval: "+r.pick("50", "70"), "echoMode: true", "passiveMode: true", "minimumTtl: "+r.pick("200", "254")))
	}
	if r.often(1) && !r.steady {
		r.myASN = 64512 + r.IntN(2)
	}
	for i, addr := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00:1::1", "eth1"} {
		if r.often(7) {
			r.peer(&out, fmt.Sprintf("p%d", i), addr)
		}
	}
	for _, name := range []string{"a1", "a2", "a3"} {
		if !r.often(7) {
			continue
		}
		spec := fmt.Sprintf("localPref: %d, aggregationLength: %s, communities: [%s]", r.IntN(2)*100, r.pick("32", "32", "28"), r.some("'1:1'", "'65535:65281'", "'large:1:2:3'", "'2:2'"))
		if r.often(3) {
			spec += ", peers: [" + r.pick("p0", "p1, p3", "p4") + "]"
		}
		r.object(&out, "BGPAdvertisement", "v1beta1", name, spec)
	}
	for i := range r.IntN(8) {
		r.service(&out, fmt.Sprintf("s%d", i))
	}
	if r.extras && r.often(8) {
		out.WriteString(extrasManifest(r.extrasText()))
	}
	return out.String()
}

func (r *random) peer(out *strings.Builder, name, addr string) {
	myASN := r.myASN
	if r.often(2) {
		myASN = 64520
	}
	spec := fmt.Sprintf("myASN: %d, peerAddress: '%s'", myASN, addr)
	if addr == "eth1" {
		spec = fmt.Sprintf("myASN: %d, interface: %s", myASN, addr)
	}
	// Not the node's own AS, so that all may be eBGP.
	spec += ", " + r.pick("peerASN: 65000", "peerASN: 65001", "dynamicASN: external", "dynamicASN: internal", "peerASN: 64520")
	if options := r.some("holdTime: 30s", "holdTime: 90s, keepaliveTime: 10s", "connectTime: 7s", "password: "+r.pick("one", "two"), "bfdProfile: "+r.pick("f1", "f2"),
		"dualStackAddressFamily: true", "peerPort: 1790", "enableGracefulRestart: true"); !strings.Contains(options, "holdTime: 30s, holdTime") {
		spec += strings.TrimSuffix(", "+options, ", ")
	}
	if strings.Contains(spec, "peerASN") {
		spec += strings.TrimSuffix(", "+r.some("ebgpMultiHop: true", "localASN: 64999"), ", ")
	}
	if r.often(1) {
		spec += ", vrf: red"
	}
	if addr == "10.0.0.1" && r.often(3) && !r.steady {
		spec += ", routerID: 10.255.0." + r.pick("1", "2")
	}
	if addr == "10.0.0.2" && r.often(3) {
		spec += ", sourceAddress: 10.0.0." + r.pick("11", "12")
	}
	r.object(out, "BGPPeer", "v1beta2", name, spec)
}

func (r *random) service(out *strings.Builder, name string) {
	addresses := 40
	if r.steady {
		addresses = 5 // so that routes stay while what makes them changes
	}
	fmt.Fprintf(out, "---\napiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {type: LoadBalancer, clusterIPs: [10.96.0.1]}\nstatus: {loadBalancer: {ingress: [{ip: 203.0.113.%d}%s]}}\n",
		name, r.IntN(addresses), r.pick("", fmt.Sprintf(", {ip: 'fd00:5::%x'}", r.IntN(addresses))))
	fmt.Fprintf(out, "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: %s-a, namespace: default, labels: {kubernetes.io/service-name: %s}}\nendpoints: [{addresses: [10.244.0.1], nodeName: n1}]\n", name, name)
}

// steady is what a steady random has in every cluster.
const steady = `---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: far}
spec: {myASN: 64512, peerASN: 65000, peerAddress: 192.0.2.2, connectTime: 1s}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: kept}
spec: {addresses: [198.18.0.0/24]}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: kept}
spec: {ipAddressPools: [kept]}
---
apiVersion: v1
kind: Service
metadata: {name: kept}
spec: {type: LoadBalancer, clusterIPs: [10.96.0.1]}
status: {loadBalancer: {ingress: [{ip: 198.18.0.1}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kept-a, namespace: default, labels: {kubernetes.io/service-name: kept}}
endpoints: [{addresses: [10.244.0.1], nodeName: n1}]
`

// unsteady picks the second, sometimes, unless r is steady.
func (r *random) unsteady(first, second string) string {
	if chosen := r.pick(first, first, second); !r.steady {
		return chosen
	}
	return first
}

// document is the next cluster's, as it is made after prev, and made anew.
func (r *random) document(t *testing.T, prev *frr.Document) (doc, fresh *frr.Document) {
	t.Helper()
	doc, fresh, _ = r.planned(t, prev)
	return doc, fresh
}

// planned is document, with the plan behind it.
func (r *random) planned(t *testing.T, prev *frr.Document) (doc, fresh *frr.Document, p *plan.NodePlan) {
	t.Helper()
	manifests := r.manifests()
	snapshot, err := intent.ReadYAML(strings.NewReader(manifests), "metallb-system")
	if err != nil {
		t.Fatalf("%v\n%s", err, manifests)
	}
	p = plan.ForNode(nil, intent.Resolve(nil, snapshot), plan.NodeFacts{Name: "n1", Forwarding: true, Marking: r.often(5)}).Plan
	if fresh, err = frr.Build(nil, p, frr.Options{}); err != nil {
		t.Fatal(err)
	}
	if doc, err = frr.Build(prev, p, frr.Options{}); err != nil {
		t.Fatal(err)
	}
	return doc, fresh, p
}

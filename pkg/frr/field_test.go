// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

// pair is a node with two routers: the peer "x" is at a (192.0.2.2), the peer
// "other" at b (198.51.100.2).
type pair struct {
	node, a, b *frrtest.FRR
	doc        *frr.Document
	marker     int
}

func newPair(t *testing.T, aConf string) *pair {
	t.Helper()
	p := &pair{
		node: frrtest.Start(t, frrtest.Options{}),
		a:    frrtest.Start(t, frrtest.Options{Listen: true}),
		b:    frrtest.Start(t, frrtest.Options{Listen: true}),
	}
	frrtest.Link(t, "eth0", p.node, "192.0.2.1/24", p.a, "192.0.2.2/24")
	frrtest.Link(t, "eth1", p.node, "198.51.100.1/24", p.b, "198.51.100.2/24")
	p.a.Load(t, aConf)
	p.b.Load(t, "router bgp 65009\n no bgp ebgp-requires-policy\n coalesce-time 100\n neighbor 198.51.100.1 remote-as 64512\n neighbor 198.51.100.1 passive\n")
	return p
}

// change brings the node by a delta to the peer x of that spec and to more
// objects, and returns when b has what was announced last.
func (p *pair) change(t *testing.T, spec, more string) {
	t.Helper()
	p.marker++
	manifests := "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n" +
		object("IPAddressPool", "pool", "addresses: [203.0.113.0/24]") + object("BGPAdvertisement", "all", "") +
		object("BGPPeer", "other", "myASN: 64512, peerASN: 65009, peerAddress: 198.51.100.2") + more +
		fmt.Sprintf("---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {type: LoadBalancer, clusterIPs: [10.96.0.1]}\nstatus: {loadBalancer: {ingress: [{ip: 203.0.113.%d}]}}\n", p.marker) +
		"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s-a, namespace: default, labels: {kubernetes.io/service-name: s}}\nendpoints: [{addresses: [10.244.0.1], nodeName: n1}]\n"
	if spec != "" {
		manifests += object("BGPPeer", "x", spec)
	}
	doc := resolvedDocument(t, manifests)
	p.node.Load(t, script(frr.Diff(p.doc, doc).Commands))
	p.doc = doc
	p.reached(t, p.b)
}

// reached waits until the router has what was announced last.
func (p *pair) reached(t *testing.T, router *frrtest.FRR) {
	t.Helper()
	router.WaitFor(t, fmt.Sprintf("show bgp ipv4 unicast 203.0.113.%d/32 json", p.marker), `"aspath"`)
}

// connection identifies the TCP connection of a session that is established, or
// is 0: a session that was reset has another one, or none.
func (p *pair) connection(t *testing.T, neighbor string) int {
	t.Helper()
	var all map[string]struct {
		State string `json:"bgpState"`
		Port  int    `json:"portLocal"`
	}
	text := p.node.Run(t, "vtysh", "-c", "show bgp neighbors json")
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if n := all[neighbor]; n.State == "Established" {
		return n.Port
	}
	return 0
}

const (
	plainPeer = "peerAddress: 192.0.2.2, myASN: 64512, peerASN: 65000"
	plainA    = "router bgp 65000\n no bgp ebgp-requires-policy\n coalesce-time 100\n" +
		" neighbor 192.0.2.1 remote-as external\n neighbor 192.0.2.1 passive\n neighbor 192.0.2.11 remote-as external\n neighbor 192.0.2.11 passive\n"
)

// What changing each field of a BGPPeer costs: its session or nothing, and never
// the session of another peer, but for routerID, which all have in common.
func TestRealFRRChangeOfField(t *testing.T) {
	t.Parallel()
	p := newPair(t, plainA)
	p.node.Run(t, "ip", "address", "add", "192.0.2.11/24", "dev", "eth0")
	const kept, reset, all = "kept", "reset", "all reset"
	profile := object("BFDProfile", "f", "receiveInterval: 100")
	for _, row := range []struct {
		field, spec, want string
	}{
		{"nothing", plainPeer, kept},
		{"disableMP", plainPeer + ", disableMP: true", kept},
		{"connectTime", plainPeer + ", connectTime: 5s", kept},
		{"holdTime", plainPeer + ", holdTime: 9s", kept},
		{"keepaliveTime", plainPeer + ", holdTime: 180s, keepaliveTime: 1s", kept},
		{"bfdProfile", plainPeer + ", bfdProfile: f", kept},
		{"enableGracefulRestart", plainPeer + ", enableGracefulRestart: true", reset},
		{"peerPort", plainPeer + ", peerPort: 1790", reset},
		{"dynamicASN", "peerAddress: 192.0.2.2, myASN: 64512, dynamicASN: external", reset},
		{"peerASN", "peerAddress: 192.0.2.2, myASN: 64512, peerASN: 65001", reset},
		{"myASN", "peerAddress: 192.0.2.2, myASN: 64513, peerASN: 65000", reset},
		{"localASN", plainPeer + ", localASN: 64999", reset},
		{"sourceAddress", plainPeer + ", sourceAddress: 192.0.2.11", reset},
		{"ebgpMultiHop", plainPeer + ", ebgpMultiHop: true", reset},
		{"password", plainPeer + ", password: secret", reset},
		{"dualStackAddressFamily", plainPeer + ", dualStackAddressFamily: true", reset},
		{"vrf", plainPeer + ", vrf: red", reset},
		{"the object itself", "", reset},
		{"routerID", plainPeer + ", routerID: 192.0.2.77", all},
	} {
		p.change(t, plainPeer, profile)
		p.reached(t, p.a)
		x, other := p.connection(t, "192.0.2.2"), p.connection(t, "198.51.100.2")
		if x == 0 || other == 0 {
			t.Fatalf("%s: no session before", row.field)
		}
		p.change(t, row.spec, profile)
		got := reset
		switch {
		case p.connection(t, "198.51.100.2") != other:
			got = all
		case p.connection(t, "192.0.2.2") == x:
			got = kept
		}
		t.Logf("%-24s %s", row.field, got)
		if got != row.want {
			t.Errorf("a change of %s: %s, want %s", row.field, got, row.want)
		}
	}
}

// A changed password takes effect at once, and for its peer alone.
func TestRealFRRPasswordRotation(t *testing.T) {
	t.Parallel()
	p := newPair(t, plainA+" neighbor 192.0.2.1 password one\n")
	secret := func(key string) string {
		return "---\napiVersion: v1\nkind: Secret\ntype: kubernetes.io/basic-auth\nmetadata: {name: key, namespace: metallb-system}\nstringData: {password: " + key + "}\n"
	}
	const spec = plainPeer + ", passwordSecret: {name: key}"
	p.change(t, spec, secret("one"))
	p.reached(t, p.a)
	x, other := p.connection(t, "192.0.2.2"), p.connection(t, "198.51.100.2")
	p.change(t, spec, secret("two"))
	if got := p.connection(t, "192.0.2.2"); got == x {
		t.Error("the session goes on with the old key")
	}
	p.a.Load(t, "router bgp 65000\n neighbor 192.0.2.1 password two\n")
	p.reached(t, p.a)
	if got := p.connection(t, "198.51.100.2"); got != other || got == 0 {
		t.Error("the other session was reset")
	}
}

func object(kind, name, spec string) string {
	version := "v1beta1"
	if kind == "BGPPeer" {
		version = "v1beta2"
	}
	return fmt.Sprintf("---\napiVersion: metallb.io/%s\nkind: %s\nmetadata: {name: %s, namespace: metallb-system}\nspec: {%s}\n", version, kind, name, spec)
}

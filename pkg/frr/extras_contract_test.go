// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

const letIn = "ip prefix-list ROUTES permit 198.51.100.0/24\nroute-map 10.0.0.1-in permit 20\n match ip address prefix-list ROUTES\n"

// peering is a node and a router that announces 198.51.100.0/24 and
// 203.0.113.0/24 to it.
type peering struct {
	t            *testing.T
	node, router *frrtest.FRR
	doc          *frr.Document
}

func newPeering(t *testing.T) *peering {
	p := &peering{t, frrtest.Start(t, frrtest.Options{}), frrtest.Start(t, frrtest.Options{Listen: true}), nil}
	frrtest.Link(t, "eth1", p.node, "10.0.0.11/24", p.router, "10.0.0.1/24")
	p.router.Load(t, `router bgp 64600
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 10.0.0.11 remote-as 64512
 address-family ipv4 unicast
  network 198.51.100.0/24
  network 203.0.113.0/24
`)
	return p
}

// load brings the node to what manifests say.
func (p *peering) load(manifests string) {
	p.t.Helper()
	doc := built(p.t, p.doc, manifests)
	p.node.Load(p.t, script(frr.Diff(p.doc, doc).Commands))
	p.doc = doc
}

// routes returns the prefixes that the node has taken from the router.
func (p *peering) routes() []string {
	var table struct{ Routes map[string]any }
	if err := json.Unmarshal([]byte(p.node.Run(p.t, "vtysh", "-c", "show bgp ipv4 unicast json")), &table); err != nil {
		p.t.Fatal(err)
	}
	var all []string
	for prefix := range table.Routes {
		all = append(all, prefix)
	}
	slices.Sort(all)
	return all
}

// await waits for these routes; never are those that must not be there meanwhile.
func (p *peering) await(never string, want ...string) {
	p.t.Helper()
	var got []string
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		got = p.routes()
		if slices.Contains(got, never) {
			p.t.Fatalf("the node takes %s", never)
		}
		if slices.Equal(got, want) {
			return
		}
	}
	p.t.Fatalf("the node has the routes %v, want %v", got, want)
}

// established returns how often the session has come up.
func (p *peering) established() int {
	var all map[string]struct {
		BGPState               string
		ConnectionsEstablished int
	}
	if err := json.Unmarshal([]byte(p.node.Run(p.t, "vtysh", "-c", "show bgp neighbors 10.0.0.1 json")), &all); err != nil {
		p.t.Fatal(err)
	}
	return all["10.0.0.1"].ConnectionsEstablished
}

// A user lets exactly one prefix in by overriding the in map's entry 20: applied
// before or after the peer exists, taken back, and all without a flap.
func TestInMapIsOverriddenByExtras(t *testing.T) {
	nodeOnly, _, _ := strings.Cut(nodeAndPeer, "---")
	for name, steps := range map[string][]string{
		"before the peer": {nodeOnly + extrasManifest(letIn), nodeAndPeer + extrasManifest(letIn)},
		"after the peer":  {nodeAndPeer, nodeAndPeer + extrasManifest(letIn)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeering(t)
			p.load(steps[0])
			if name == "after the peer" {
				p.node.WaitFor(t, "show bgp neighbors 10.0.0.1 json", `"connectionsEstablished":1`)
				p.router.WaitFor(t, "show bgp neighbors 10.0.0.11 json", `"acceptedPrefixCounter"`)
				p.await("198.51.100.0/24")
			}
			p.load(steps[1])
			p.await("203.0.113.0/24", "198.51.100.0/24")
			p.load(nodeAndPeer + extrasManifest(strings.Replace(letIn, "198.51.100.0/24", "203.0.113.0/24", 1)))
			p.await("", "203.0.113.0/24")
			p.load(nodeAndPeer)
			p.await("198.51.100.0/24")
			if n := p.established(); n != 1 {
				t.Errorf("the session came up %d times, want once", n)
			}
			if delta := frr.Diff(frr.ParseRunning(p.node.Running(t)), built(t, nil, nodeAndPeer)); len(delta.Commands) > 0 {
				t.Errorf("without extras the configuration is not what it was:\n%s", script(delta.Commands))
			}
		})
	}
}

// A speaker that restarts takes away what extras, removed meanwhile, had left.
func TestRealFRRExtrasLeftBehind(t *testing.T) {
	f := frrtest.Start(t, frrtest.Options{})
	plain, with := built(t, nil, nodeAndPeer), built(t, nil, nodeAndPeer+extrasManifest(`ip prefix-list ROUTES permit any
ipv6 prefix-list ROUTES description mine
access-list L permit any
access-list L remark mine
bgp community-list standard C permit 1:1
bgp large-community-list expanded D permit 1
bgp extcommunity-list standard E permit rt 1:1
bgp as-path access-list F permit _1_
route-map 10.0.0.1-in permit 20
 match ip address prefix-list ROUTES
route-map Z permit 5
 set metric 3
router bgp 64512
 neighbor 10.0.0.9 remote-as 1
 neighbor 10.0.0.1 timers 3 9
 timers bgp 5 15
 address-family ipv6 unicast
  network 2001:DB8::/32
  redistribute connected route-map Z
 address-family l2vpn evpn
  advertise-all-vni
router bgp 64999 vrf blue
 timers bgp 3 9
bfd
 peer 10.0.0.9
  transmit-interval 150
 profile lab
  passive-mode
key chain K
 key 1
  key-string secret
interface lo
 description mine
 ip address 10.9.9.9/32
vrf blue
 ip route 10.8.0.0/16 blackhole
ip route 10.7.0.0/16 blackhole
debug bgp updates in
`))
	f.Load(t, plain.Text())
	before := f.Running(t)
	f.Load(t, script(frr.Diff(plain, with).Commands))
	if delta := frr.Diff(frr.ParseRunning(f.Running(t)), with); len(delta.Commands) > 0 {
		t.Errorf("with extras the running configuration differs by:\n%s\nit is:\n%s", script(delta.Commands), f.Running(t))
	}
	f.Load(t, script(frr.Diff(frr.ParseRunning(f.Running(t)), plain).Commands))
	if want, got := settings(before), settings(f.Running(t)); !slices.Equal(want, got) {
		t.Errorf("left behind:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

const (
	diffPool = "---\nkind: IPAddressPool\nmetadata: {name: pool}\nspec: {addresses: [203.0.113.0/24]}\n"
	diffNode = "---\nkind: Node\nmetadata: {name: n1}\nstatus: {addresses: [{type: InternalIP, address: 10.0.0.11}]}\n"
	diffWeb  = "---\nkind: Service\nmetadata: {name: web}\nspec: {type: LoadBalancer}\nstatus: {loadBalancer: {ingress: [{ip: 203.0.113.7}]}}\n" +
		"---\nkind: EndpointSlice\nmetadata: {name: web-a, namespace: default, labels: {kubernetes.io/service-name: web}}\nendpoints: [{addresses: [10.244.0.1]}]\n"
)

const diffBFD = "---\nkind: BFDProfile\nmetadata: {name: fast}\nspec: {}\n"

func diffPeer(name, addr, extra string) string {
	return fmt.Sprintf("---\nkind: BGPPeer\nmetadata: {name: %s}\nspec: {myASN: 65100, peerASN: 65000, peerAddress: %s%s}\n", name, addr, extra)
}

func diffAd(name, extra string) string {
	return fmt.Sprintf("---\nkind: BGPAdvertisement\nmetadata: {name: %s}\nspec: {%s}\n", name, extra)
}

func documentOf(t *testing.T, manifests string) *frr.Document {
	t.Helper()
	s, err := intent.ReadYAML(strings.NewReader(diffNode+diffPool+manifests), "metallb-system")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := frr.Build(nil, plan.ForNode(nil, intent.Resolve(nil, s), plan.NodeFacts{Name: "n1", Forwarding: true}).Plan, frr.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// typed writes each command with the last part of its node, if any.
func typed(commands []frr.Command) []string {
	var all []string
	for _, c := range commands {
		text := c.Text
		if len(c.Node) > 0 {
			text = c.Node[len(c.Node)-1] + " / " + text
		}
		all = append(all, text)
	}
	return all
}

func TestDiff(t *testing.T) {
	tor1, tor2, ad := diffPeer("tor1", "10.0.0.1", ""), diffPeer("tor2", "10.0.0.2", ""), diffAd("all", "")
	base := tor1 + tor2 + ad + diffWeb
	clear1, clear2 := frr.SoftClear{Family: "ipv4", Neighbor: "10.0.0.1"}, frr.SoftClear{Family: "ipv4", Neighbor: "10.0.0.2"}
	tag := map[string]string{} // out map entry of class all.v4
	for l := range documentOf(t, base).Lines() {
		if name, ok := strings.CutPrefix(l.Text, "route-map 10.0.0.1-out permit "); ok {
			tag["seq"] = name
		}
		if value, ok := strings.CutPrefix(l.Text, "set tag "); ok {
			tag["tag"] = value
		}
	}
	out := func(n string) string { return "route-map 10.0.0." + n + "-out permit " + tag["seq"] }
	for _, row := range []struct {
		name     string
		old, new string
		commands []string
		clears   []frr.SoftClear
	}{
		{"nothing", base, base, nil, nil},
		{"a Service comes: its class first", tor1 + ad, tor1 + ad + diffWeb, []string{
			"route-map all.v4 permit 1", "route-map all.v4 permit 1 / set tag " + tag["tag"],
			out("1"), out("1") + " / match tag " + tag["tag"],
			"address-family ipv4 unicast / network 203.0.113.7/32 route-map all.v4",
		}, []frr.SoftClear{clear1}},
		{"a Service goes: its network first", tor1 + ad + diffWeb, tor1 + ad, []string{
			"address-family ipv4 unicast / no network 203.0.113.7/32",
			"no " + out("1"), "no route-map all.v4 permit 1",
		}, []frr.SoftClear{clear1}},
		{"a community for all", base, tor1 + tor2 + diffAd("all", "communities: ['1:1']") + diffWeb, []string{
			out("1") + " / set community 1:1", out("2") + " / set community 1:1",
		}, []frr.SoftClear{clear1, clear2}},
		{"another community: set, not undone", tor1 + diffAd("all", "communities: ['1:1']") + diffWeb, tor1 + diffAd("all", "communities: ['2:2']") + diffWeb, []string{
			out("1") + " / set community 2:2",
		}, []frr.SoftClear{clear1}},
		{"no community any more", tor1 + diffAd("all", "communities: ['1:1']") + diffWeb, tor1 + ad + diffWeb, []string{
			out("1") + " / no set community 1:1",
		}, []frr.SoftClear{clear1}},
		{"to one peer less", base, tor1 + tor2 + diffAd("all", "peers: [tor1]") + diffWeb, []string{"no " + out("2")}, []frr.SoftClear{clear2}},
		{"timers: set, not undone", diffPeer("tor1", "10.0.0.1", ", holdTime: 30s"), diffPeer("tor1", "10.0.0.1", ", holdTime: 90s"), []string{
			"router bgp 65100 / neighbor 10.0.0.1 timers 30 90",
		}, nil},
		{"no BFD any more: the session is woken", diffPeer("tor1", "10.0.0.1", ", bfdProfile: fast") + diffBFD, tor1, []string{
			"router bgp 65100 / no neighbor 10.0.0.1 bfd profile fast", "router bgp 65100 / no neighbor 10.0.0.1 bfd", "bfd / no profile fast",
			"router bgp 65100 / neighbor 10.0.0.1 timers connect 1",
		}, nil},
		{"a password", diffPeer("tor1", "10.0.0.1", ""), diffPeer("tor1", "10.0.0.1", ", password: one"), []string{"router bgp 65100 / neighbor 10.0.0.1 password one"}, nil},
		{"another password", diffPeer("tor1", "10.0.0.1", ", password: one"), diffPeer("tor1", "10.0.0.1", ", password: two"), []string{"router bgp 65100 / neighbor 10.0.0.1 password two"}, nil},
		{"no password any more", diffPeer("tor1", "10.0.0.1", ", password: one"), diffPeer("tor1", "10.0.0.1", ""), []string{"router bgp 65100 / no neighbor 10.0.0.1 password"}, nil},
		{"a family less: inactive before its maps go", diffPeer("tor1", "10.0.0.1", ", dualStackAddressFamily: true"), tor1, []string{
			"address-family ipv6 unicast / no neighbor 10.0.0.1 activate",
			"address-family ipv6 unicast / no neighbor 10.0.0.1 route-map 10.0.0.1-out out",
			"address-family ipv6 unicast / no neighbor 10.0.0.1 route-map 10.0.0.1-in in",
		}, nil},
		{"a peer goes as a whole, then its maps", base, tor1 + ad + diffWeb, []string{
			"router bgp 65100 / no neighbor 10.0.0.2",
			"no route-map 10.0.0.2-out deny 65535", "no " + out("2"), "no route-map 10.0.0.2-in deny 20",
		}, nil},
	} {
		delta := frr.Diff(documentOf(t, row.old), documentOf(t, row.new))
		if got := typed(delta.Commands); !slices.Equal(got, row.commands) {
			t.Errorf("%s:\n  %s\nwant:\n  %s", row.name, strings.Join(got, "\n  "), strings.Join(row.commands, "\n  "))
		}
		if !slices.Equal(delta.SoftOut, row.clears) {
			t.Errorf("%s: clears %v, want %v", row.name, delta.SoftOut, row.clears)
		}
	}
}

// Another AS number: FRR has one per VRF, so the old router goes first.
func TestDiffOfASN(t *testing.T) {
	old := documentOf(t, diffPeer("tor1", "10.0.0.1", "")+diffAd("all", "")+diffWeb)
	changed := documentOf(t, strings.Replace(diffPeer("tor1", "10.0.0.1", ""), "65100", "65200", 1)+diffAd("all", "communities: ['1:1']")+diffWeb)
	delta := frr.Diff(old, changed)
	got := typed(delta.Commands)
	if got[0] != "no router bgp 65100" || !slices.Contains(got, "router bgp 65200") || len(delta.SoftOut) > 0 {
		t.Errorf("clears %v, commands:\n%s", delta.SoftOut, strings.Join(got, "\n"))
	}
	for _, text := range got[1:] {
		if strings.Contains(text, "65100") || strings.Contains(text, "no neighbor") || strings.Contains(text, "no network") {
			t.Errorf("%q is typed although the old router is gone", text)
		}
	}
}

// Commands carry the objects to mend.
func TestOrigins(t *testing.T) {
	delta := frr.Diff(nil, documentOf(t, diffPeer("tor1", "10.0.0.1", "")+diffAd("all", "")+diffWeb))
	want := map[string]string{
		"neighbor 10.0.0.1 remote-as 65000":       "[BGPPeer tor1]",
		"route-map all.v4 permit 1":               "[BGPAdvertisement all]",
		"network 203.0.113.7/32 route-map all.v4": "[Service default/web]",
		"router bgp 65100":                        "[BGPPeer tor1]",
		"route-map 10.0.0.1-out deny 65535":       "[BGPPeer tor1]",
		"neighbor 10.0.0.1 activate":              "[BGPPeer tor1]",
		"neighbor 10.0.0.1 timers connect 1":      "[BGPPeer tor1]",
		"log stdout informational":                "[]",
	}
	for _, c := range delta.Commands {
		if w, ok := want[c.Text]; ok {
			if got := fmt.Sprint(c.Origins); got != w {
				t.Errorf("%q comes from %s, want %s", c.Text, got, w)
			}
			delete(want, c.Text)
		}
	}
	if len(want) > 0 {
		t.Errorf("not typed: %v", want)
	}
}

// Only what is the product's is taken away from a running configuration.
func TestDiffOfRunningLeavesOthersAlone(t *testing.T) {
	running := frr.ParseRunning(`Building configuration...

Current configuration:
!
frr version 10.3
hostname vm
no ip forwarding
log stdout informational
service integrated-vtysh-config
password sesame
vrf red
 ip route 10.0.0.0/8 blackhole
exit-vrf
!
interface eth0
 ip address 192.0.2.1/24
exit
!
line vty
 exec-timeout 5 0
exit
!
ip prefix-list mine seq 5 permit any
route-map left deny 5
exit
!
bfd
 peer 192.0.2.9
  profile p
 exit
 profile p
 exit
exit
!
router bgp 1
 neighbor 192.0.2.9 remote-as 2
exit
!
end
`)
	got := typed(frr.Diff(running, &frr.Document{}).Commands)
	want := []string{
		"no router bgp 1", "bfd / no profile p", "bfd / no peer 192.0.2.9", "no route-map left deny 5", "no ip prefix-list mine seq 5 permit any",
		"interface eth0 / no ip address 192.0.2.1/24", "vrf red / no ip route 10.0.0.0/8 blackhole",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Over any history of Services, a pass that is given what was made before makes
// the Document and the commands that one without makes.
func TestPassWithPrevious(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 5))
		s := snapshotOf(40, true)
		var p pass
		var before *frr.Document
		var printer frr.Printer
		p.next(t, s)
		before = p.doc
		for step := range 40 {
			next := *s
			next.EndpointSlices = slices.Clone(s.EndpointSlices)
			for range 1 + r.IntN(3) {
				at := r.IntN(len(next.EndpointSlices))
				next.EndpointSlices[at] = endpointsOf(next.Services[at].Name, r.IntN(2) == 0)
			}
			switch r.IntN(8) {
			case 0: // another advertisement: nothing can be taken from before
				ad := s.BGPAds[0].DeepCopy()
				ad.Spec.Communities = []string{fmt.Sprintf("65000:%d", r.IntN(100))}
				next.BGPAds = slices.Clone(s.BGPAds)
				next.BGPAds[0] = ad
			case 1: // a peer in a VRF comes or goes
				next.Peers = slices.Clone(s.Peers)
				peer := next.Peers[0].DeepCopy()
				peer.Spec.VRF = []string{"", "red"}[r.IntN(2)]
				next.Peers[0] = peer
			}
			s = &next
			delta := p.next(t, s)
			var fresh pass
			fresh.next(t, s)
			want := frr.Diff(before, fresh.doc)
			if got, want := script(delta.Commands), script(want.Commands); got != want {
				t.Fatalf("seed %d, step %d: commands:\n%s\nwant:\n%s", seed, step, got, want)
			}
			if got, want := p.doc.Text(), fresh.doc.Text(); got != want {
				t.Fatalf("seed %d, step %d:\n%s\nwant:\n%s", seed, step, got, want)
			}
			if r.IntN(4) > 0 { // not every Document is printed
				if got, want := printer.Text(p.doc), p.doc.Text(); got != want {
					t.Fatalf("seed %d, step %d, printed after others:\n%s\nwant:\n%s", seed, step, got, want)
				}
			}
			before = p.doc
		}
	}
}

// What Build knows about a Document is not true of an edited copy.
func TestDiffOfEditedCopy(t *testing.T) {
	var p pass
	s := snapshotOf(3, false)
	p.next(t, s)
	before := p.doc
	changed := *s
	changed.EndpointSlices = slices.Clone(s.EndpointSlices)
	changed.EndpointSlices[0] = endpointsOf(s.Services[0].Name, false)
	p.next(t, &changed)
	if got := len(frr.Diff(before, p.doc).Commands); got != 1 {
		t.Fatalf("%d commands for one route", got)
	}
	without := *p.doc
	without.Networks = nil
	if got := len(frr.Diff(before, &without).Commands); got != 3 {
		t.Errorf("%d commands to a copy without networks, want 3", got)
	}
	with := *before
	with.Networks = nil
	if got := len(frr.Diff(&with, p.doc).Commands); got != 2 {
		t.Errorf("%d commands from a copy without networks, want 2", got)
	}
}

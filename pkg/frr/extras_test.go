// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
	"metallb.io/metallb-frr/pkg/frr/vtysh"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

func extrasManifest(text string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: bgpextras}\ndata: {extras: %q}\n", text)
}

// extrasText is what a user may write, at random.
func (r *random) extrasText() string {
	var out strings.Builder
	add := func(p int, format string, args ...any) {
		if r.often(p) {
			fmt.Fprintf(&out, format+"\n", args...)
		}
	}
	for _, kind := range []string{"ip prefix-list A", "ip prefix-list B", "access-list C"} {
		for range r.IntN(4) {
			add(10, "%s %s %s", kind, r.pick("permit", "deny"), r.pick("any", "10.0.0.0/8", "10.1.2.3/16", "10.3.0.0/16"))
		}
	}
	for _, kind := range []string{"bgp community-list standard D permit", "bgp as-path access-list E permit", "bgp large-community-list standard F permit"} {
		for range r.IntN(4) {
			value := r.pick("1:1", "2:2 1:1", "no-export 3:3")
			if strings.Contains(kind, "as-path") {
				value = r.pick("_1_", "^2_", ".*")
			} else if strings.Contains(kind, "large") {
				value = r.pick("1:1:1", "2:2:2 1:1:1", "3:3:3")
			}
			add(10, "%s %s", kind, value)
		}
	}
	add(4, "ip prefix-list A description %s", r.pick("one", "two words"))
	for _, name := range []string{"10.0.0.1-in", "10.0.0.2-in", "fd00:1::1-out", "X"} {
		if !r.often(5) {
			continue
		}
		add(10, "route-map %s %s %d", name, r.pick("permit", "deny"), 20-10*r.IntN(2))
		add(6, " match ip address prefix-list %s", r.pick("A", "B"))
		add(3, " match community D")
		add(4, " set local-preference %d", r.IntN(3))
		add(3, " set community %s", r.pick("2:2 1:1 additive", "65535:65281"))
		add(10, "exit")
	}
	fmt.Fprintf(&out, "router bgp %d\n", r.myASN)
	add(3, "bgp bestpath as-path multipath-relax")
	add(3, "neighbor 10.0.0.1 timers %s", r.pick("3 9", "4 12"))
	add(3, "neighbor 10.0.0.2 description %s", r.pick("mine", "other words"))
	if r.often(5) {
		add(10, "neighbor 10.0.0.9 remote-as 65%d", 100+r.IntN(2))
		add(5, "neighbor 10.0.0.9 timers 3 9")
		add(10, "address-family ipv4\nneighbor 10.0.0.9 activate")
		add(5, "neighbor 10.0.0.9 route-map X in")
		add(5, "neighbor 10.0.0.9 prefix-list A %s", r.pick("in", "out"))
		add(5, "network 10.%d.0.1/16", r.IntN(3))
		add(5, "network 203.0.113.0/28")
		add(10, "exit-address-family")
	}
	add(10, "exit")
	add(3, "bfd\n profile f1\n  detect-multiplier 7\n profile z\n  transmit-interval 170")
	add(3, "interface lo\n description %s\n ip address 10.200.0.%d/32", r.pick("one", "two"), r.IntN(2))
	add(3, "vrf blue\nip route 10.9.0.0/16 blackhole\nexit-vrf")
	add(2, "ip route 10.8.0.%d/16 blackhole", r.IntN(2))
	return out.String()
}

// Real FRR comes from any Document with extras to any other: what is running is
// what it would be if that one alone had ever been loaded.
func TestRealFRRExtrasFromAnyToAny(t *testing.T) {
	f, fresh := frrtest.Start(t, frrtest.Options{}), frrtest.Start(t, frrtest.Options{})
	driver := vtysh.New(vtysh.Options{Command: f.Vtysh()})
	defer driver.Close()
	lines := 0
	for seed := range uint64(6) {
		r := newRandom(seed + 300)
		r.extras = true
		var prev *frr.Document
		for step := range 6 {
			doc, alone := r.document(t, prev)
			if d := cmp.Diff(alone.Text(), doc.Text()); d != "" {
				t.Fatalf("seed %d, step %d: Build with a previous Document differs:\n%s", seed, step, d)
			}
			commands := script(frr.Diff(prev, doc).Commands)
			apply(t, driver, doc)
			running := f.Running(t)
			if delta := frr.Diff(frr.ParseRunning(running), doc); len(delta.Commands) > 0 {
				t.Fatalf("seed %d, step %d: the running configuration differs by:\n%s\nafter:\n%s\nit is:\n%s", seed, step, script(delta.Commands), commands, running)
			}
			fresh.Load(t, script(frr.Diff(frr.ParseRunning(fresh.Running(t)), &frr.Document{}).Commands))
			fresh.Load(t, doc.Text())
			if d := cmp.Diff(settings(fresh.Running(t)), settings(running)); d != "" {
				t.Fatalf("seed %d, step %d: not what a fresh load gives (-fresh +got):\n%s\nafter:\n%s", seed, step, d, commands)
			}
			for l := range doc.Lines() {
				if l.Extra {
					lines++
				}
			}
			prev = doc
		}
		apply(t, driver, &frr.Document{})
		if left := frr.Diff(frr.ParseRunning(f.Running(t)), &frr.Document{}); len(left.Commands) > 0 {
			t.Fatalf("seed %d: what was loaded is left without:\n%s", seed, script(left.Commands))
		}
	}
	if lines < 100 {
		t.Errorf("%d lines of extras in all: the property says little", lines)
	}
}

// settings are the lines of a configuration with the nodes that they stand in,
// sorted: the order of a list's lines is not FRR's to keep. Places with nothing
// in them are left out.
func settings(running string) []string {
	var all []string
	doc := frr.ParseRunning(running)
	for l := range doc.Lines() {
		if !l.Opens || strings.HasPrefix(l.Text, "route") {
			all = append(all, strings.Join(append(slices.Clip(l.Node), l.Text), " / "))
		}
	}
	slices.Sort(all)
	return all
}

// built is node n1's Document of these manifests.
func built(t *testing.T, prev *frr.Document, manifests string) *frr.Document {
	t.Helper()
	snapshot, err := intent.ReadYAML(strings.NewReader(manifests), "metallb-system")
	if err != nil {
		t.Fatalf("%v\n%s", err, manifests)
	}
	p := plan.ForNode(nil, intent.Resolve(nil, snapshot), plan.NodeFacts{Name: "n1", Forwarding: true}).Plan
	doc, err := frr.Build(prev, p, frr.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

const nodeAndPeer = `apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 10.0.0.11}]}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: tor1}
spec: {myASN: 64512, peerASN: 64600, peerAddress: 10.0.0.1, holdTime: 90s}
`

// On the way an entry never permits more than before or after: lists come before
// what uses them and go after it, and an entry permits when its lines are in it.
func TestExtrasOrder(t *testing.T) {
	text := "router bgp 64512\n neighbor 10.0.0.1 timers 3 9\nroute-map 10.0.0.1-in permit 20\n match ip address prefix-list A\nip prefix-list A permit 10.0.0.0/8\n"
	plain, with := built(t, nil, nodeAndPeer), built(t, nil, nodeAndPeer+extrasManifest(text))
	for _, c := range []struct {
		name     string
		old, new *frr.Document
		want     []string
	}{
		{"added", plain, with, []string{
			"ip prefix-list A seq 5 permit 10.0.0.0/8",
			"route-map 10.0.0.1-in deny 20 / match ip address prefix-list A",
			"route-map 10.0.0.1-in permit 20",
			"router bgp 64512 / neighbor 10.0.0.1 timers 3 9",
		}},
		{"removed", with, plain, []string{
			"route-map 10.0.0.1-in deny 20",
			"router bgp 64512 / neighbor 10.0.0.1 timers 30 90",
			"route-map 10.0.0.1-in deny 20 / no match ip address prefix-list A",
			"no ip prefix-list A seq 5 permit 10.0.0.0/8",
		}},
		{"without the peer", nil, built(t, nil, strings.Split(nodeAndPeer, "---")[0]+extrasManifest(strings.Replace(text, "64512\n neighbor 10.0.0.1 timers 3 9", "64512\n timers bgp 3 9\n neighbor 10.0.0.1 timers 3 9", 1))), []string{
			"ip prefix-list A seq 5 permit 10.0.0.0/8",
			"route-map 10.0.0.1-in permit 20",
			"route-map 10.0.0.1-in permit 20 / match ip address prefix-list A",
			"router bgp 64512",
			"router bgp 64512 / timers bgp 3 9",
		}},
		// FRR drops a rule that the list has already.
		{"rules that change places", built(t, nil, nodeAndPeer+extrasManifest("access-list C permit 10.0.0.0/8\naccess-list C permit any\n")), built(t, nil, nodeAndPeer+extrasManifest("access-list C permit any\naccess-list C permit 10.0.0.0/8\n")), []string{
			"no access-list C seq 5 permit 10.0.0.0/8",
			"no access-list C seq 10 permit any",
			"access-list C seq 5 permit any",
			"access-list C seq 10 permit 10.0.0.0/8",
		}},
	} {
		delta := frr.Diff(c.old, c.new)
		got := typed(delta.Commands)
		if c.old == nil {
			got = slices.DeleteFunc(got, func(s string) bool {
				return !strings.Contains(s, "route") && !strings.Contains(s, "list") || strings.Contains(s, "delay-timer")
			})
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, d)
		}
		for _, command := range delta.Commands {
			if command.Extra && (len(command.Origins) != 1 || command.Origins[0] != intent.ExtrasRef) {
				t.Errorf("%s: %q comes from %v", c.name, command.Text, command.Origins)
			}
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

func l2(name, spec string) string { return object("L2Advertisement", name, "}\nspec: {"+spec+"}") }

// plain is a node with its name as label; more are further annotations.
func plain(name, more string) string {
	return node(name, ", labels: {kubernetes.io/hostname: "+name+"}, annotations: {a: b"+more+"}", ready)
}

func weight(w string) string { return ", metallb.io/l2-weight: '" + w + "'" }

// links is what a node's speaker publishes: interfaces as "eth0 192.0.2.1/24 fd00::1/64".
func links(node string, list ...string) string {
	var texts []string
	for _, l := range list {
		name, prefixes, _ := strings.Cut(l, " ")
		texts = append(texts, fmt.Sprintf("{name: %s, prefixes: ['%s']}", name, strings.ReplaceAll(prefixes, " ", "', '")))
	}
	return object("ConfigurationState", "speaker-"+node, "}\nstatus: {links: ["+strings.Join(texts, ", ")+"]}")
}

// prefers adds a weight to one node's score.
func prefers(weight int, node string) string {
	return fmt.Sprintf("preferredNodeSelectors: [{weight: %d, preference: {matchLabels: {kubernetes.io/hostname: %s}}}]", weight, node)
}

var (
	three  = plain("n1", "") + plain("n2", "") + plain("n3", "")
	l2pool = pool("a", "192.0.2.0/24, 'fd00::/64'")
	l2base = three + l2pool
	every  = l2("x", "")
)

// at plans a node that forwards.
func at(t testing.TB, in *intent.Intent, node string, alive *plan.Alive) *plan.Result {
	t.Helper()
	return plan.ForNode(nil, in, plan.NodeFacts{Name: node, Forwarding: true, Alive: alive})
}

// owner returns the node that announces addr, as every node sees it for itself,
// and the order that they see. It fails where they disagree.
func owner(t testing.TB, in *intent.Intent, addr string, alive *plan.Alive) (string, string) {
	t.Helper()
	var owners, orders []string
	for _, n := range in.Nodes {
		for _, a := range at(t, in, n.Name, alive).Plan.Announcements {
			if a.Addr != netip.MustParseAddr(addr) {
				continue
			}
			orders = append(orders, strings.Join(a.Order, " "))
			if a.Own {
				owners = append(owners, n.Name)
			}
		}
	}
	if slices.Sort(orders); len(slices.Compact(orders)) > 1 || len(owners) > 1 {
		t.Fatalf("the nodes disagree about %s: owners %v, orders %q", addr, owners, orders)
	}
	return strings.Join(owners, " "), strings.Join(orders[:min(1, len(orders))], "")
}

// Of nodes that nothing else tells apart the order is that of
// printf 'n1#192.0.2.7' | sha256sum, as with MetalLB.
func TestOrderIsMetalLBs(t *testing.T) {
	in := intent.Resolve(nil, read(t, l2base+every+service("s7", "192.0.2.7 fd00::7", "", "n1")+service("s8", "192.0.2.8", "", "n1")+
		service("s9", "192.0.2.9", "", "n1")+service("s10", "192.0.2.10", "", "n1")))
	for addr, want := range map[string]string{
		"192.0.2.7":  "n3 n1 n2", // ab66cb45 b4b68b0c eff978ee
		"192.0.2.8":  "n1 n2 n3", // 2d962845 86af2bd1 b194f658
		"192.0.2.9":  "n2 n1 n3", // 4ea45517 b8e16960 d15cd339
		"192.0.2.10": "n2 n3 n1", // 6c55bbd1 83d302ab 9870ca2e
		"fd00::7":    "n2 n3 n1", // c26fe1f7 d25b17dd e1986028
	} {
		first, order := owner(t, in, addr, nil)
		if order != want || first != want[:2] {
			t.Errorf("%s: owner %s, order %s; want %s", addr, first, order, want)
		}
		dead := plan.NewAlive(slices.DeleteFunc([]string{"n1", "n2", "n3"}, func(n string) bool { return n == first })...)
		if next, order := owner(t, in, addr, dead); order != want || next != want[3:5] {
			t.Errorf("%s without %s: owner %s, order %s; want %s", addr, first, next, order, want)
		}
	}
	if nobody, order := owner(t, in, "192.0.2.7", plan.NewAlive()); nobody != "" || order != "n3 n1 n2" {
		t.Errorf("nobody is alive: owner %q, order %s", nobody, order)
	}
	// A longer name, and another address family's text.
	in = intent.Resolve(nil, read(t, plain("cp-0", "")+plain("worker-1", "")+plain("worker-2", "")+plain("worker-3", "")+pool("a", "10.0.0.0/24")+every+service("s", "10.0.0.100", "", "cp-0")))
	if _, order := owner(t, in, "10.0.0.100", nil); order != "worker-2 worker-1 worker-3 cp-0" { // 395a be27 caf1 f817
		t.Errorf("order %s", order)
	}
}

// Of many nodes, those with the same score stand in the order of their hashes.
func TestOrderOfManyNodes(t *testing.T) {
	const nodes = 40
	manifests := l2pool + every + service("s", "192.0.2.7", "", "n00")
	var want []string
	for i := range nodes {
		name := fmt.Sprintf("n%02d", i)
		manifests += plain(name, weight(fmt.Sprint(i%3)))
		want = append(want, fmt.Sprintf("%d %x %s", 2-i%3, sha256.Sum256([]byte(name+"#192.0.2.7")), name))
	}
	slices.Sort(want)
	for i, key := range want {
		want[i] = key[len(key)-3:]
	}
	if got := at(t, intent.Resolve(nil, read(t, manifests)), "n00", nil).Plan.Announcements[0].Order; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Who comes before whom, and who cannot announce, for 192.0.2.7, whose order is
// n3 n1 n2 where nothing else counts.
func TestCandidates(t *testing.T) {
	s := service("s", "192.0.2.7", "", "n1")
	for _, row := range []struct{ name, manifests, want string }{
		{"an advertisement of another pool counts for nothing", l2base + pool("b", "198.51.100.0/24") + every + l2("z", "ipAddressPools: [b], "+prefers(50, "n2")) + s, "n3 n1 n2"},
		{"a preference", l2base + l2("x", prefers(1, "n2")) + s, "n2 n3 n1"},
		{"preferences of several advertisements add up", l2base + l2("x", prefers(60, "n2")) + l2("z", prefers(50, "n1")) + l2("y", prefers(20, "n1")) + s, "n1 n2 n3"},
		{"one of the node's own", l2base + l2("x", prefers(60, "n2")) + l2("z", prefers(100, "n1")+", "+on("n3")) + s, "n2 n3 n1"},
		{"one for other Services", l2base + every + l2("z", prefers(100, "n1")+", serviceSelectors: [{matchLabels: {name: other}}]") + s, "n3 n1 n2"},
		{"a weight", plain("n1", weight("+7")) + plain("n2", "") + plain("n3", "") + l2pool + every + s, "n1 n3 n2"},
		{"a negative weight", plain("n1", "") + plain("n2", "") + plain("n3", weight("-1")) + l2pool + every + s, "n1 n2 n3"},
		{"weight and preference", plain("n1", weight("100")) + plain("n2", weight("1")) + plain("n3", "") + l2pool + l2("x", prefers(100, "n2")) + s, "n2 n1 n3"},
		{"a weight that is none", plain("n1", weight("101")) + plain("n2", "") + plain("n3", "") + l2pool + every + s, "n3 n1 n2"},
		{"node selectors", l2base + l2("x", on("n1")) + l2("z", on("n2")) + s, "n1 n2"},
		{"interfaces that a node has not", l2base + links("n3", "eth0 192.0.2.3/24") + l2("x", "interfaces: [eth1]") + s, "n1 n2"},
		{"interfaces that one advertisement asks for", l2base + links("n3", "eth0 192.0.2.3/24") + l2("x", "interfaces: [eth1]") + l2("z", on("n3")) + s, "n3 n1 n2"},
		{"a node without interface", l2base + links("n3") + every + s, "n1 n2"},
		{"nodes in other subnets", l2base + links("n3", "eth0 198.51.100.3/24") + links("n1", "eth0 192.0.2.1/24") + links("n2", "eth0 198.51.100.2/24", "eth1 192.0.2.2/24") + every + s, "n1 n2"},
		{"the subnet is on an interface that is not to announce", l2base + links("n3", "eth0 198.51.100.3/24") + links("n1", "eth0 198.51.100.1/24") + links("n2", "eth0 198.51.100.2/24", "eth1 192.0.2.2/24") + l2("x", "interfaces: [eth0]") + s, "n3 n1 n2"},
		{"a node whose subnets are not known", l2base + links("n3", "eth0 198.51.100.3/24") + links("n1", "eth0 192.0.2.1/24") + every + s, "n1 n2"},
		{"no node is in the subnet", l2base + links("n3", "eth0 198.51.100.3/24") + links("n1", "eth0 198.51.100.1/24") + links("n2", "eth0 203.0.113.2/24") + every + s, "n3 n1 n2"},
		{"the one in the subnet is no candidate", l2base + links("n3", "eth0 198.51.100.3/24") + links("n1", "eth0 192.0.2.1/24") + l2("x", on("n3")) + s, "n3"},
		{"the one in the subnet has no endpoint", l2base + links("n1", "eth0 192.0.2.1/24") + links("n2", "eth0 198.51.100.2/24") + links("n3", "eth0 198.51.100.3/24") + every + service("s", "192.0.2.7", local, "n2"), "n2"},
		{"Local", l2base + every + service("s", "192.0.2.7", local, "n1", "n2"), "n1 n2"},
		{"no endpoint", l2base + every + service("s", "192.0.2.7", ""), ""},
		{"a node that leaves", plain("n1", "") + plain("n2", "") + node("n3", ", labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}", ready) + l2pool + every + s, "n1 n2 n3"},
		{"a node that leaves with the preference", plain("n1", "") + plain("n2", "") + node("n3", ", annotations: {metallb.io/l2-weight: '9'}, labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}", ready) + l2pool + every + s, "n1 n2 n3"},
		{"a node without network", plain("n1", "") + plain("n2", "") + node("n3", "", "conditions: [{type: NetworkUnavailable, status: 'True'}]") + l2pool + every + s, "n1 n2 n3"},
		{"no advertisement", l2base + s, ""},
	} {
		in := intent.Resolve(nil, read(t, row.manifests))
		if got, order := owner(t, in, "192.0.2.7", nil); order != row.want || got != strings.SplitN(row.want, " ", 2)[0] {
			t.Errorf("%s: owner %q, order %q; want %q", row.name, got, order, row.want)
		}
	}
}

// Of IPv6 addresses those nodes are candidates that answer NDP, as far as is known:
// with a link-local address on an interface to announce on. The order is n2 n3 n1 for
// fd00::7 where nothing else counts.
func TestCandidatesForIPv6(t *testing.T) {
	const one, two, three = "eth0 fe80::1/64 192.0.2.1/24 fd00::1/64", "eth0 fe80::2/64 192.0.2.2/24 fd00::2/64", "eth0 fe80::3/64 192.0.2.3/24 fd00::3/64"
	for _, row := range []struct{ name, addr, manifests, want string }{
		{"all answer", "fd00::7", links("n1", one) + links("n2", two) + links("n3", three) + every, "n2 n3 n1"},
		{"one does not", "fd00::7", links("n1", one) + links("n2", "eth0 192.0.2.2/24 fd00::2/64") + links("n3", three) + every, "n3 n1"},
		{"it does for IPv4", "192.0.2.9", links("n1", one) + links("n2", "eth0 192.0.2.2/24 fd00::2/64") + links("n3", three) + every, "n2 n1 n3"},
		{"one does on another interface", "fd00::7", links("n1", one) + links("n2", "eth0 fd00::2/64", "eth1 fe80::2/64") + links("n3", three) + l2("x", "interfaces: [eth0]"), "n3 n1"},
		{"one does on one of two", "fd00::7", links("n1", one) + links("n2", "eth0 fd00::2/64", "eth1 fe80::2/64") + links("n3", three) + every, "n2 n3 n1"},
		{"of one nothing is known", "fd00::7", links("n1", one) + links("n3", three) + every, "n2 n3 n1"},
		{"the one in the subnet does not", "fd00::7", links("n1", "eth0 fe80::1/64") + links("n2", "eth0 fd00::2/64") + links("n3", "eth0 fe80::3/64") + every, "n3 n1"},
		{"none does", "fd00::7", links("n1", "eth0 fd00::1/64") + links("n2", "eth0 192.0.2.2/24") + links("n3", "eth0 fd00::3/64") + every, ""},
		{"a link-local prefix is no subnet", "fe80::7", pool("b", "'fe80::/64'") + links("n1", "eth0 fe80::1/64") + links("n2", "eth0 fe80::2/128") + links("n3", "eth0 fe80::3/128") + every, "n1 n3 n2"},
	} {
		in := intent.Resolve(nil, read(t, l2base+row.manifests+service("s", row.addr, "", "n1")))
		if got, order := owner(t, in, row.addr, nil); order != row.want || got != strings.SplitN(row.want, " ", 2)[0] {
			t.Errorf("%s: owner %q, order %q; want %q", row.name, got, order, row.want)
		}
	}
}

// Of the nodes without an interface for a Service one is assigned: the first alive by
// hash for its first address. The order is n3 n1 n2 for 192.0.2.7.
func TestAssigned(t *testing.T) {
	none := links("n1", "eth0 192.0.2.1/24") + links("n2", "eth0 192.0.2.2/24") + links("n3", "eth0 192.0.2.3/24")
	asked := l2("x", "interfaces: [eth1]")
	for _, row := range []struct{ name, manifests, addrs, alive, want string }{
		{"no node has it", none + asked, "192.0.2.7", "", "n3"},
		{"the first is not alive", none + asked, "192.0.2.7", "n1 n2", "n1"},
		{"nobody is", none + asked, "192.0.2.7", "nobody", ""},
		{"the second address counts for nothing", none + asked, "192.0.2.7 fd00::7", "", "n3"},
		{"the first has it", links("n1", "eth0 192.0.2.1/24") + links("n2", "eth0 192.0.2.2/24") + links("n3", "eth1 192.0.2.3/24") + asked, "192.0.2.7", "", "n1"},
		{"of the first nothing is known", links("n1", "eth0 192.0.2.1/24") + links("n2", "eth0 192.0.2.2/24") + asked, "192.0.2.7", "", "n1"},
		{"the first is not selected", none + l2("x", "interfaces: [eth1], "+on("n2")), "192.0.2.7", "", "n2"},
		{"all have it", none + every, "192.0.2.7", "", ""},
		{"an address of IPv6 and no NDP", none + every, "fd00::7", "", ""},
	} {
		in := intent.Resolve(nil, read(t, l2base+row.manifests+service("s", row.addrs, "")))
		var got []string
		for _, n := range in.Nodes {
			if at(t, in, n.Name, aliveOf(row.alive)).L2[0].Assigned {
				got = append(got, n.Name)
			}
		}
		if strings.Join(got, " ") != row.want {
			t.Errorf("%s: assigned %v, want %s", row.name, got, row.want)
		}
	}
}

// Who is assigned changes with who is alive, also where nothing else does.
func TestAssignedFollowsTheAlive(t *testing.T) {
	in := intent.Resolve(nil, read(t, l2base+links("n1", "eth0 192.0.2.1/24")+links("n3", "eth0 192.0.2.3/24")+l2("x", "interfaces: [eth1], nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n1}}, {matchLabels: {kubernetes.io/hostname: n3}}]")+service("s", "192.0.2.7", "", "n1")))
	var r *plan.Result
	for _, row := range []struct {
		alive   string
		want    bool
		changes int
	}{{"n1 n2 n3", false, 1}, {"n1 n2", true, 1}, {"n1", true, 0}, {"n1 n3", false, 1}} {
		before := r
		r = plan.ForNode(before, in, plan.NodeFacts{Name: "n1", Forwarding: true, Alive: aliveOf(row.alive)})
		if _, fresh := r.ChangedL2(before); r.L2[0].Assigned != row.want || len(fresh) != row.changes {
			t.Errorf("alive %s: %+v, %d changed; want assigned %v, %d", row.alive, r.L2[0], len(fresh), row.want, row.changes)
		}
	}
}

// Services that share an address have one owner, which serves as many of them as
// can be.
func TestSharedAddress(t *testing.T) {
	byName := func(name, spec string) string {
		return l2(name, "serviceSelectors: [{matchLabels: {name: "+name+"}}], "+spec)
	}
	for _, row := range []struct{ name, manifests, want string }{
		{"alike", l2base + every + service("p", "192.0.2.7", "", "n1") + service("q", "192.0.2.7", "", "n2"), "n3 n1 n2"},
		{"Cluster and Local", l2base + every + service("p", "192.0.2.7", "", "n1") + service("q", "192.0.2.7", local, "n2"), "n2 n3 n1"},
		{"two Local", l2base + every + service("p", "192.0.2.7", local, "n1", "n2") + service("q", "192.0.2.7", local, "n2", "n3"), "n2 n3 n1"},
		{"two Local that do not meet", l2base + every + service("p", "192.0.2.7", local, "n1") + service("q", "192.0.2.7", local, "n2"), "n1 n2"},
		{"three of which two meet", l2base + every + service("p", "192.0.2.7", local, "n1") + service("q", "192.0.2.7", local, "n2") + service("r", "192.0.2.7", local, "n2"), "n2 n1"},
		{"different nodes", l2base + byName("p", on("n1")) + byName("q", "nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n1}}, {matchLabels: {kubernetes.io/hostname: n2}}]") + service("p", "192.0.2.7", "", "n1") + service("q", "192.0.2.7", "", "n1"), "n1 n2"},
		{"different preferences", l2base + byName("p", prefers(10, "n1")) + byName("q", prefers(20, "n2")) + service("p", "192.0.2.7", "", "n1") + service("q", "192.0.2.7", "", "n1"), "n2 n1 n3"},
		{"one advertisement counts once", l2base + l2("x", prefers(10, "n1")) + byName("q", prefers(15, "n2")) + service("p", "192.0.2.7", "", "n1") + service("q", "192.0.2.7", "", "n1"), "n2 n1 n3"},
		{"one without advertisement", l2base + byName("p", on("n2")) + service("p", "192.0.2.7", "", "n1") + service("q", "192.0.2.7", local, "n1"), "n2"},
		{"one without endpoint", l2base + every + byName("q", prefers(50, "n2")) + service("p", "192.0.2.7", "", "n1") + service("q", "192.0.2.7", ""), "n3 n1 n2"},
		{"one that no node can announce", l2base + links("n1", "eth0 192.0.2.1/24") + links("n2", "eth0 192.0.2.2/24") + links("n3", "eth0 192.0.2.3/24") + byName("q", "interfaces: [eth9], "+prefers(50, "n2")) + byName("p", "") + service("p", "192.0.2.7", "", "n1") + service("q", "192.0.2.7", "", "n1"), "n3 n1 n2"},
	} {
		in := intent.Resolve(nil, read(t, row.manifests))
		if got, order := owner(t, in, "192.0.2.7", nil); order != row.want || got != strings.SplitN(row.want, " ", 2)[0] {
			t.Errorf("%s: owner %q, order %q; want %q", row.name, got, order, row.want)
		}
	}
}

// The interfaces are those of all advertisements that select the node; one that
// names none means all.
func TestAnnouncementLinks(t *testing.T) {
	s := service("s", "192.0.2.7", "", "n1")
	for name, row := range map[string]struct {
		manifests string
		want      []string
	}{
		"none named":       {every, nil},
		"one":              {l2("x", "interfaces: [eth1, eth0]"), []string{"eth0", "eth1"}},
		"two":              {l2("x", "interfaces: [eth1, eth0]") + l2("z", "interfaces: [eth2, eth1]"), []string{"eth0", "eth1", "eth2"}},
		"one and none":     {l2("x", "interfaces: [eth1, eth0]") + every, nil},
		"one of this node": {l2("x", "interfaces: [eth1]") + l2("z", on("n2")), []string{"eth1"}},
	} {
		in := intent.Resolve(nil, read(t, l2base+row.manifests+s))
		a := at(t, in, "n1", nil).Plan.Announcements
		if len(a) != 1 || !slices.Equal(a[0].Links, row.want) || (a[0].Links == nil) != (row.want == nil) {
			t.Errorf("%s: %+v, want links %v", name, a, row.want)
		}
	}
}

// n5 is Ready and has no speaker, or one that has not started; that of n4 has found
// no interface.
func TestReadyNodes(t *testing.T) {
	status := func(s string) string { return "conditions: [{type: Ready, status: '" + s + "'}]" }
	in := intent.Resolve(nil, read(t, node("n1", "", status("True"))+node("n2", "", status("Unknown"))+node("n3", "", "")+node("n4", "", status("True"))+node("n5", "", status("True"))+
		links("n1", "eth0 192.0.2.1/24")+links("n2", "eth0 192.0.2.2/24")+links("n3", "eth0 192.0.2.3/24")+links("n4")))
	if got := plan.ReadyNodes(in.Config).Names(); !slices.Equal(got, []string{"n1", "n4"}) {
		t.Errorf("%v", got)
	}
}

// A node without kube-proxy knows that it must not announce.
func TestOwnerForwards(t *testing.T) {
	in := intent.Resolve(nil, read(t, l2base+every+service("s", "192.0.2.7", "", "n1")))
	r := plan.ForNode(nil, in, plan.NodeFacts{Name: "n3"})
	if r.Plan.Announcements[0].Own || r.L2[0].Reason != plan.NodeNotForwarding {
		t.Errorf("%+v, %+v", r.Plan.Announcements, r.L2)
	}
	if r = plan.ForNode(r, in, plan.NodeFacts{Name: "n3", Forwarding: true}); !r.Plan.Announcements[0].Own || !r.L2[0].Announce {
		t.Errorf("when it does: %+v, %+v", r.Plan.Announcements, r.L2)
	}
}

// A node that leaves announces nothing, also where no other can; it stays behind
// all others, so that it answers until one of them does.
func TestLeavingNodeOwnsNothing(t *testing.T) {
	const leaving = ", labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}"
	s := service("s", "192.0.2.7", "", "n1")
	both := intent.Resolve(nil, read(t, node("n1", leaving, ready)+node("n2", leaving, ready)+l2pool+every+s))
	if got, order := owner(t, both, "192.0.2.7", nil); got != "" || order != "" {
		t.Errorf("all leave: owner %q, order %q; want none", got, order)
	}
	one := intent.Resolve(nil, read(t, plain("n1", "")+node("n3", leaving, ready)+l2pool+every+s))
	if got, order := owner(t, one, "192.0.2.7", plan.NewAlive("n3")); got != "" || order != "n1 n3" {
		t.Errorf("only the one that leaves is alive: owner %q, order %q; want none, n1 n3", got, order)
	}
}

// What kube-proxy does not pass on yet is no business of layer 2, where all nodes
// must know the same.
func TestPassedIsForBGP(t *testing.T) {
	manifests := l2base + every + peer("tor1", "10.0.0.1", "") + ad("x", "")
	in := intent.Resolve(nil, read(t, manifests+service("s", "192.0.2.7", local, "n1", "n2")))
	passed := intent.Resolve(in, read(t, manifests+service("s", "192.0.2.7", local, "n2")))
	r := plan.ForNode(nil, in, plan.NodeFacts{Name: "n1", Forwarding: true, Passed: passed})
	if r.Decisions[0].Announce || r.Decisions[0].Reason != plan.NoLocalEndpoint || !r.L2[0].Announce {
		t.Errorf("%+v, %+v; want layer 2 alone", r.Decisions, r.L2)
	}
	if r = plan.ForNode(r, in, plan.NodeFacts{Name: "n1", Forwarding: true}); !r.Decisions[0].Announce || !r.L2[0].Announce {
		t.Errorf("%+v, %+v; want both once it is passed on", r.Decisions, r.L2)
	}
	if got := r.Sharing(netip.MustParseAddr("192.0.2.7")); len(got) != 1 || got[0] != in.Services[0] {
		t.Errorf("shared by %v", got)
	}
}

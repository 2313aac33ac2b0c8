// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go4.org/netipx"
	discoveryv1 "k8s.io/api/discovery/v1"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

func numbered(format string, n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("'"+format+"'", i))
	}
	return strings.Join(list, ", ")
}

// rr is an iBGP peer.
func rr(name, addr, extra string) string {
	return strings.Replace(peer(name, addr, extra), "65000", "64512", 1)
}

func on(n string) string { return strings.ReplaceAll(hostname, "%s", n) }

// checkRows: what is wrong between objects, once for the cluster of two nodes.
var checkRows = []struct {
	name      string
	manifests string
	reason    intent.Reason
	object    string
	field     string
	value     string
	says      []string
}{
	{"one router ID for two nodes", base + peer("b", "10.0.0.2", ", routerID: 1.1.1.1"), plan.RouterIDShared, "BGPPeer b", "spec.routerID", "1.1.1.1", []string{"2 nodes (Node n1, n2)", "remove routerID"}},
	{"one router ID from two peers", twoNodes + peer("a", "10.0.0.2", ", routerID: 1.1.1.1, "+on("n1")) + peer("b", "10.0.0.2", ", routerID: 1.1.1.1, "+on("n2")), plan.RouterIDShared, "BGPPeer b", "spec.routerID", "1.1.1.1", []string{"Node n1, n2"}},
	{"localPref over eBGP", base + peer("tor2", "10.0.0.2", "") + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200"), plan.LocalPrefNotSent, "BGPAdvertisement x", "spec.localPref", "200", []string{"not sent to BGPPeer tor1, tor2:", "name only iBGP peers"}},
	{"localPref over eBGP by localASN", twoNodes + asns("b", "64513", "dynamicASN: external") + ad("x", "localPref: 200"), plan.LocalPrefNotSent, "BGPAdvertisement x", "spec.localPref", "200", []string{"BGPPeer b:"}},
	{"two preferences for one prefix", base + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200, peers: [rr]") + ad("z", "localPref: 1000, peers: [rr]"), plan.LocalPrefConflict, "BGPAdvertisement x", "spec.localPref", "200", []string{"BGPAdvertisement z", "IPAddressPool a", "BGPPeer rr", "localPref 1000", "the highest wins"}},
	{"two preferences for some Services", base + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200, peers: [rr]") + ad("z", "localPref: 100, peers: [rr], serviceSelectors: [{matchLabels: {name: web}}]") + web, plan.LocalPrefConflict, "BGPAdvertisement z", "spec.localPref", "100", []string{"BGPAdvertisement x", "localPref 200"}},
	{"two preferences for one aggregate", base + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200, peers: [rr], aggregationLengthV6: 120") + ad("z", "localPref: 100, peers: [rr], aggregationLength: 28, aggregationLengthV6: 120") + rr("six", "fd00:1::1", ""), plan.LocalPrefConflict, "BGPAdvertisement z", "spec.localPref", "100", []string{"BGPPeer rr"}},
	{"too many communities together", base + ad("x", "communities: ["+numbered("1:%d", 200)+"]") + ad("z", "communities: ["+numbered("2:%d", 54)+"]"), intent.TooManyCommunities, "BGPAdvertisement z", "spec.communities", "", []string{"54 communities, with those of BGPAdvertisement x", "IPAddressPool a", "BGPPeer tor1"}},
	{"aggregate with Local", base + ad("x", "aggregationLength: 28") + service("one", "192.0.2.17", local, "n1") + service("two", "192.0.2.18", "", "n2"), plan.AggregateWithLocalPolicy, "BGPAdvertisement x", "spec.aggregationLength", "", []string{"traffic of Service default/one, with", "single addresses"}},
	{"a pool in no subnet", twoNodes + pool("a", "192.0.2.0/25, 198.51.100.0/24, 'fd00::10-fd00::11'") + l2("x", "") + links("n1", "eth0 192.0.2.1/24") + links("n2", "eth0 198.51.100.1/25 fd00::1/64"), plan.AddressOutsideSubnets, "IPAddressPool a", "spec.addresses", "198.51.100.128/25", []string{"in no subnet of the nodes", "announce it over BGP"}},
	{"a pool in the subnet of another node", twoNodes + pool("a", "192.0.2.0/24") + l2("x", on("n1")) + links("n1", "eth0 198.51.100.1/24") + links("n2", "eth0 192.0.2.1/24"), plan.AddressOutsideSubnets, "IPAddressPool a", "spec.addresses", "192.0.2.0/24", []string{"ARP or NDP"}},
	{"a pool in the subnet of another interface", twoNodes + pool("a", "192.0.2.0/24") + l2("x", "interfaces: [eth1], "+on("n1")) + links("n1", "eth0 192.0.2.1/24", "eth1 198.51.100.1/24"), plan.AddressOutsideSubnets, "IPAddressPool a", "spec.addresses", "192.0.2.0/24", []string{"ARP or NDP"}},
	{"a pool in a link-local prefix", twoNodes + pool("a", "'fe80::10-fe80::11'") + l2("x", "") + links("n1", "eth0 fe80::1/64") + links("n2", "eth0 fe80::2/64"), plan.AddressOutsideSubnets, "IPAddressPool a", "spec.addresses", "fe80::10/127", []string{"ARP or NDP"}},
	{"aggregate of IPv6 with Local", base + ad("x", "aggregationLengthV6: 120") + service("one", "fd00::1", local, "n1") + service("two", "fd00::2", local, "n2"), plan.AggregateWithLocalPolicy, "BGPAdvertisement x", "spec.aggregationLengthV6", "", []string{"Service default/one, default/two,"}},
}

func check(t testing.TB, manifests string) []intent.Finding {
	t.Helper()
	return plan.Check(nil, intent.Resolve(nil, read(t, manifests))).Findings
}

func TestCheck(t *testing.T) {
	for _, row := range checkRows {
		var same []intent.Finding
		for _, f := range check(t, row.manifests) {
			if f.Reason == row.reason && f.Object.String() == row.object {
				same = append(same, f)
			}
		}
		if len(same) != 1 {
			t.Errorf("%s: %d findings %s of %s, want 1: %v", row.name, len(same), row.reason, row.object, check(t, row.manifests))
			continue
		}
		f := same[0]
		if f.Severity != intent.Warning || f.Field != row.field || f.Value != row.value {
			t.Errorf("%s: %s %s = %q", row.name, f.Severity, f.Field, f.Value)
		}
		for _, words := range row.says {
			if !strings.Contains(f.Message, words) {
				t.Errorf("%s: message does not say %q: %s", row.name, words, f.Message)
			}
		}
	}
}

func TestCheckFindsNothing(t *testing.T) {
	for name, manifests := range map[string]string{
		"a router ID per node":            twoNodes + peer("a", "10.0.0.2", ", routerID: 1.1.1.1, "+on("n1")) + peer("b", "10.0.0.2", ", routerID: 1.1.1.2, "+on("n2")),
		"a router ID on one node":         base + peer("b", "10.0.0.2", ", routerID: 1.1.1.1, "+on("n1")),
		"localPref to iBGP alone":         base + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200, peers: [rr]"),
		"localPref where no eBGP peer is": twoNodes + pool("a", "192.0.2.0/24") + peer("tor1", "10.0.0.1", ", "+on("n2")) + rr("rr", "10.0.0.9", ", "+on("n1")) + ad("x", "localPref: 200, "+on("n1")),
		"one preference, twice":           base + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200, peers: [rr]") + ad("z", "localPref: 200, peers: [rr]"),
		"one says nothing":                base + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200, peers: [rr]") + ad("z", ""),
		"two preferences, other peers":    base + rr("rr", "10.0.0.9", "") + rr("rr2", "10.0.0.8", "") + ad("x", "localPref: 200, peers: [rr]") + ad("z", "localPref: 100, peers: [rr2]"),
		"two preferences, other nodes":    base + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200, peers: [rr], "+on("n1")) + ad("z", "localPref: 100, peers: [rr], "+on("n2")),
		"two preferences, other pools":    base + pool("b", "198.51.100.0/24") + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200, peers: [rr], ipAddressPools: [a]") + ad("z", "localPref: 100, peers: [rr], ipAddressPools: [b]"),
		"two preferences, other lengths":  base + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200, peers: [rr]") + ad("z", "localPref: 100, peers: [rr], aggregationLength: 28, aggregationLengthV6: 120"),
		"two preferences, other Services": base + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200, peers: [rr], serviceSelectors: [{matchLabels: {name: web}}]") +
			ad("z", "localPref: 100, peers: [rr], serviceSelectors: [{matchLabels: {name: other}}]") + web + service("other", "192.0.2.8", "", "n1"),
		"as many communities as fit":   base + ad("x", "communities: ["+numbered("1:%d", 200)+"]") + ad("z", "communities: ["+numbered("2:%d", 53)+"]"),
		"an aggregate of its own":      base + ad("x", "aggregationLength: 28") + service("one", "192.0.2.17", local, "n1") + service("two", "192.0.2.33", local, "n2"),
		"an aggregate of two, Cluster": base + ad("x", "aggregationLength: 28") + service("one", "192.0.2.17", "", "n1") + service("two", "192.0.2.18", "", "n2"),
		"a pool in two subnets":        twoNodes + pool("a", "192.0.2.0/24, 'fd00::10-fd00::11'") + l2("x", "") + links("n1", "eth0 192.0.2.1/25", "eth1 fd00::1/64") + links("n2", "eth0 192.0.2.200/25"),
		"links that are not known":     twoNodes + pool("a", "192.0.2.0/24") + l2("x", "") + links("n1", "eth0 198.51.100.1/24"),
		"no node selected":             twoNodes + pool("a", "192.0.2.0/24") + l2("x", on("n3")) + links("n1", "eth0 198.51.100.1/24"),
		"not announced in layer 2":     twoNodes + pool("a", "192.0.2.0/24") + pool("b", "198.51.100.0/24") + l2("x", "ipAddressPools: [b]") + links("n1", "eth0 198.51.100.1/24") + links("n2", "eth0 198.51.100.2/24"),
		"Local in one host route":      base + ad("x", "") + service("one", "192.0.2.17", local, "n1") + service("two", "192.0.2.17", local, "n2"),
	} {
		if findings := check(t, manifests); len(findings) > 0 {
			t.Errorf("%s: %v", name, findings)
		}
	}
}

// What does not fit is left out whole, the younger advertisement's first; one
// that does not fit alone is not offered without its communities.
func TestCommunitiesThatDoNotFit(t *testing.T) {
	two := base + ad("x", "communities: ["+numbered("1:%d", 200)+"]") + ad("z", "communities: ["+numbered("2:%d", 54)+"]") + web
	if got := export(planned(t, two).Plan, "10.0.0.1", "x+z.v4"); strings.Count(got, " 1:")+strings.Count(got, "[1:") != 200 || strings.Contains(got, " 2:") {
		t.Errorf("the route carries %s", got)
	}
	var aliases []string
	for i := range 254 {
		aliases = append(aliases, fmt.Sprintf("{name: a%d, value: 'large:1:1:%d'}", i, i))
	}
	alone := base + object("Community", "c", "}\nspec: {communities: ["+strings.Join(aliases, ", ")+"]}") +
		ad("x", "communities: ["+numbered("large:2:1:%d", 200)+", "+strings.ReplaceAll(numbered("a%d", 60), "'", "")+"]") + web
	if got := export(planned(t, alone).Plan, "10.0.0.1", "x.v4"); got != "nothing" {
		t.Errorf("offered as %s", got)
	}
	if f := check(t, alone); len(f) != 1 || f[0].Reason != intent.TooManyCommunities {
		t.Errorf("%v", f)
	}
}

// Over any history, checking with what was checked before finds what checking
// anew finds.
func TestCheckWithPrevious(t *testing.T) {
	found := map[intent.Reason]bool{}
	for seed := range uint64(30) {
		c := newCluster(t, seed)
		c.s.BGPAds = append(slices.Clone(c.s.BGPAds), read(t, ad("more", "aggregationLength: 28, localPref: 9, peers: [int]")+ad("most", "localPref: 7, peers: [int]")+
			ad("yes", "localPref: 8, peers: [int], serviceSelectors: [{matchLabels: {some: 'yes'}}]")).BGPAds...)
		c.s.Peers = append(slices.Clone(c.s.Peers), read(t, rr("int", "10.0.0.9", "")).Peers...)
		c.s.Sort()
		var in *intent.Intent
		var prev *plan.Checked
		for step := range 60 {
			c.change()
			in = intent.Resolve(in, c.s)
			prev = plan.Check(prev, in)
			fresh := plan.Check(nil, intent.Resolve(nil, c.s))
			if d := cmp.Diff(fresh.Findings, prev.Findings, cmp.Comparer(func(a, b netipx.IPRange) bool { return a == b })); d != "" {
				t.Fatalf("seed %d, step %d (-anew +with previous):\n%s", seed, step, d)
			}
			for _, f := range prev.Findings {
				found[f.Reason] = true
			}
		}
	}
	for _, reason := range []intent.Reason{plan.AggregateWithLocalPolicy, plan.LocalPrefConflict} {
		if !found[reason] {
			t.Errorf("%s was never found", reason)
		}
	}
}

// BenchmarkCheck is a pass in which one of 10,000 Services changed, each of which
// is in an aggregate and selected by an advertisement.
func BenchmarkCheck(b *testing.B) {
	var manifests strings.Builder
	manifests.WriteString(twoNodes + pool("a", "10.0.0.0/8") + rr("rr", "10.0.0.9", "") + ad("x", "aggregationLength: 28, localPref: 5") + ad("z", "localPref: 6, serviceSelectors: [{}]"))
	for i := range 10000 {
		manifests.WriteString(service(fmt.Sprintf("s%05d", i), fmt.Sprintf("10.1.%d.%d", i/250, i%250), local, "n1"))
	}
	s := read(b, manifests.String())
	in := intent.Resolve(nil, s)
	checked := plan.Check(nil, in)
	inputs := []*intent.Intent{in}
	for i := range 2 {
		next := *s
		next.Services = slices.Clone(s.Services)
		next.Services[5000] = s.Services[5000].DeepCopy()
		next.Services[5000].Status.LoadBalancer.Ingress[0].IP = fmt.Sprintf("10.200.0.%d", i)
		next.EndpointSlices = slices.Clone[[]*discoveryv1.EndpointSlice](s.EndpointSlices)
		in = intent.Resolve(in, &next)
		inputs = append(inputs, in)
	}
	i := 0
	for b.Loop() {
		i++
		checked = plan.Check(checked, inputs[i%len(inputs)])
	}
}

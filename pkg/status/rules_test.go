// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"
	"testing"

	"metallb.io/metallb-frr/hack/docs/row"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

const (
	peer1 = "---\nkind: BGPPeer\nmetadata: {name: peer1}\nspec: {myASN: 64512, peerASN: 64513, peerAddress: 10.200.200.2, %}\n"
	basic = "---\nkind: Secret\nmetadata: {name: bgp-password, namespace: metallb-system}\n"
	node1 = "---\nkind: Node\nmetadata: {name: n1}\n"
)

// rules are those of MetalLB about what a ConfigurationState says. Each has
// manifests, and the whole errorSummary; empty: the result is Valid.
var rules = []struct{ rule, differs, manifests, summary string }{
	{"A Secret of another type is an error, in these words.", "", with1("passwordSecret: {name: bgp-password}") + basic + "type: Opaque\nstringData: {password: a}\n",
		"configuration error: parsing peer peer1 secret type mismatch on \"metallb-system\"/\"bgp-password\", type \"kubernetes.io/basic-auth\" is expected \nfailed to parse peer peer1 password secret"},
	{"A Secret that is not there is an error, in these words.", "", with1("passwordSecret: {name: peer1}"),
		"configuration error: parsing peer peer1 secret ref not found for peer config \"metallb-system\"/\"peer1\"\nfailed to parse peer peer1 password secret"},
	{"A BFD profile that is not there is an error, in these words.", "", with1("bfdProfile: my-bfd-profile"),
		"configuration error: peer peer1 referencing non existing bfd profile my-bfd-profile"},
	{"Two peers with one neighbour on a node are an error, in these words.", "", node1 + with1("") + strings.Replace(with1(""), "peer1", "peer2", 1),
		"configuration error: peer 10.200.200.2 already exists, FRR mode doesn't support duplicate BGPPeers selecting the same node"},
	{"The first error is the whole text.", "All errors are said, each with object, field, value and what would be right.", with1("") + "---\nkind: IPAddressPool\nmetadata: {name: a}\nspec: {addresses: []}\n---\nkind: IPAddressPool\nmetadata: {name: b}\nspec: {addresses: [192.0.2.9-192.0.2.1]}\n",
		`configuration error: IPAddressPool a: spec.addresses: is empty; write at least one CIDR (192.0.2.0/24) or range (192.0.2.10-192.0.2.20); IPAddressPool b: spec.addresses[0]: "192.0.2.9-192.0.2.1": ends before it begins; swap the two addresses`},
	{"An alias that nothing defines is an error.", "", "---\nkind: BGPAdvertisement\nmetadata: {name: x}\nspec: {communities: [gone]}\n",
		`configuration error: BGPAdvertisement x: spec.communities[0]: "gone": invalid community format: no Community object defines this alias; define it, or write a:b or large:a:b:c`},
	{"Names of pools and peers that are not there are no error.", "", "---\nkind: BGPAdvertisement\nmetadata: {name: x}\nspec: {ipAddressPools: [gone], peers: [gone]}\n", ""},
	{"What is probably not meant is no error.", "", with1("disableMP: true"), ""},
}

// with1 is the BGPPeer peer1 with more fields.
func with1(fields string) string { return strings.Replace(peer1, "%", fields, 1) }

func TestRules(t *testing.T) {
	var rows []row.Rule
	for _, r := range rules {
		s, err := intent.ReadYAML(strings.NewReader(r.manifests), "metallb-system")
		if err != nil {
			t.Fatal(err)
		}
		in := intent.Resolve(nil, s)
		findings := append(in.Findings, plan.Check(nil, in).Findings...)
		got := Configuration("x", nil, findings, now)
		want := "Valid"
		if r.summary != "" {
			want = "Invalid"
		}
		if got.ErrorSummary != r.summary || string(got.Result) != want || got.Conditions[0].Message != r.summary {
			t.Errorf("%s\n%s: %q, condition %q\nwant %q", r.rule, got.Result, got.ErrorSummary, got.Conditions[0].Message, r.summary)
		}
		if Stale(findings) != (r.summary != "") {
			t.Errorf("%s\nstale is %t", r.rule, Stale(findings))
		}
		kept := row.Rule{Section: "What a ConfigurationState says", Rule: r.rule, Differs: r.differs}
		if r.summary != "" {
			kept.Findings = []string{got.ErrorSummary}
		}
		rows = append(rows, kept)
	}
	row.Keep(t, row.RulesFile, rows)
}

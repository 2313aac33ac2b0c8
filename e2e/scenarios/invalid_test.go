// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"net/netip"
	"testing"

	"metallb.io/metallb-frr/e2e/product"
)

// badObjects pass the schema, are wrong all the same, and cost themselves alone.
var badObjects = []struct {
	kind, name, spec, reason string
	parts                    []string // field, value, what would be right
}{
	{"BGPPeer", "bad-peer", `{myASN: 65100, peerASN: 65000, peerAddress: 224.0.0.5}`, "InvalidPeerAddress",
		[]string{"spec.peerAddress", `"224.0.0.5"`, "write the router's own"}},
	{"IPAddressPool", "bad-pool", `{addresses: [198.51.100.64-198.51.100.32]}`, "InvalidAddresses",
		[]string{"spec.addresses[0]", `"198.51.100.64-198.51.100.32"`, "swap the two addresses"}},
	{"BGPAdvertisement", "bad-advertisement", `{communities: ["65000:100", "65000:100"]}`, "DuplicateEntry",
		[]string{"spec.communities[1]", `"65000:100"`, "remove one"}},
}

// Beside an invalid object a new Service in an existing pool is announced, and so
// is one of a new pool.
func TestInvalidObjectBesideValidOnes(t *testing.T) {
	for _, bad := range badObjects {
		t.Run(bad.kind, func(t *testing.T) {
			ctx, w := begin(t)
			w.unjudged(t, ctx)
			rec := w.record(t, ctx)
			ns := w.namespace(t, ctx)
			w.apply(t, ctx, w.torConfig()+plain(ns, "before", everywhere))
			before := w.address(t, ctx, ns, "before")
			rec.reach(t, ctx, host(before), everywhere...)

			w.apply(t, ctx, object(bad.kind, bad.name, bad.spec))
			ref := bad.kind + " " + bad.name
			w.says(t, ctx,
				verdict{ref, "Accepted", "False", bad.reason, bad.parts},
				verdict{ref, "Ready", "False", bad.reason, bad.parts},
				verdict{ref, "ResolvedRefs", "Unknown", "NotAccepted", nil})
			from := rec.mark()

			w.apply(t, ctx, plain(ns, "after", everywhere))
			after := w.address(t, ctx, ns, "after")
			rec.reach(t, ctx, host(after), everywhere...)

			w.apply(t, ctx, object("IPAddressPool", "new-pool", `{addresses: [198.51.100.0/28], autoAssign: false}`)+
				object("BGPAdvertisement", "new-adv", `{ipAddressPools: [new-pool]}`)+
				plain(ns, "new", everywhere, ", annotations: {metallb.io/address-pool: new-pool}"))
			added := w.address(t, ctx, ns, "new")
			if !netip.MustParsePrefix("198.51.100.0/28").Contains(added) {
				t.Errorf("the Service that asks for new-pool got %s", added)
			}
			rec.reach(t, ctx, host(added), everywhere...)
			rec.only(t, from, host(after), host(added))

			w.says(t, ctx, ok("IPAddressPool prod-pool", "IPAddressPool new-pool", "BGPAdvertisement new-adv", "BGPPeer tor1", "BGPPeer tor2", "BFDProfile tor-bfd")...)
			w.says(t, ctx, warned("BGPAdvertisement prod-adv", "LocalPrefNotSent", "BGPPeer tor1, tor2")...)
			w.says(t, ctx, verdict{ref, "Accepted", "False", bad.reason, bad.parts})
			w.agree(t, ctx)
		})
	}
}

// An edit that makes an accepted object invalid leaves its last accepted spec in
// force: no session drops, no route changes, and Services go on.
func TestEditThatIsInvalid(t *testing.T) {
	ctx, w := begin(t)
	w.unjudged(t, ctx)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	w.apply(t, ctx, w.torConfig()+plain(ns, "before", everywhere))
	before := w.address(t, ctx, ns, "before")
	rec.reach(t, ctx, host(before), everywhere...)
	w.says(t, ctx, ok("BGPPeer tor1", "IPAddressPool prod-pool")...)
	w.watched(t, ctx)
	sessions := w.sessions(t, ctx)
	from := rec.mark()

	for _, edit := range []struct{ kind, name, patch, part string }{
		{"bgppeer", "tor1", `{"spec":{"peerAddress":"224.0.0.5"}}`, `spec.peerAddress: "224.0.0.5"`},
		{"ipaddresspool", "prod-pool", `{"spec":{"addresses":["203.0.113.9-203.0.113.1"]}}`, `spec.addresses[0]: "203.0.113.9-203.0.113.1"`},
	} {
		w.kubectl(t, ctx, "-n", product.Namespace, "patch", edit.kind, edit.name, "--type=merge", "-p", edit.patch)
		ref := map[string]string{"bgppeer": "BGPPeer ", "ipaddresspool": "IPAddressPool "}[edit.kind] + edit.name
		w.says(t, ctx, verdict{ref, "Accepted", "False", "UsingLastAccepted", []string{edit.part, "stays in force"}})
	}
	w.apply(t, ctx, plain(ns, "after", everywhere))
	after := w.address(t, ctx, ns, "after")
	if !netip.MustParsePrefix("203.0.113.0/24").Contains(after) {
		t.Errorf("a Service got %s, want one from the pool as it was accepted", after)
	}
	rec.reach(t, ctx, host(after), everywhere...)
	rec.only(t, from, host(after))
	w.sameSessions(t, ctx, sessions)
	w.agree(t, ctx)
}

// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"testing"

	"metallb.io/metallb-frr/e2e/product"
)

// A line that FRR refuses is in the condition of the object that it comes from, in
// FRR's words; here one that contradicts what a user has added by hand. Everything
// else goes on, and the object is in force when the cause is gone.
func TestRefusalByFRRIsInTheCondition(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	t.Cleanup(func() {
		if _, err := w.Kubectl(context.Background(), "-n", product.Namespace, "delete", "configmap", "bgpextras", "--ignore-not-found"); err != nil {
			t.Error(err)
		}
	})
	const peer = "172.30.0.99" // nobody is there
	w.apply(t, ctx, w.torConfig()+plain(ns, "web", everywhere)+
		bgpextras("router bgp 65100\n address-family ipv6 labeled-unicast\n  neighbor "+peer+" activate\n")+
		object("BGPPeer", "other", "{myASN: 65100, peerASN: 65000, peerAddress: "+peer+"}"))
	addr := w.address(t, ctx, ns, "web")
	rec.reach(t, ctx, host(addr), everywhere...)
	w.says(t, ctx, ok("BGPPeer other")...)
	w.watched(t, ctx)
	sessions, from := w.sessions(t, ctx), rec.mark()

	w.kubectl(t, ctx, "-n", product.Namespace, "patch", "bgppeer", "other", "--type=merge", "-p", `{"spec":{"dualStackAddressFamily":true}}`)
	w.says(t, ctx, verdict{"BGPPeer other", "Accepted", "True", "", nil},
		verdict{"BGPPeer other", "Ready", "False", "RefusedByFRR",
			[]string{"neighbor " + peer + " activate", "Cannot activate peer for both", "(on n1, n2, n3)"}})
	w.apply(t, ctx, plain(ns, "after", everywhere))
	after := w.address(t, ctx, ns, "after")
	rec.reach(t, ctx, host(after), everywhere...)
	rec.only(t, from, host(after))
	w.says(t, ctx, ok("BGPPeer tor1", "BGPPeer tor2")...)

	w.kubectl(t, ctx, "-n", product.Namespace, "delete", "configmap", "bgpextras")
	w.says(t, ctx, ok("BGPPeer other")...)
	w.sameSessions(t, ctx, sessions)
	w.agree(t, ctx)
}

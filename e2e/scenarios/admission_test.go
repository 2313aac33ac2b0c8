// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/product"
)

// What contradicts other objects is refused by kubectl apply, in the words of the
// condition. While there is nobody to ask, it is written, and judged later.
func TestAdmissionSaysNoAtOnce(t *testing.T) {
	ctx, w := begin(t)
	w.apply(t, ctx, w.torConfig())
	w.says(t, ctx, ok("BGPPeer tor1", "BGPPeer tor2", "IPAddressPool prod-pool")...)

	over := object("IPAddressPool", "over", "{addresses: [203.0.113.128/25], autoAssign: false}")
	refused(t, product.Apply(ctx, w.Lab, over), "spec.addresses[0]", `"203.0.113.128/25"`,
		"overlaps with already defined CIDR 203.0.113.0/24", "prod-pool")
	_, err := w.Kubectl(ctx, "-n", product.Namespace, "patch", "bgppeer", "tor1", "--type=merge", "-p", `{"spec":{"peerAddress":"224.0.0.5"}}`)
	refused(t, err, "spec.peerAddress", `"224.0.0.5"`)
	_, err = w.Kubectl(ctx, "-n", product.Namespace, "delete", "bfdprofile", "tor-bfd")
	refused(t, err, "failed to delete BFDProfile tor-bfd, used by BGPPeer tor")
	w.says(t, ctx, ok("BGPPeer tor1", "BGPPeer tor2", "BFDProfile tor-bfd")...)

	w.withoutController(t, ctx)
	w.apply(t, ctx, over)
	w.kubectl(t, ctx, "-n", product.Namespace, "label", "ipaddresspool", "over", "edited=yes")
	w.kubectl(t, ctx, "-n", product.Namespace, "delete", "ipaddresspool", "over")
	w.kubectl(t, ctx, "-n", product.Namespace, "delete", "bfdprofile", "tor-bfd")
}

// refused checks that the webhook has refused something, in these words.
func refused(t *testing.T, err error, parts ...string) {
	t.Helper()
	parts = append(parts, `admission webhook "validation.metallb.io" denied the request`)
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("want an error with %q, got: %v", part, err)
		}
	}
}

// unjudged makes the API server ask nobody until the test ends, as a test wants
// that is about what is wrong and in the cluster all the same.
func (w *world) unjudged(t *testing.T, ctx context.Context) {
	t.Helper()
	choose := func(ctx context.Context, selector string) error {
		_, err := w.Kubectl(ctx, "patch", "validatingwebhookconfiguration", "metallb-webhook-configuration", "--type=json",
			"-p", fmt.Sprintf(`[{"op":"add","path":"/webhooks/0/namespaceSelector","value":%s}]`, selector))
		return err
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := choose(ctx, "{}"); err != nil {
			t.Error(err)
		}
	})
	if err := choose(ctx, `{"matchLabels":{"no-namespace":"has-this"}}`); err != nil {
		t.Fatal(err)
	}
	invalid := object("BGPPeer", "invalid", "{myASN: 65100, peerASN: 65000, peerAddress: 224.0.0.5}")
	w.eventually(t, ctx, "the API server to ask nobody", func() error {
		_, err := w.KubectlInput(ctx, invalid, "create", "--dry-run=server", "-f", "-")
		return err
	})
}

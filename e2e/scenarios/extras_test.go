// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
)

// bgpextras is the ConfigMap with those lines.
func bgpextras(lines string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: bgpextras, namespace: %s}\ndata:\n  extras: |\n    %s\n",
		product.Namespace, strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\n    "))
}

// offers makes a router announce prefixes that it reaches, until the test ends.
func (w *world) offers(t *testing.T, ctx context.Context, r *lab.Router, prefixes ...netip.Prefix) {
	t.Helper()
	enter := []string{"configure terminal", fmt.Sprintf("router bgp %d", w.Spec.RouterASN), "address-family ipv4 unicast"}
	var add, remove []string
	for _, p := range prefixes {
		add, remove = append(add, "network "+p.String()), append(remove, "no network "+p.String())
	}
	t.Cleanup(func() {
		if out, err := r.Vtysh(context.Background(), append(slices.Clip(enter), remove...)...); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	if out, err := r.Vtysh(ctx, append(slices.Clip(enter), add...)...); err != nil || strings.Contains(out, "%") {
		t.Fatalf("%v: %s", err, out)
	}
}

// takes waits until every node has these routes from a router, and no other.
func (w *world) takes(t *testing.T, ctx context.Context, r *lab.Router, want ...string) {
	t.Helper()
	for _, n := range w.Nodes() {
		w.eventually(t, ctx, fmt.Sprintf("%s to take %v from %s", n.Name, want, r.Name), func() error {
			text, err := w.vtysh(ctx, n, "show bgp ipv4 unicast neighbors "+r.Addr4.String()+" routes json")
			if err != nil {
				return err
			}
			var table struct{ Routes map[string]any }
			if err := json.Unmarshal([]byte(text), &table); err != nil {
				return fmt.Errorf("%w in %q", err, text)
			}
			var got []string
			for p := range table.Routes {
				got = append(got, p)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				return fmt.Errorf("it has %v", got)
			}
			return nil
		})
	}
}

// The ConfigMap bgpextras comes, changes, is broken, mended and removed while
// datagrams flow: none is lost, no session ends, no route moves. A line that is not
// taken is in an event on the ConfigMap and costs itself alone. At last all is as if
// it had never been there.
func TestExtrasUnderTraffic(t *testing.T) {
	ctx, w := begin(t)
	rec, _, to := w.served(t, ctx)
	r := w.Router(0)
	w.offers(t, ctx, r, lab.LAN4, lab.ClientNet4)
	w.takes(t, ctx, r)
	before := map[string]string{}
	for _, n := range w.Nodes() {
		conf, err := w.runningConfig(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		before[n.Name] = conf
	}
	sessions, from := w.sessions(t, ctx), rec.mark()
	t.Cleanup(func() {
		if _, err := w.Kubectl(context.Background(), "-n", product.Namespace, "delete", "configmap", "bgpextras", "--ignore-not-found"); err != nil {
			t.Error(err)
		}
	})

	letIn := func(p netip.Prefix) string {
		return fmt.Sprintf("ip prefix-list FROM-TOR permit %s\nroute-map %s-in permit 20\n match ip address prefix-list FROM-TOR\n", p, r.Addr4)
	}
	w.lossless(t, ctx, rec, to, func() {
		since := time.Now()
		w.apply(t, ctx, bgpextras(letIn(lab.ClientNet4)))
		w.takes(t, ctx, r, lab.ClientNet4.String())
		w.apply(t, ctx, bgpextras(letIn(lab.LAN4)))
		w.takes(t, ctx, r, lab.LAN4.String())

		broken := "write memory\nrouter bgp 65100\n neighbor " + r.Addr4.String() + " frobnicate 5\n neighbor " + r.Addr4.String() + " description by hand\n"
		w.apply(t, ctx, bgpextras(letIn(lab.ClientNet4)+broken))
		w.takes(t, ctx, r, lab.ClientNet4.String())
		w.told(t, ctx, since, product.Namespace, "ConfigMap bgpextras", "ExtrasRefused",
			`"write memory"`, "line 4", "frobnicate 5", "Unknown command", "(on n1, n2, n3)")
		for _, n := range w.Nodes() {
			w.eventually(t, ctx, "the good line beside the broken ones on "+n.Name, func() error {
				conf, err := w.runningConfig(ctx, n)
				if err == nil && !strings.Contains(conf, "neighbor "+r.Addr4.String()+" description by hand\n") {
					err = fmt.Errorf("its configuration is\n%s", conf)
				}
				return err
			})
		}
		w.apply(t, ctx, bgpextras(letIn(lab.ClientNet4)))
		w.told(t, ctx, since, product.Namespace, "ConfigMap bgpextras", "ExtrasInForce")

		w.kubectl(t, ctx, "-n", product.Namespace, "delete", "configmap", "bgpextras")
		w.takes(t, ctx, r)
		for _, n := range w.Nodes() {
			w.whole(t, ctx, n, before[n.Name])
		}
	})
	rec.only(t, from)
	w.sameSessions(t, ctx, sessions)
	w.agree(t, ctx)
}

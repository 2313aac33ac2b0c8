// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
	"metallb.io/metallb-frr/e2e/wire"
)

// gratuitousOf returns what reports whether a frame claims the address unasked, for
// another member than that.
func gratuitousOf(a netip.Addr, not string) func(wire.Frame) bool {
	return func(f wire.Frame) bool { return f.Kind == wire.Gratuitous && f.Addr == a && f.Member != not }
}

// foreign waits until the node's ConfigurationState names those stations for
// addresses, and no others.
func (w *world) foreign(t *testing.T, ctx context.Context, node string, want map[netip.Addr]wire.MAC) {
	t.Helper()
	w.eventually(t, ctx, fmt.Sprintf("speaker-%s to say that %v have owners", node, want), func() error {
		out, err := w.Kubectl(ctx, "-n", product.Namespace, "get", "configurationstate", "speaker-"+node, "-o", "json")
		if err != nil {
			return err
		}
		var have struct {
			Status struct {
				Foreign []struct {
					Address   netip.Addr
					MAC       string
					Interface string
					Since     time.Time
				}
			}
		}
		if err := json.Unmarshal([]byte(out), &have); err != nil {
			return fmt.Errorf("%s: %w", out, err)
		}
		for _, f := range have.Status.Foreign {
			if mac, is := want[f.Address]; !is || f.MAC != mac.String() || f.Interface != "eth0" || f.Since.IsZero() {
				return fmt.Errorf("it says %+v", have.Status.Foreign)
			}
		}
		if len(have.Status.Foreign) != len(want) {
			return fmt.Errorf("it says %+v", have.Status.Foreign)
		}
		return nil
	})
}

// conflict waits until the Service has a condition AddressConflict with those parts in
// its message; without any, until it has none.
func (w *world) conflict(t *testing.T, ctx context.Context, namespace, name string, parts ...string) {
	t.Helper()
	const path = `jsonpath={range .status.conditions[?(@.type=="metallb.io/AddressConflict")]}{.status} {.reason} {.message}{end}`
	w.eventually(t, ctx, fmt.Sprintf("condition AddressConflict of %s with %q", name, parts), func() error {
		out, err := w.Kubectl(ctx, "-n", namespace, "get", "service", name, "-o", path)
		if err != nil {
			return err
		}
		if len(parts) == 0 && out == "" || len(parts) > 0 && strings.HasPrefix(out, "True ForeignOwner ") && hasAll(out, parts) {
			return nil
		}
		return fmt.Errorf("it is %q", out)
	})
}

// rounds are when the node began to ask everybody for an address, 300 ms and more
// after it had last.
func rounds(r wire.Record, node string, a netip.Addr) []time.Time {
	var out []time.Time
	var last time.Time
	for _, f := range r {
		if f.Member != node || f.Addr != a || f.Kind != wire.Probe && f.Kind != wire.Query || !f.Dst.Multicast() {
			continue
		}
		if f.Time.Sub(last) > 300*time.Millisecond {
			out = append(out, f.Time)
		}
		last = f.Time
	}
	return out
}

// An address that some machine has which is no part of the cluster is not announced:
// that machine goes on undisturbed, and the Service, its events and the node say who
// has it. The Service's other address is announced. It is asked for again, less and
// less often, and announced once the machine is gone.
func TestForeignOwner(t *testing.T) {
	for i, family := range []string{"IPv4", "IPv6"} {
		t.Run(family, func(t *testing.T) {
			ctx, w := begin(t)
			ns, since := w.namespace(t, ctx), time.Now()
			addrs := []netip.Addr{elected("n1", lab.Free4)[i], elected("n2", lab.Free6)[i]}
			taken, free, node := addrs[i], addrs[1-i], everywhere[i]
			x, err := w.AddHost(netip.PrefixFrom(taken, []int{lab.LAN4.Bits(), lab.LAN6.Bits()}[i]))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { x.Remove() })
			mac, err := x.MAC()
			if err != nil {
				t.Fatal(err)
			}
			watch := w.lanWatch(t, addrs...)
			w.apply(t, ctx, heldPool+plainDual(ns, "web", addrs[0], addrs[1]))

			w.owned(t, ctx, watch, time.Now(), owners{taken: x.Name, free: everywhere[1-i]})
			w.conflict(t, ctx, ns, "web", taken.String(), mac.String(), node)
			w.told(t, ctx, since, ns, "Service web", "ForeignOwner", node, taken.String(), mac.String(), "eth0")
			w.foreign(t, ctx, node, map[netip.Addr]wire.MAC{taken: mac})
			// Asked after 1, 2 and 4 s, and what that takes.
			var asked []time.Time
			w.eventually(t, ctx, "the address to be asked for again", func() error {
				asked = rounds(watch.Record(), node, taken)
				if len(asked) < 4 {
					return fmt.Errorf("it was at %v", asked)
				}
				return nil
			})
			for i := 2; i < 4; i++ {
				if now, before := asked[i].Sub(asked[i-1]), asked[i-1].Sub(asked[i-2]); now < before*3/2 || before < 900*time.Millisecond {
					t.Errorf("%s was asked for at %v; want pauses of 1, 2 and 4 s", taken, asked)
				}
			}
			for _, f := range watch.Record().Claims(taken) {
				if f.Member != x.Name {
					t.Errorf("%s has %s, and there was %s", x.Name, taken, f)
				}
			}

			gone := time.Now()
			if err := x.Remove(); err != nil {
				t.Fatal(err)
			}
			at := w.owned(t, ctx, watch, gone, owners{taken: node, free: everywhere[1-i]})
			t.Logf("%s announced %.1f s after its owner went", taken, at.Sub(gone).Seconds())
			if _, told := watch.Record().First(gone, gratuitousOf(taken, x.Name)); !told {
				t.Errorf("nobody told of %s unasked", taken)
			}
			w.conflict(t, ctx, ns, "web")
			w.foreign(t, ctx, node, nil)
		})
	}
}

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

// drainTaint is the taint that takes a node out of service here: the chart's value
// speaker.drainOn.
const drainTaint = "lab.local/drain"

const excludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers"

// A node that leaves service marks its routes on both routers, withdraws them
// later, says so at each step, and is back when it is wanted; under a stream of
// 1,000 datagrams a second none is lost.
func TestNodeLeavesService(t *testing.T) {
	for _, c := range []struct {
		name        string
		node        int
		leave, back []string // arguments of kubectl
		killed      bool     // while the speaker restarts
	}{
		{"by its label", 1, []string{"label", "node", "n2", excludeLabel + "="}, []string{"label", "node", "n2", excludeLabel + "-"}, false},
		{"by a taint of the list", 2, []string{"taint", "node", "n3", drainTaint + "=disk:PreferNoSchedule"}, []string{"taint", "node", "n3", drainTaint + "-"}, false},
		{"while its speaker restarts", 0, []string{"label", "node", "n1", excludeLabel + "="}, []string{"label", "node", "n1", excludeLabel + "-"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, w := begin(t)
			rec, _, to := w.served(t, ctx)
			addr := to.Addr()
			n, sessions := w.Node(c.node), w.sessions(t, ctx)
			t.Cleanup(func() { w.Kubectl(context.Background(), c.back...) }) // done already, where the test succeeds
			since := time.Now()

			s := w.stream(t, ctx, to)
			s.past(t, ctx, 1000)
			steps := w.follow(t, ctx, n, host(addr))
			count := w.restarts(t, ctx, n, "speaker")
			if c.killed {
				if err := n.KillProcess("speaker"); err != nil {
					t.Fatal(err)
				}
			}
			w.kubectl(t, ctx, c.leave...)
			if c.killed {
				w.back(t, ctx, n, "speaker", count)
			}
			w.step(t, ctx, n, "RoutesWithdrawn")
			rec.reach(t, ctx, host(addr), others(n.Name)...)
			for router, seen := range steps(t) {
				if want := []string{"announced", "marked", "gone"}; !slices.Equal(seen, want) {
					t.Errorf("%s saw the route of %s %v, want %v", router, n.Name, seen, want)
				}
			}
			w.agree(t, ctx)
			w.answers(t, ctx, to, others(n.Name)...)

			w.kubectl(t, ctx, c.back...)
			w.step(t, ctx, n, "InService")
			rec.reach(t, ctx, host(addr), everywhere...)
			s.past(t, ctx, 1000)
			if sent, lost := s.end(); lost != 0 || sent < 2000 {
				t.Errorf("%d of %d datagrams lost, want none", lost, sent)
			} else {
				t.Logf("%d datagrams, none lost", sent)
			}
			w.answers(t, ctx, to, everywhere...)
			w.sameSessions(t, ctx, sessions)
			w.agree(t, ctx)
			if !c.killed { // what has just started tells no story
				w.toldSteps(t, ctx, n, since, "RoutesMarked", "RoutesWithdrawn", "InService")
			}
		})
	}
}

// step waits until the node says that it is there, as the operator's guide does.
func (w *world) step(t *testing.T, ctx context.Context, n *lab.Node, reason string) {
	t.Helper()
	w.kubectl(t, ctx, "-n", product.Namespace, "wait", "configurationstate/speaker-"+n.Name, "--timeout=30s",
		`--for=jsonpath={.status.conditions[?(@.type=="inService")].reason}=`+reason)
}

// toldSteps waits until there are events on the Node, in that order.
func (w *world) toldSteps(t *testing.T, ctx context.Context, n *lab.Node, since time.Time, want ...string) {
	t.Helper()
	w.eventually(t, ctx, fmt.Sprintf("events %v on Node %s", want, n.Name), func() error {
		out, err := w.Kubectl(ctx, "get", "events", "-n", "default", "--sort-by=.lastTimestamp", "-o", "json",
			"--field-selector", "involvedObject.kind=Node,involvedObject.name="+n.Name+",source=metallb-speaker")
		if err != nil {
			return err
		}
		var list struct {
			Items []struct {
				Reason        string
				LastTimestamp time.Time
			}
		}
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			return err
		}
		var got []string
		for _, e := range list.Items {
			if !e.LastTimestamp.Before(since.Truncate(time.Second)) {
				got = append(got, e.Reason)
			}
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("there are %v", got)
		}
		return nil
	})
}

// follow looks at what both routers have of the node's route until it is gone
// from them. The function that it returns waits for that, and returns what each
// saw, every change once.
func (w *world) follow(t *testing.T, ctx context.Context, n *lab.Node, p netip.Prefix) func(*testing.T) map[string][]string {
	t.Helper()
	type result struct {
		router string
		seen   []string
		err    error
	}
	done := make(chan result, len(w.Routers()))
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	t.Cleanup(cancel)
	for _, r := range w.Routers() {
		go func() {
			out := result{router: r.Name}
			for out.err == nil && !slices.Contains(out.seen, "gone") {
				var now string
				now, out.err = pathOf(ctx, r, n, p)
				if len(out.seen) == 0 || out.seen[len(out.seen)-1] != now {
					out.seen = append(out.seen, now)
				}
			}
			done <- out
		}()
	}
	return func(t *testing.T) map[string][]string {
		t.Helper()
		all := map[string][]string{}
		for range w.Routers() {
			r := <-done
			if r.err != nil {
				t.Errorf("following the route of %s on %s, which went %v: %v", n.Name, r.router, r.seen, r.err)
			}
			all[r.router] = r.seen
		}
		return all
	}
}

// pathOf says what a router has of a node's route: announced, marked with
// GRACEFUL_SHUTDOWN, or gone.
func pathOf(ctx context.Context, r *lab.Router, n *lab.Node, p netip.Prefix) (string, error) {
	out, err := r.Vtysh(ctx, fmt.Sprintf("show bgp ipv4 unicast %s json", p))
	if err != nil {
		return "", err
	}
	var route struct {
		Paths []struct {
			Community struct{ String string }
			Peer      struct{ PeerID string }
		}
	}
	if err := json.Unmarshal([]byte(out), &route); err != nil {
		return "", fmt.Errorf("%s: %q: %w", r.Name, out, err)
	}
	for _, path := range route.Paths {
		if path.Peer.PeerID != n.Addr4.String() {
			continue
		}
		if strings.Contains(path.Community.String, "graceful-shutdown") || strings.Contains(path.Community.String, "65535:0") {
			return "marked", nil
		}
		return "announced", nil
	}
	return "gone", nil
}

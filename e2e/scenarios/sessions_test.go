// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
)

// session is what a router says of its session with a node.
type session struct {
	State       string `json:"bgpState"`
	Established int    `json:"connectionsEstablished"`
	Dropped     int    `json:"connectionsDropped"`
	LastReset   string `json:"lastResetDueTo"`
	LastNotice  string `json:"lastNotificationReason"`
}

// session asks a router for its IPv4 session with a node.
func (w *world) session(ctx context.Context, r *lab.Router, n *lab.Node) (session, error) {
	out, err := r.Vtysh(ctx, fmt.Sprintf("show bgp neighbors %s json", n.Addr4))
	if err != nil {
		return session{}, err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return session{}, fmt.Errorf("%s on its session with %s: %w", r.Name, n.Name, err)
	}
	var s session
	if err := json.Unmarshal(all[n.Addr4.String()], &s); err != nil {
		return s, fmt.Errorf("%s on its session with %s: %w in %s", r.Name, n.Name, err, out)
	}
	return s, nil
}

// sessions are those of all routers with all nodes, all established.
func (w *world) sessions(t *testing.T, ctx context.Context) map[string]session {
	t.Helper()
	all := map[string]session{}
	for _, r := range w.Routers() {
		for _, n := range w.Nodes() {
			s, err := w.session(ctx, r, n)
			if err != nil {
				t.Fatal(err)
			}
			if s.State != "Established" || s.Established == 0 {
				t.Fatalf("%s says of its session with %s: %+v; want it established, and how often it was", r.Name, n.Name, s)
			}
			all[r.Name+" with "+n.Name] = s
		}
	}
	return all
}

// sameSessions fails the test if a session is not the one that it was.
func (w *world) sameSessions(t *testing.T, ctx context.Context, before map[string]session) {
	t.Helper()
	for name, now := range w.sessions(t, ctx) {
		was := before[name]
		if now.Established != was.Established || now.Dropped != was.Dropped {
			t.Errorf("the session of %s was %+v and is %+v; want it to have gone on", name, was, now)
		}
	}
}

// reached makes a Service with a pod on every node, and returns when every router
// has it over all of them.
func (w *world) reached(t *testing.T, ctx context.Context, rec *recording) (ns string, to netip.AddrPort) {
	t.Helper()
	ns = w.namespace(t, ctx)
	w.apply(t, ctx, w.torConfig()+webPods(ns, "web", everywhere...)+service(ns, "web", "Local"))
	w.podsReady(t, ctx, ns, "web")
	addr := w.address(t, ctx, ns, "web")
	rec.reach(t, ctx, host(addr), everywhere...)
	return ns, netip.AddrPortFrom(addr, 80)
}

// served is reached, with every node answering and BFD watching the sessions.
func (w *world) served(t *testing.T, ctx context.Context) (rec *recording, ns string, to netip.AddrPort) {
	t.Helper()
	rec = w.record(t, ctx)
	ns, to = w.reached(t, ctx, rec)
	w.answers(t, ctx, to, everywhere...)
	w.watched(t, ctx)
	return rec, ns, to
}

// watched waits until every router has its session with every node, and BFD
// watches it.
func (w *world) watched(t *testing.T, ctx context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	for _, r := range w.Routers() {
		if err := product.WaitBFD(ctx, r, len(w.Nodes())); err != nil {
			t.Fatal(err)
		}
		for _, n := range w.Nodes() {
			w.eventually(t, ctx, r.Name+" to have its session with "+n.Name, func() error {
				s, err := w.session(ctx, r, n)
				if err == nil && s.State != "Established" {
					err = fmt.Errorf("it says %+v", s)
				}
				return err
			})
		}
	}
}

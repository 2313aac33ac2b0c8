// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
)

// The stream of requests under which a node loses power and returns.
const (
	pause = 10 * time.Millisecond
	limit = 500 * time.Millisecond
)

// Time that the stream goes on before a fault, and after what it shows is over.
const (
	before = time.Second
	after  = 3 * time.Second
)

// outage is what became of the stream.
type outage struct {
	tally product.Tally
	// gone is when the last router's kernel had let the node go, after the cut.
	gone time.Duration
}

// victim is the node that loses power.
func (s *story) victim() *lab.Node { return s.lab.Node(1) }

func (s *story) powerCut(ctx context.Context) error {
	n := s.victim()
	s.step(fmt.Sprintf("Power cut: %s, under 100 requests a second", n.Name))
	stream := product.StartStream(ctx, s.lab.Client(0), s.url(), pause, limit)
	defer stream.Stop()
	if err := hold(ctx, before); err != nil {
		return err
	}
	hops := s.watchHops(ctx, len(s.lab.Nodes())-1)
	cut := time.Now()
	if err := n.PowerCut(ctx); err != nil {
		return err
	}
	s.at(0, "%s (%s) loses power", n.Name, n.Addr4)
	if err := s.reportHops(hops, cut, &s.drop.gone, fmt.Sprintf("has no next hop %s any more", n.Addr4)); err != nil {
		return err
	}
	if err := hold(ctx, after); err != nil {
		return err
	}
	s.drop.tally = stream.Stop()
	s.say("")
	s.lost(s.drop.tally, cut)
	for _, r := range s.lab.Routers() {
		if err := s.on(ctx, r, "ip", "route", "show", s.addr.String()); err != nil {
			return err
		}
	}
	return nil
}

// powerOn lets the node return once Kubernetes has missed it: before, the Service
// has its old endpoint as ready.
func (s *story) powerOn(ctx context.Context) error {
	n := s.victim()
	s.step(fmt.Sprintf("%s returns", n.Name))
	s.say("First, Kubernetes notices what the routers knew long ago:")
	if err := s.kubectl(ctx, "wait", "node/"+n.Name, "--for=condition=Ready=Unknown", "--timeout=60s"); err != nil {
		return err
	}
	s.say("")
	stream := product.StartStream(ctx, s.lab.Client(0), s.url(), pause, limit)
	defer stream.Stop()
	hops := s.watchHops(ctx, len(s.lab.Nodes()))
	on := time.Now()
	if err := n.PowerOn(ctx); err != nil {
		return err
	}
	s.at(0, "%s has power", n.Name)
	if err := s.lab.WaitReady(ctx, on, n.Name); err != nil {
		return err
	}
	s.at(time.Since(on), "Kubernetes has %s as Ready", n.Name)
	var back time.Duration
	if err := s.reportHops(hops, on, &back, fmt.Sprintf("has next hop %s again", n.Addr4)); err != nil {
		return err
	}
	if err := hold(ctx, after); err != nil {
		return err
	}
	tally := stream.Stop()
	s.say("")
	s.lost(tally, on)
	for _, node := range slices.Sorted(maps.Keys(tally.ByNode)) {
		s.say("  %-4s %4d", node, tally.ByNode[node])
	}
	return nil
}

// hopsSeen is when a router's kernel had the wanted next hops.
type hopsSeen struct {
	router *lab.Router
	at     time.Time
	err    error
}

// watchHops begins to wait for n next hops on every router.
func (s *story) watchHops(ctx context.Context, n int) <-chan hopsSeen {
	seen := make(chan hopsSeen, len(s.lab.Routers()))
	for _, r := range s.lab.Routers() {
		go func() {
			at, err := product.WaitNextHops(ctx, r, product.Host(s.addr), n)
			seen <- hopsSeen{r, at, err}
		}()
	}
	return seen
}

// reportHops tells when each router's kernel had the wanted next hops, as they
// come, and sets last to the latest.
func (s *story) reportHops(seen <-chan hopsSeen, since time.Time, last *time.Duration, what string) error {
	for range s.lab.Routers() {
		h := <-seen
		if h.err != nil {
			return h.err
		}
		took := h.at.Sub(since)
		*last = max(*last, took)
		s.at(took, "the kernel of %s %s", h.router.Name, what)
	}
	return nil
}

// lost says how many requests were lost, and when they had begun.
func (s *story) lost(t product.Tally, since time.Time) {
	sent := t.OK() + t.Failed
	if t.Failed == 0 {
		s.say("%d requests sent, none lost.", sent)
		return
	}
	first, last := t.First.Sub(since).Round(10*time.Millisecond), t.Last.Sub(since).Round(10*time.Millisecond)
	s.say("%d requests sent, %d lost (no answer within %s), begun from %.2f s to %.2f s.",
		sent, t.Failed, limit, first.Seconds(), last.Seconds())
}

// hold lets the stream run for a while.
func hold(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

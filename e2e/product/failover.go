// SPDX-License-Identifier: Apache-2.0

package product

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
)

// A Fault is a way in which a node fails.
type Fault struct {
	Name string
	// Silent: neither node nor router can tell the other, so routers find out
	// by BFD or by the hold time.
	Silent         bool
	strike, repair func(context.Context, *lab.Node) error
}

// The faults.
var (
	// PowerCut ends the node with all that is in it.
	PowerCut = Fault{"power-cut", true,
		func(ctx context.Context, n *lab.Node) error { return n.PowerCut(ctx) },
		func(ctx context.Context, n *lab.Node) error { return n.PowerOn(ctx) }}
	// Drop makes the switch lose all frames from and to the node.
	Drop = Fault{"drop", true,
		func(_ context.Context, n *lab.Node) error { return n.Drop(true) },
		func(_ context.Context, n *lab.Node) error { return n.Drop(false) }}
	// LinkDown pulls the node's cable, which the node sees, and the routers behind
	// the switch do not.
	LinkDown = Fault{"link-down", true,
		func(_ context.Context, n *lab.Node) error { return n.LinkDown() },
		func(_ context.Context, n *lab.Node) error { return n.LinkUp() }}
	// KillBGPD kills the node's bgpd, which is started again. The node goes on
	// forwarding.
	KillBGPD = Fault{"kill-bgpd", false,
		func(_ context.Context, n *lab.Node) error { return n.KillProcess("bgpd") },
		func(context.Context, *lab.Node) error { return nil }}
)

// Faults are all of them.
var Faults = []Fault{PowerCut, Drop, LinkDown, KillBGPD}

// The stream under which nodes fail.
const (
	failoverFlows = 16
	failoverRate  = 1000 // datagrams a second
)

// Strike lets the node fail; Mend undoes it, and does not wait until all is as before.
func (f Fault) Strike(ctx context.Context, n *lab.Node) error { return f.strike(ctx, n) }

// Mend undoes [Fault.Strike].
func (f Fault) Mend(ctx context.Context, n *lab.Node) error { return f.repair(ctx, n) }

// Failover shows what the failure of a node costs, under a stream of 1,000
// datagrams a second in 16 flows.
type Failover struct {
	Lab *lab.Lab
	// To is an address and UDP port of the lab's web app, with
	// externalTrafficPolicy Local and a pod on every node.
	To netip.AddrPort
	// BFD is what is set ([SetBFD]).
	BFD BFD
}

// Outage is what one failure has cost.
type Outage struct {
	// Gone is the time from the fault until no router's kernel had the node as
	// a next hop. A silent fault counts from the first datagram that is lost:
	// a busy machine takes its time to pull a cable.
	Gone time.Duration
	// Delivery is that of the stream, from about half a second before the fault
	// to a second after Gone.
	Delivery Delivery
}

// outageLimit is how long routers may take to let a node go.
const outageLimit = 30 * time.Second

// Fail strikes the node, and returns a second after the last router has let it go.
func (f Failover) Fail(ctx context.Context, n *lab.Node, fault Fault) (Outage, error) {
	fail := func(err error) (Outage, error) {
		return Outage{}, fmt.Errorf("%s of %s: %w", fault.Name, n.Name, err)
	}
	watching, cancel := context.WithTimeoutCause(ctx, 2*outageLimit, fmt.Errorf("it was not gone after %s", outageLimit))
	defer cancel()
	var watched []<-chan lab.RouteEvent
	for _, r := range f.Lab.Routers() {
		events, err := r.WatchRoutes(watching)
		if err != nil {
			return fail(err)
		}
		watched = append(watched, events)
	}
	stream, err := f.steady(ctx, n)
	if err != nil {
		return fail(err)
	}
	defer stream.Stop()
	began := time.Now()
	if err := fault.strike(ctx, n); err != nil {
		return fail(err)
	}
	var last time.Time
	for i, events := range watched {
		at, err := f.gone(events, n, began)
		if err != nil {
			return fail(fmt.Errorf("waiting for %s to let it go: %w", f.Lab.Routers()[i].Name, errors.Join(err, context.Cause(watching))))
		}
		if at.After(last) {
			last = at
		}
	}
	if err := stream.Past(ctx, failoverRate); err != nil {
		return fail(err)
	}
	d := stream.Stop()
	if fault.Silent && d.First.After(began) {
		began = d.First
	}
	return Outage{Gone: last.Sub(began), Delivery: d}, nil
}

// gone returns when a router's kernel had the node as a next hop no more, after began.
func (f Failover) gone(events <-chan lab.RouteEvent, n *lab.Node, began time.Time) (time.Time, error) {
	for e := range events {
		if e.Time.After(began) && e.Route.Prefix == Host(f.To.Addr()) && (e.Deleted || !slices.Contains(e.Route.NextHops, n.Addr4)) {
			return e.Time, nil
		}
	}
	return time.Time{}, errors.New("the kernel's events ended")
}

// steady returns a stream that goes through the node, the next hop of all routers,
// and has lost nothing for half a second.
func (f Failover) steady(ctx context.Context, n *lab.Node) (*Datagrams, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, outageLimit, errors.New("the stream did not become steady"))
	defer cancel()
	const enough, young = failoverRate / 2, failoverRate / 10 // the young may still be answered
	for {
		// A busy machine ends sessions with a short BFD interval by itself.
		if err := f.Settle(ctx); err != nil {
			return nil, err
		}
		// Not ctx: the stream outlives it.
		stream, err := StartDatagrams(context.WithoutCancel(ctx), f.Lab.Client(0), f.To, failoverFlows, failoverRate)
		if err != nil {
			return nil, err
		}
		if err := stream.Past(ctx, enough+young); err != nil {
			return nil, fmt.Errorf("%w; at last %s", err, stream.Stop())
		}
		all, err := f.nextHop(ctx, n)
		if err != nil {
			stream.Stop()
			return nil, err
		}
		if d := stream.between(0, enough); all && d.Lost == 0 && d.ByNode[n.Name] > 0 {
			return stream, nil
		}
		stream.Stop()
	}
}

// nextHop reports whether all routers have the node as a next hop.
func (f Failover) nextHop(ctx context.Context, n *lab.Node) (bool, error) {
	for _, r := range f.Lab.Routers() {
		route, err := r.Route(ctx, Host(f.To.Addr()))
		if err != nil || !slices.Contains(route.NextHops, n.Addr4) {
			return false, err
		}
	}
	return true, nil
}

// Repair undoes the fault and waits until all is as before.
func (f Failover) Repair(ctx context.Context, n *lab.Node, fault Fault) error {
	if err := fault.repair(ctx, n); err != nil {
		return fmt.Errorf("repairing %s after %s: %w", n.Name, fault.Name, err)
	}
	return f.Settle(ctx)
}

// settleLimit is how long a node may take to be back.
const settleLimit = time.Minute

// Settle waits until all nodes are next hops at all routers, and BFD watches them
// as it should.
func (f Failover) Settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settleLimit, fmt.Errorf("not after %s", settleLimit))
	defer cancel()
	all := len(f.Lab.Nodes())
	for _, r := range f.Lab.Routers() {
		if _, err := WaitNextHops(ctx, r, Host(f.To.Addr()), all); err != nil {
			return err
		}
		if f.BFD == (BFD{}) {
			continue
		}
		if err := WaitBFDAt(ctx, r, all, f.BFD); err != nil {
			return err
		}
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package product

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
)

// BFD is what a BFD profile asks for. The zero value is no BFD.
type BFD struct {
	// Interval is both that of sending and that of receiving, in whole
	// milliseconds. The lab's routers go down to 50 ms.
	Interval time.Duration
	// Multiplier is how many packets in a row may be missing.
	Multiplier int
}

// String returns 300x3, or none.
func (b BFD) String() string {
	if b == (BFD{}) {
		return "none"
	}
	return fmt.Sprintf("%dx%d", b.Interval.Milliseconds(), b.Multiplier)
}

// Detection is how long a router hears nothing before it takes the node for gone
// (RFC 5880 section 6.8.4).
func (b BFD) Detection() time.Duration { return time.Duration(b.Multiplier) * b.Interval }

// Limit is how long after a fault a node may still be a next hop: a quarter more
// than the detection time, and 120 ms in which the router's bgpd and kernel follow.
// Without BFD it is the hold time of 9 s and the same 120 ms.
func (b BFD) Limit() time.Duration {
	const follow = 120 * time.Millisecond
	if b == (BFD{}) {
		return 9*time.Second + follow
	}
	return b.Detection()*5/4 + follow
}

// SetBFD gives the cluster the configuration of [Config] with that BFD profile, and
// the lab's routers BFD, or takes it from both, which ends sessions. From one profile
// to another they stay. They may still be at it on return: see [Failover.Settle].
func SetBFD(ctx context.Context, l *lab.Lab, b BFD) error {
	for _, r := range l.Routers() {
		if err := setRouterBFD(ctx, r, l.Spec.RouterASN, b != BFD{}); err != nil {
			return fmt.Errorf("setting BFD on %s: %w", r.Name, err)
		}
	}
	return Apply(ctx, l, Config(l, ConfigOptions{NoBFD: b == (BFD{}), BFD: b}))
}

func setRouterBFD(ctx context.Context, r *lab.Router, asn uint32, on bool) error {
	conf, err := r.Vtysh(ctx, "show running-config")
	if err != nil || strings.Contains(conf, " neighbor nodes4 bfd\n") == on {
		return err
	}
	enter := []string{"configure terminal", fmt.Sprintf("router bgp %d", asn)}
	if on {
		_, err = r.Vtysh(ctx, append(enter, "neighbor nodes4 bfd", "neighbor nodes4 bfd profile lab")...)
		return err
	}
	// The nodes are told that BFD is down, and most end their sessions. They
	// begin them again when they have no BFD either.
	_, err = r.Vtysh(ctx, append(enter, "no neighbor nodes4 bfd")...)
	return err
}

// bfdPeer is a BFD session as a router has it.
type bfdPeer struct {
	Peer, Status string
	Interval     int `json:"remote-transmit-interval"` // ms
	Multiplier   int `json:"remote-detect-multiplier"`
}

// WaitBFD waits until the router has n BFD sessions over IPv4 that are up and past
// the slow beginning, in which packets are a second apart (RFC 5880 section
// 6.8.3). FRR has no way to tell of it, so it is asked. FRR begins a BGP session once
// BFD is up, and then replaces the BFD session by one that knows its interface: a
// node that dies before that one is up is noticed by the hold time only.
func WaitBFD(ctx context.Context, r *lab.Router, n int) error {
	return waitBFD(ctx, r, n, func(p bfdPeer) bool {
		return p.Status == "up" && (n == 0 || p.Interval < 1000)
	})
}

// WaitBFDAt is WaitBFD for sessions in which the nodes have the parameters of b.
func WaitBFDAt(ctx context.Context, r *lab.Router, n int, b BFD) error {
	return waitBFD(ctx, r, n, func(p bfdPeer) bool {
		return p.Status == "up" && p.Interval == int(b.Interval.Milliseconds()) && p.Multiplier == b.Multiplier
	})
}

// waitBFD waits until the router has n sessions over IPv4 that count.
func waitBFD(ctx context.Context, r *lab.Router, n int, counts func(bfdPeer) bool) error {
	ask := time.NewTicker(100 * time.Millisecond)
	defer ask.Stop()
	for {
		text, err := r.Vtysh(ctx, "show bfd peers json")
		if err != nil {
			return err
		}
		var peers []bfdPeer
		if err := json.Unmarshal([]byte(text), &peers); err != nil {
			return fmt.Errorf("reading the BFD peers of %s: %w", r.Name, err)
		}
		have := 0
		for _, p := range peers {
			if a, err := netip.ParseAddr(p.Peer); err == nil && a.Is4() && counts(p) {
				have++
			}
		}
		if have == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d BFD sessions on %s, it has %d of %+v: %w", n, r.Name, have, peers, context.Cause(ctx))
		case <-ask.C:
		}
	}
}

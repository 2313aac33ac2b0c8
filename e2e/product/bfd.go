// SPDX-License-Identifier: Apache-2.0

package product

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
)

// WaitBFD waits until the router has n BFD sessions over IPv4 that are up and past
// the slow beginning, in which packets are a second apart (RFC 5880 section
// 6.8.3). FRR has no way to tell of it, so it is asked. A BGP session is established before its BFD
// session is up, and a node that dies in between is noticed by the hold time only.
func WaitBFD(ctx context.Context, r *lab.Router, n int) error {
	ask := time.NewTicker(100 * time.Millisecond)
	defer ask.Stop()
	for {
		text, err := r.Vtysh(ctx, "show bfd peers json")
		if err != nil {
			return err
		}
		var peers []struct {
			Peer, Status string
			Interval     int `json:"remote-transmit-interval"` // ms
		}
		if err := json.Unmarshal([]byte(text), &peers); err != nil {
			return fmt.Errorf("reading the BFD peers of %s: %w", r.Name, err)
		}
		up := 0
		for _, p := range peers {
			if a, err := netip.ParseAddr(p.Peer); err == nil && a.Is4() && p.Status == "up" && (n == 0 || p.Interval < 1000) {
				up++
			}
		}
		if up == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d BFD sessions on %s, %d are up: %w", n, r.Name, up, context.Cause(ctx))
		case <-ask.C:
		}
	}
}

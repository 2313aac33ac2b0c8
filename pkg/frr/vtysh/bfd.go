// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"metallb.io/metallb-frr/pkg/frr"
)

// ReviveBFD asks again for each BFD session that bgpd should have and bfdd does
// not know, and returns how many those were. Nothing changes for the others.
//
// It is for the time after an end of zebra or bfdd. bgpd asks bfdd for sessions
// through zebra and, observed with FRR 10.3, does not repeat it when it finds
// zebra again after bfdd did: the sessions then stay away, and the routers keep
// those neighbours down, although the running configuration is complete.
func (d *Driver) ReviveBFD(ctx context.Context) (int, error) {
	if err := d.take(ctx); err != nil {
		return 0, fmt.Errorf("waiting to look at BFD sessions: %w", err)
	}
	defer d.give()
	n, err := d.reviveBFD(ctx)
	if err != nil {
		return 0, fmt.Errorf("reviving BFD sessions: %w", err)
	}
	return n, nil
}

func (d *Driver) reviveBFD(ctx context.Context) (int, error) {
	if err := d.stays(); err != nil {
		return 0, err
	}
	if d.forget.Load() || d.inForce == nil {
		return 0, ErrUnknown
	}
	var asked []frr.Command
	for _, f := range d.inForce.Base {
		for _, l := range f.Lines {
			if w := strings.Fields(l.Text); len(w) == 3 && w[0] == "neighbor" && w[2] == "bfd" {
				asked = append(asked, frr.Command{Line: l, Origins: f.Origins})
			}
		}
	}
	if len(asked) == 0 {
		return 0, nil
	}
	text, err := d.shell.ask(ctx, "show bfd peers json")
	if err != nil {
		return 0, d.lost(err)
	}
	var peers []struct{ Peer, Interface, VRF string }
	if err := json.Unmarshal([]byte(text), &peers); err != nil {
		return 0, fmt.Errorf("reading FRR's BFD sessions: %w", err)
	}
	known := map[[2]string]bool{}
	for _, p := range peers {
		known[[2]string{p.VRF, p.Peer}], known[[2]string{p.VRF, p.Interface}] = true, true
	}
	l := &loader{driver: d}
	for _, c := range asked {
		_, vrf, in := strings.Cut(c.Node[0], " vrf ")
		if !in {
			vrf = "default"
		}
		if !known[[2]string{vrf, strings.Fields(c.Text)[1]}] {
			l.all = append(l.all, c)
		}
	}
	if err := l.load(ctx); err != nil {
		return 0, d.lost(err)
	}
	return len(l.all), nil
}

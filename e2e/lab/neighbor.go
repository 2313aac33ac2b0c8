// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"metallb.io/metallb-frr/e2e/wire"
)

// A Neighbor is an entry of a kernel's neighbour table.
type Neighbor struct {
	Addr netip.Addr
	// MAC is zero while it is not known.
	MAC wire.MAC
	// State is one of the NUD states of rtnetlink(7), such as unix.NUD_REACHABLE.
	State int
}

// Known reports whether the kernel would send to the neighbour without asking
// first.
func (n Neighbor) Known() bool {
	return n.State&(unix.NUD_REACHABLE|unix.NUD_STALE|unix.NUD_DELAY|unix.NUD_PROBE|unix.NUD_PERMANENT) != 0
}

// A NeighborEvent is a change in a kernel's neighbour table.
type NeighborEvent struct {
	Time    time.Time // when the message arrived
	Deleted bool      // the entry is gone; otherwise Neighbor is what now holds
	Neighbor
}

// Neighbors returns the client's neighbour table, in the order of addresses.
func (c *Client) Neighbors() ([]Neighbor, error) {
	var out []Neighbor
	err := c.port.onMember(func(h *netlink.Handle, l netlink.Link) error {
		list, err := h.NeighList(l.Attrs().Index, netlink.FAMILY_ALL)
		for _, e := range list {
			if n, ok := neighbor(e); ok {
				out = append(out, n)
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the neighbours of %s: %w", c.Name, err)
	}
	slices.SortFunc(out, func(a, b Neighbor) int { return a.Addr.Compare(b.Addr) })
	return out, nil
}

// Neighbor returns the entry for one address; without one its State is 0.
func (c *Client) Neighbor(addr netip.Addr) (Neighbor, error) {
	all, err := c.Neighbors()
	for _, n := range all {
		if n.Addr == addr {
			return n, nil
		}
	}
	return Neighbor{Addr: addr}, err
}

// ForgetNeighbors empties the client's neighbour table.
func (c *Client) ForgetNeighbors() error {
	err := c.port.onMember(func(h *netlink.Handle, l netlink.Link) error {
		list, err := h.NeighList(l.Attrs().Index, netlink.FAMILY_ALL)
		if err != nil {
			return err
		}
		for _, e := range list {
			if _, ok := neighbor(e); !ok {
				continue
			}
			if err := h.NeighDel(&e); err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("forgetting %s: %w", e.IP, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("emptying the neighbour table of %s: %w", c.Name, err)
	}
	return nil
}

// WatchNeighbors tells of every change to the client's neighbour table from now on,
// until ctx is done; the channel is then closed. It is closed early if events were
// lost.
func (c *Client) WatchNeighbors(ctx context.Context) (<-chan NeighborEvent, error) {
	ns, err := netns.GetFromPath(c.ns.path())
	if err != nil {
		return nil, fmt.Errorf("watching the neighbours of %s: %w", c.Name, err)
	}
	defer ns.Close()
	in := make(chan netlink.NeighUpdate, 4096)
	done := make(chan struct{})
	// The package reports an error just before it closes the channel, which is
	// what the caller sees.
	opts := netlink.NeighSubscribeOptions{Namespace: &ns, ErrorCallback: func(error) {}, ReceiveBufferSize: 4 << 20}
	if err := netlink.NeighSubscribeWithOptions(in, done, opts); err != nil {
		return nil, fmt.Errorf("watching the neighbours of %s: %w", c.Name, err)
	}
	return relay(ctx, in, done, func(u netlink.NeighUpdate) (NeighborEvent, bool) {
		n, ok := neighbor(u.Neigh)
		return NeighborEvent{time.Now(), u.Type == unix.RTM_DELNEIGH, n}, ok
	}), nil
}

// neighbor leaves out what has no part in resolution: multicast groups, and
// entries of bridges.
func neighbor(e netlink.Neigh) (n Neighbor, ok bool) {
	addr, ok := netip.AddrFromSlice(e.IP)
	if !ok || e.State&unix.NUD_NOARP != 0 {
		return n, false
	}
	n = Neighbor{Addr: addr.Unmap(), State: e.State}
	if len(e.HardwareAddr) == len(n.MAC) {
		n.MAC = wire.MAC(e.HardwareAddr)
	}
	return n, true
}

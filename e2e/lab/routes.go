// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A KernelRoute is a unicast route in a router's main table.
type KernelRoute struct {
	Prefix   netip.Prefix
	NextHops []netip.Addr // sorted; empty for a directly connected network
	Protocol int          // who made it: 186 is BGP (rtnetlink(7))
}

// ProtocolBGP is the protocol number of routes that FRR's bgpd made.
const ProtocolBGP = 186

// String returns the route as in "10.0.0.1/32 via 172.30.0.11 172.30.0.12".
func (r KernelRoute) String() string {
	var b strings.Builder
	b.WriteString(r.Prefix.String())
	for i, nh := range r.NextHops {
		if i == 0 {
			b.WriteString(" via")
		}
		b.WriteString(" " + nh.String())
	}
	return b.String()
}

// A RouteEvent is a change in a router's kernel.
type RouteEvent struct {
	Time    time.Time // when the message arrived
	Deleted bool      // the route is gone; otherwise Route is what now holds
	Route   KernelRoute
}

// Routes returns the routes that BGP has put into the router's kernel, in the
// order of their prefixes.
func (r *Router) Routes(ctx context.Context) ([]KernelRoute, error) {
	out, err := RoutesAt(ctx, r.ns.path())
	if err != nil {
		return nil, fmt.Errorf("reading the routes of %s: %w", r.Name, err)
	}
	return out, nil
}

// RoutesAt is [Router.Routes] for any network namespace, such as
// /proc/PID/ns/net.
func RoutesAt(ctx context.Context, path string) ([]KernelRoute, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var out []KernelRoute
	err := linkAt(path, func(h *netlink.Handle) error {
		for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
			filter := &netlink.Route{Table: unix.RT_TABLE_MAIN, Protocol: ProtocolBGP}
			rs, err := h.RouteListFiltered(family, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
			if err != nil {
				return err
			}
			for _, kr := range rs {
				out = append(out, kernelRoute(kr))
			}
		}
		return nil
	})
	slices.SortFunc(out, func(a, b KernelRoute) int { return a.Prefix.Compare(b.Prefix) })
	return out, err
}

// Route returns the kernel's route for exactly that prefix; without one it has
// no next hops.
func (r *Router) Route(ctx context.Context, p netip.Prefix) (KernelRoute, error) {
	rs, err := r.Routes(ctx)
	if err != nil {
		return KernelRoute{}, err
	}
	for _, kr := range rs {
		if kr.Prefix == p {
			return kr, nil
		}
	}
	return KernelRoute{Prefix: p}, nil
}

// WatchRoutes tells of every change to BGP's routes in the router's kernel from
// now on, in both address families, until ctx is done; the channel is then
// closed. It is closed early if events were lost.
func (r *Router) WatchRoutes(ctx context.Context) (<-chan RouteEvent, error) {
	events, err := WatchRoutesAt(ctx, r.ns.path())
	if err != nil {
		return nil, fmt.Errorf("watching the routes of %s: %w", r.Name, err)
	}
	return events, nil
}

// WatchRoutesAt is [Router.WatchRoutes] for any network namespace, such as
// /proc/PID/ns/net.
func WatchRoutesAt(ctx context.Context, path string) (<-chan RouteEvent, error) {
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	in := make(chan netlink.RouteUpdate, 4096)
	done := make(chan struct{})
	// The package reports an error just before it closes the channel, which is
	// what the caller sees.
	opts := netlink.RouteSubscribeOptions{Namespace: &ns, ErrorCallback: func(error) {}, ReceiveBufferSize: 4 << 20}
	if err := netlink.RouteSubscribeWithOptions(in, done, opts); err != nil {
		return nil, err
	}
	return relay(ctx, in, done, func(u netlink.RouteUpdate) (RouteEvent, bool) {
		if u.Protocol != ProtocolBGP {
			return RouteEvent{}, false
		}
		return RouteEvent{time.Now(), u.Type == unix.RTM_DELROUTE, kernelRoute(u.Route)}, true
	}), nil
}

// relay passes on what event makes of the kernel's updates, where it makes
// something, until ctx ends or they do; then it closes done, which ends the
// subscription.
func relay[In, Out any](ctx context.Context, in <-chan In, done chan<- struct{}, event func(In) (Out, bool)) <-chan Out {
	out := make(chan Out, 4096)
	go func() {
		defer close(out)
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case u, ok := <-in:
				if !ok {
					return
				}
				e, ok := event(u)
				if !ok {
					continue
				}
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}

func kernelRoute(r netlink.Route) KernelRoute {
	out := KernelRoute{Protocol: int(r.Protocol)}
	if r.Dst != nil {
		a, _ := netip.AddrFromSlice(r.Dst.IP)
		bits, _ := r.Dst.Mask.Size()
		out.Prefix = netip.PrefixFrom(a, bits)
		if len(r.Dst.Mask) == net.IPv4len {
			out.Prefix = netip.PrefixFrom(a.Unmap(), bits)
		}
	}
	add := func(gw net.IP, via netlink.Destination) {
		if v, ok := via.(*netlink.Via); ok && len(gw) == 0 {
			gw = v.Addr
		}
		if a, ok := netip.AddrFromSlice(gw); ok {
			out.NextHops = append(out.NextHops, a.Unmap())
		}
	}
	add(r.Gw, r.Via)
	for _, nh := range r.MultiPath {
		add(nh.Gw, nh.Via)
	}
	slices.SortFunc(out.NextHops, netip.Addr.Compare)
	return out
}

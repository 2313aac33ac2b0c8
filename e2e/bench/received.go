// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	packet "github.com/osrg/gobgp/v3/pkg/packet/bmp"

	"metallb.io/metallb-frr/e2e/lab"
)

// bmpPort is where a router tells what it receives (RFC 7854).
const bmpPort = 5000

// noBFD matches the lines by which a router has BFD with its neighbours. FRR 10
// lets no session up while only one end has BFD.
var noBFD = regexp.MustCompile(`(?m)^ neighbor \S+ bfd.*\n`)

// bmpConf makes router i of a lab tell: every IPv4 route of each neighbour, after
// the neighbour's policy. It is without BFD.
func bmpConf(s lab.Spec, i int) string {
	return noBFD.ReplaceAllString(lab.DefaultRouterConf(s, i), "") + fmt.Sprintf("router bgp %d\n bmp targets bench\n  bmp monitor ipv4 unicast post-policy\n  bmp listener 0.0.0.0 port %d\n exit\nexit\n", s.RouterASN, bmpPort)
}

// path is a route from one neighbour.
type path struct {
	neighbour string
	prefix    netip.Prefix
}

// received follows which of the routes that a router receives carry a community.
type received struct {
	community uint32
	with      map[path]bool // the router has the route; with the community or not
	count     int           // of those with it
	changed   chan tally    // the latest
	err       chan error
}

// tally is how many routes there are, and of those how many with the community,
// at a time.
type tally struct {
	all, with int
	at        time.Time
}

// followRouter connects to a router with bmpConf, which first tells all that it has.
func followRouter(ctx context.Context, l *lab.Lab, r *lab.Router, community uint32) (*received, error) {
	conn, err := l.Client(0).Dial(ctx, "tcp", netip.AddrPortFrom(r.Client4, bmpPort).String())
	if err != nil {
		return nil, fmt.Errorf("asking %s for the routes that it receives: %w", r.Name, err)
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	f := &received{community: community, with: map[path]bool{}, changed: make(chan tally, 1), err: make(chan error, 1)}
	go func() { f.err <- f.read(conn) }()
	return f, nil
}

// read takes messages in until the connection ends.
func (f *received) read(conn net.Conn) error {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 1<<20)
	for {
		header := make([]byte, packet.BMP_HEADER_SIZE)
		if _, err := io.ReadFull(in, header); err != nil {
			return err
		}
		message := make([]byte, binary.BigEndian.Uint32(header[1:5]))
		copy(message, header)
		if _, err := io.ReadFull(in, message[len(header):]); err != nil {
			return err
		}
		if message[5] != packet.BMP_MSG_ROUTE_MONITORING {
			continue
		}
		m, err := packet.ParseBMPMessage(message)
		if err != nil {
			return fmt.Errorf("reading what the router receives: %w", err)
		}
		update, ok := m.Body.(*packet.BMPRouteMonitoring).BGPUpdate.Body.(*bgp.BGPUpdate)
		if !ok {
			continue
		}
		f.take(m.PeerHeader.PeerAddress.String(), update)
		if in.Buffered() == 0 || f.count == len(f.with) {
			f.tell(tally{len(f.with), f.count, time.Now()})
		}
	}
}

// tell replaces what nobody has taken yet.
func (f *received) tell(t tally) {
	select {
	case <-f.changed:
	default:
	}
	f.changed <- t
}

func (f *received) take(neighbour string, u *bgp.BGPUpdate) {
	has := false
	reached, gone := u.NLRI, u.WithdrawnRoutes
	for _, a := range u.PathAttributes {
		switch a := a.(type) {
		case *bgp.PathAttributeCommunities:
			has = slices.Contains(a.Value, f.community)
		case *bgp.PathAttributeMpReachNLRI:
			for _, n := range a.Value {
				f.set(neighbour, n, &has)
			}
		case *bgp.PathAttributeMpUnreachNLRI:
			for _, n := range a.Value {
				f.set(neighbour, n, nil)
			}
		}
	}
	for _, n := range gone {
		f.set(neighbour, n, nil)
	}
	for _, n := range reached {
		f.set(neighbour, n, &has)
	}
}

// set notes a route; nil: it is gone.
func (f *received) set(neighbour string, n bgp.AddrPrefixInterface, has *bool) {
	prefix, err := netip.ParsePrefix(n.String())
	if err != nil {
		return // no plain prefix
	}
	p := path{neighbour, prefix}
	if f.with[p] {
		f.count--
	}
	if has == nil {
		delete(f.with, p)
		return
	}
	if f.with[p] = *has; *has {
		f.count++
	}
}

// until returns when all of so many routes carry the community, or with false
// none does.
func (f *received) until(ctx context.Context, routes int, with bool) (time.Time, error) {
	want := 0
	if with {
		want = routes
	}
	var last tally
	for {
		select {
		case last = <-f.changed:
			if last.all == routes && last.with == want {
				return last.at, nil
			}
		case err := <-f.err:
			return time.Time{}, fmt.Errorf("the router does not tell any more what it receives: %w", err)
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%d of %d routes at the router carry the community, want %d of %d: %w", last.with, last.all, want, routes, context.Cause(ctx))
		}
	}
}

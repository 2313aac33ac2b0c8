// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/product"
)

// answers makes requests from the client, each over a connection of its own, and
// fails the test unless all are answered, by pods on all of those nodes and on no
// other. With policy Local these are the nodes that the routers chose.
func (w *world) answers(t *testing.T, ctx context.Context, to netip.AddrPort, nodes ...string) {
	t.Helper()
	const requests = 120 // 120 over 3 nodes miss one with a chance below 1e-20
	w.eventually(t, ctx, fmt.Sprintf("a first answer from %s", to), func() error {
		tally := product.Requests(ctx, w.Client(0), url(to), 1, 1)
		if tally.Failed > 0 {
			return fmt.Errorf("no answer")
		}
		return nil
	})
	tally := product.Requests(ctx, w.Client(0), url(to), requests, 8)
	got := slices.Sorted(maps.Keys(tally.ByNode))
	if tally.Failed > 0 || !slices.Equal(got, nodes) {
		t.Errorf("%d requests to %s: %d failed, answered by %v; want all answered, by nodes %v", requests, to, tally.Failed, tally.ByNode, nodes)
	}
}

func url(to netip.AddrPort) string { return "http://" + to.String() + "/" }

// stream is a steady flow of UDP datagrams from the client, each of which is
// answered.
type stream struct {
	stop           context.CancelFunc
	senders        sync.WaitGroup
	receivers      sync.WaitGroup
	sent, received atomic.Int64
	conns          []net.Conn
}

// flows and pause make 1000 datagrams a second.
const (
	flows = 8
	pause = 8 * time.Millisecond
)

func (w *world) stream(t *testing.T, ctx context.Context, to netip.AddrPort) *stream {
	t.Helper()
	ctx, stop := context.WithCancel(ctx)
	s := &stream{stop: stop}
	for range flows {
		conn, err := w.Client(0).Dial(ctx, "udp", to.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		s.conns = append(s.conns, conn)
		s.senders.Go(func() { s.send(ctx, conn) })
		s.receivers.Go(func() { s.receive(conn) })
	}
	return s
}

func (s *stream) send(ctx context.Context, conn net.Conn) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.sent.Add(1)
		// What the network reports back (ICMP) is a loss, and counts as one.
		_, _ = conn.Write([]byte("?"))
	}
}

func (s *stream) receive(conn net.Conn) {
	buf := make([]byte, 2048)
	for {
		switch _, err := conn.Read(buf); {
		case err == nil:
			s.received.Add(1)
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
			return
		}
	}
}

// end stops sending, gives the last answers two seconds, and returns how many
// datagrams were sent and how many of them had no answer.
func (s *stream) end() (sent, lost int64) {
	s.stop()
	s.senders.Wait()
	for _, c := range s.conns {
		c.SetReadDeadline(time.Now().Add(2 * time.Second))
	}
	s.receivers.Wait()
	return s.sent.Load(), s.sent.Load() - s.received.Load()
}

// past waits until n more datagrams have been sent than by now.
func (s *stream) past(t *testing.T, ctx context.Context, n int64) {
	t.Helper()
	until := s.sent.Load() + n
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for s.sent.Load() < until {
		select {
		case <-ctx.Done():
			t.Fatal(context.Cause(ctx))
		case <-tick.C:
		}
	}
}

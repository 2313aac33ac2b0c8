// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

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
		t.Errorf("%d requests to %s: %d failed (%v), answered by %v; want all answered, by nodes %v", requests, to, tally.Failed, tally.LastError, tally.ByNode, nodes)
	}
}

func url(to netip.AddrPort) string { return "http://" + to.String() + "/" }

// stream is a steady flow of 1000 UDP datagrams a second from the client, each of
// which is answered.
type stream struct{ *product.Datagrams }

func (w *world) stream(t *testing.T, ctx context.Context, to netip.AddrPort) *stream {
	t.Helper()
	d, err := product.StartDatagrams(ctx, w.Client(0), to, 16, 1000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Stop() })
	return &stream{d}
}

// end stops sending, gives the last answers two seconds, and returns how many
// datagrams were sent and how many of them had no answer.
func (s *stream) end() (sent, lost int64) {
	d := s.Stop()
	return int64(d.Sent), int64(d.Lost)
}

// past waits until n more datagrams have been sent than by now.
func (s *stream) past(t *testing.T, ctx context.Context, n int64) {
	t.Helper()
	if err := s.Past(ctx, int(n)); err != nil {
		t.Fatal(err)
	}
}

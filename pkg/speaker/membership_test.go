// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/members"
)

// fixed are peers that were listed once.
type fixed struct {
	addrs   []netip.Addr
	changed chan struct{}
}

func (f fixed) PeerAddrs() []netip.Addr       { return f.addrs }
func (f fixed) PeersChanged() <-chan struct{} { return f.changed }

const memberPort = 27946

func memberOptions(node, addr string) members.Options {
	return members.Options{Node: node, Bind: netip.AddrPortFrom(netip.MustParseAddr(addr), memberPort), Secret: []byte("0123456789abcdef")}
}

// becomes waits until m says that exactly those nodes are alive.
func becomes(t *testing.T, m *membership, told <-chan struct{}, want ...string) {
	t.Helper()
	limit := time.After(testLimit)
	for !slices.Equal(m.alive().Names(), want) {
		select {
		case <-told:
		case <-limit:
			t.Fatalf("alive are %v, want %v", m.alive().Names(), want)
		}
	}
}

// A node is a member while it is wanted to be one, which is while it passes on
// what arrives: others learn at once that it is one no more, and it knows of
// nobody until it has joined.
func TestMembership(t *testing.T) {
	other, err := members.Start(memberOptions("n2", "127.0.0.3"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p := fixed{[]netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")}, make(chan struct{}, 1)}
	told := make(chan struct{}, 1)
	var failed atomic.Bool
	m := newMembership(func() (*members.Members, error) {
		if !failed.Swap(true) {
			return nil, errors.New("the port is taken")
		}
		return members.Start(memberOptions("n1", "127.0.0.2"))
	}, p, func() {
		select {
		case told <- struct{}{}:
		default:
		}
	}, logr.Discard())
	t.Cleanup(m.end)
	s := &Speaker{layer2: &layer2{members: m}}
	if m.alive().Has("n1") || s.Ready(nil) == nil {
		t.Error("alive, or ready, before it was wanted")
	}
	m.want(true)
	if m.alive().Has("n1") {
		t.Error("alive before the others are known")
	}
	p.changed <- struct{}{}
	becomes(t, m, told, "n1", "n2")
	if m.since().IsZero() || !m.since().IsZero() {
		t.Error("a change is noticed once")
	}
	m.want(true) // as each pass says
	m.want(false)
	becomes(t, m, told)
	for other.Alive().Has("n1") {
		select {
		case <-other.Changed():
		case <-time.After(testLimit):
			t.Fatal("n2 does not learn that n1 left")
		}
	}
	m.want(true)
	m.want(false)
	m.want(true)
	becomes(t, m, told, "n1", "n2")
	m.end()
	if s.Ready(nil) != nil {
		t.Error("not ready any more")
	}
	if m.alive().Has("n1") {
		t.Error("alive after its end")
	}
}

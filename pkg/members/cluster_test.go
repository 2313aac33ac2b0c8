// SPDX-License-Identifier: Apache-2.0

package members

import (
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// port is the members' in tests; their addresses differ.
const port = 17946

var hosts atomic.Uint32

// newHost returns an address on loopback that nobody else has: neither another
// test nor another run of them.
func newHost() netip.Addr {
	pid, n := os.Getpid(), hosts.Add(1)
	return netip.AddrFrom4([4]byte{127, byte(1 + pid/250%250), byte(pid % 250), byte(n%250 + 1)})
}

// member is one of a test's members. While its power is off nothing reaches it
// and nothing comes from it.
type member struct {
	*Members
	name    string
	addr    netip.Addr
	off     atomic.Bool
	packets atomic.Int64 // sent and received
	largest atomic.Int64 // of them, in bytes
	// wall tells which addresses it is cut from besides.
	wall atomic.Pointer[func(netip.Addr) bool]
}

// begin starts a member that is closed with the test.
func begin(t testing.TB, name string, addr netip.Addr, change func(*Options)) *member {
	t.Helper()
	m := &member{name: name, addr: addr}
	o := Options{Node: name, Bind: netip.AddrPortFrom(addr, port), Secret: []byte("0123456789abcdefghijkl"), Log: logr.Discard()}
	o.cut = func(peer netip.Addr, size int) bool {
		m.packets.Add(1)
		for was := m.largest.Load(); int64(size) > was && !m.largest.CompareAndSwap(was, int64(size)); was = m.largest.Load() {
		}
		wall := m.wall.Load()
		return m.off.Load() || wall != nil && (*wall)(peer)
	}
	if change != nil {
		change(&o)
	}
	var err error
	if m.Members, err = Start(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.shut() })
	return m
}

// cluster starts n members that know one another, ten at a time: that they all
// start at once on two cores is nothing that happens to machines of their own.
func cluster(t testing.TB, n int, change func(*Options)) []*member {
	t.Helper()
	var all []*member
	t.Cleanup(func() {
		together(all, func(m *member) { m.off.Store(true) })
		together(all, func(m *member) { m.shut() })
	})
	for i := range n {
		all = append(all, begin(t, fmt.Sprintf("node-%d", i), newHost(), change))
		if len(all)%10 == 0 || len(all) == n {
			addrs := addresses(all)
			for _, m := range all {
				m.Join(addrs)
			}
			converge(t, all, all)
		}
	}
	return all
}

func addresses(all []*member) []netip.Addr {
	var addrs []netip.Addr
	for _, m := range all {
		addrs = append(addrs, m.addr)
	}
	return addrs
}

func together(all []*member, do func(*member)) {
	var work sync.WaitGroup
	for _, m := range all {
		work.Go(func() { do(m) })
	}
	work.Wait()
}

// converge waits until each of some sees exactly those alive.
func converge(t testing.TB, all, alive []*member) {
	t.Helper()
	limit := time.After(patience)
	for _, m := range all {
		for !sees(m, alive) {
			select {
			case <-m.Changed():
			case <-limit:
				t.Fatalf("%s sees %v, and not the %d that are alive", m.name, m.Alive().Names(), len(alive))
			}
		}
	}
}

func sees(m *member, alive []*member) bool {
	now := m.Alive()
	for _, a := range alive {
		if !now.Has(a.name) {
			return false
		}
	}
	return len(now.Names()) == len(alive)
}

// others returns all but one.
func others(all []*member, but *member) []*member {
	var rest []*member
	for _, m := range all {
		if m != but {
			rest = append(rest, m)
		}
	}
	return rest
}

// times returns when each of some sees that a name is (not) alive, after now, in
// no order.
func times(t testing.TB, all []*member, name string, alive bool) []time.Duration {
	t.Helper()
	start := time.Now()
	out := make([]time.Duration, len(all))
	var work sync.WaitGroup
	for i, m := range all {
		work.Go(func() {
			limit := time.After(patience)
			for m.Alive().Has(name) != alive {
				select {
				case <-m.Changed():
				case <-limit:
					t.Errorf("%s does not see within %v that %s is alive=%v", m.name, patience, name, alive)
					return
				}
			}
			out[i] = time.Since(start)
		})
	}
	work.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return out
}

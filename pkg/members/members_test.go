// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
)

func TestAMemberThatJoinsIsKnownToAll(t *testing.T) {
	all := cluster(t, 3, nil)
	late := begin(t, "late", newHost(), nil)
	if got := late.Alive().Names(); !slices.Equal(got, []string{"late"}) {
		t.Errorf("before joining it sees %v, and not itself alone", got)
	}
	select {
	case <-late.Joined():
		t.Error("it has joined before it was told of anybody")
	default:
	}
	late.Join([]netip.Addr{all[1].addr, late.addr})
	receive(t, late.Joined())
	converge(t, append(all, late), append(all, late))
	if a, b := all[0].Alive(), all[0].Alive(); a != b {
		t.Error("the set is another one although nothing changed")
	}
}

func TestAloneIsJoined(t *testing.T) {
	m := begin(t, "a", newHost(), nil)
	m.Join([]netip.Addr{m.addr})
	receive(t, m.Joined())
}

func TestNobodyThereIsJoined(t *testing.T) {
	m := begin(t, "a", newHost(), nil)
	m.Join([]netip.Addr{newHost(), newHost(), newHost(), newHost(), newHost(), newHost()})
	receive(t, m.Joined())
}

func TestALateOneIsFoundByThoseThatWait(t *testing.T) {
	t.Parallel()
	early, late := newHost(), newHost()
	a := begin(t, "a", early, nil)
	a.Join([]netip.Addr{early, late})
	receive(t, a.Joined())
	b := begin(t, "b", late, nil) // it is told of nobody
	converge(t, []*member{a, b}, []*member{a, b})
}

func TestADeathIsKnownToAll(t *testing.T) {
	for _, n := range []int{2, 3, 7, 30} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			all := cluster(t, n, nil)
			all[0].off.Store(true)
			seen := times(t, all[1:], all[0].name, false)
			t.Logf("known to the first after %v, to all after %v", slices.Min(seen), slices.Max(seen))
			converge(t, all[1:], all[1:])
		})
	}
}

func TestLeavingIsKnownAtOnce(t *testing.T) {
	all := cluster(t, 10, nil)
	go all[0].Close()
	seen := times(t, all[1:], all[0].name, false)
	t.Logf("known to the first after %v, to all after %v", slices.Min(seen), slices.Max(seen))
	if last := slices.Max(seen); last >= LAN().Silence/2 {
		t.Errorf("known after %v: not faster than a death", last)
	}
	if !all[0].Alive().Has(all[0].name) {
		t.Error("it does not count itself as alive any more")
	}
}

func TestItComesBackUnderItsNameAtAnotherAddress(t *testing.T) {
	t.Parallel()
	for _, dead := range []bool{true, false} {
		t.Run(fmt.Sprintf("dead=%v", dead), func(t *testing.T) {
			all := cluster(t, 3, probing)
			rest := all[1:]
			all[0].off.Store(true)
			if dead {
				times(t, rest, all[0].name, false)
			}
			again := begin(t, all[0].name, newHost(), probing)
			now := append([]*member{again}, rest...)
			for _, m := range now {
				m.Join(addresses(now))
			}
			knownAt(t, rest, again)
			converge(t, now, now)
		})
	}
}

// probing has memberlist find the dead soon as well, for what waits for it.
func probing(o *Options) {
	o.Tuning = LAN()
	o.Tuning.ProbeInterval, o.Tuning.ProbeTimeout = 100*time.Millisecond, 50*time.Millisecond
	o.Tuning.GossipInterval = 20 * time.Millisecond
}

// knownAt waits until some have a member at its address.
func knownAt(t *testing.T, some []*member, of *member) {
	t.Helper()
	until(t, func() bool {
		for _, m := range some {
			m.mu.Lock()
			n := m.at[of.name]
			m.mu.Unlock()
			if addrOf(&n) != of.addr {
				return false
			}
		}
		return true
	}, "it is known at its new address")
}

func TestItComesBackAtOnceAtTheSameAddress(t *testing.T) {
	t.Parallel()
	all := cluster(t, 3, nil)
	all[0].shut()
	again := begin(t, all[0].name, all[0].addr, nil)
	again.Join(addresses(all))
	now := append([]*member{again}, all[1:]...)
	converge(t, now, now)
	stays(t, all[1:], all[0].name, time.Second)
}

// stays checks that a name is alive to all, for a while.
func stays(t *testing.T, all []*member, name string, d time.Duration) {
	t.Helper()
	limit := time.After(d)
	for _, m := range all {
		for done := false; !done; {
			if !m.Alive().Has(name) {
				t.Fatalf("%s does not see %s any more", m.name, name)
			}
			select {
			case <-m.Changed():
			case <-limit:
				done, limit = true, time.After(0)
			}
		}
	}
}

func TestTwoWithOneName(t *testing.T) {
	t.Parallel()
	var log lines
	logged := func(o *Options) {
		probing(o)
		o.Log = log.logger()
	}
	all := cluster(t, 3, logged)
	second := begin(t, all[0].name, newHost(), logged)
	second.Join(addresses(all))
	until(t, func() bool {
		return log.count("two speakers have the same node name", all[0].name, second.addr.String()) >= 3
	}, "all name it")
	stays(t, all[1:], all[0].name, time.Second)
	if n := log.count("two speakers have the same node name", `"addr"="`+second.addr.String()); n > 4 {
		t.Errorf("%d lines for 3 members", n)
	}
	all[0].off.Store(true)
	for _, m := range all[1:] {
		m.Join([]netip.Addr{second.addr})
	}
	knownAt(t, all[1:], second)
	converge(t, append(all[1:], second), append(all[1:], second))
}

func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	addr := newHost()
	a := begin(t, "a", addr, nil)
	b := begin(t, "b", newHost(), nil)
	a.Join([]netip.Addr{b.addr, newHost()})
	converge(t, []*member{a, b}, []*member{a, b})
	idle, err := net.Dial("tcp", netip.AddrPortFrom(addr, port).String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	for _, m := range []*member{a, b} {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil {
			t.Error("closing twice:", err)
		}
	}
	l, err := net.Listen("tcp", netip.AddrPortFrom(addr, port).String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	u, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port)))
	if err != nil {
		t.Fatal(err)
	}
	u.Close()
	idle.SetReadDeadline(time.Now().Add(patience))
	if _, err := idle.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a connection was left open: %v", err)
	}
	idle.Close()
	until(t, func() bool { return runtime.NumGoroutine() <= before }, "all goroutines have ended")
}

func TestKey(t *testing.T) {
	empty := sha256.Sum256(nil)
	for secret, want := range map[string]string{
		"":                       "",
		"0123456789abcdefghijkl": "303132333435363738396162636465666768696a6b6c" + "e3b0c44298fc1c149afb",
		"a":                      "61" + hex.EncodeToString(empty[:31]),
		strings.Repeat("x", 32):  strings.Repeat("78", 32),
		strings.Repeat("x", 40):  strings.Repeat("78", 32),
	} {
		if got := hex.EncodeToString(Key([]byte(secret))); got != want {
			t.Errorf("the key of %q is %s, not %s", secret, got, want)
		}
	}
	secret := make([]byte, 4, 64) // with room: it must not be written to
	Key(secret)
	if !bytes.Equal(secret[:32], make([]byte, 32)) {
		t.Error("the secret's memory was written to")
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	addr := netip.AddrPortFrom(newHost(), port)
	slow := LAN()
	slow.ProbeTimeout = slow.ProbeInterval + 1
	for want, o := range map[string]Options{
		"name, which is the node's, is empty": {Bind: addr},
		"address to listen on":                {Node: "a"},
		"needs one to advertise":              {Node: "a", Bind: netip.MustParseAddrPort("0.0.0.0:7946")},
		"ProbeTimeout is":                     {Node: "a", Bind: addr, Tuning: slow},
		"listening for other speakers":        {Node: "a", Bind: netip.MustParseAddrPort("192.0.2.1:7946")},
	} {
		m, err := Start(o)
		if err == nil {
			m.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: not %q", err, want)
		}
	}
	for _, taken := range []string{"tcp", "udp"} {
		a := netip.AddrPortFrom(newHost(), port)
		if taken == "tcp" {
			l, _ := net.Listen("tcp", a.String())
			defer l.Close()
		} else {
			l, _ := net.ListenPacket("udp", a.String())
			defer l.Close()
		}
		if m, err := Start(Options{Node: "a", Bind: a}); err == nil {
			m.Close()
			t.Errorf("%s port taken: no error", taken)
		}
	}
}

// receive waits for a channel.
func receive(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
}

// until asks again and again, where there is no event to wait for.
func until(t *testing.T, ok func() bool, what string) {
	t.Helper()
	limit := time.After(patience)
	for !ok() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-limit:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// lines keeps what is logged above debug.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) logger() logr.Logger {
	return funcr.New(func(_, args string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = append(l.all, args)
	}, funcr.Options{Verbosity: 1})
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// count returns how many lines have all of some words.
func (l *lines) count(words ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.all {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}

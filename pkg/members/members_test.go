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

func TestAnotherKeyIsRefusedAndNamedOnce(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]string{"another": "another", "none": ""} {
		t.Run(name, func(t *testing.T) {
			var log, own lines
			all := cluster(t, 2, func(o *Options) { o.Log = log.logger() })
			other := begin(t, "other", newHost(), func(o *Options) { o.Secret, o.Log = []byte(secret), own.logger() })
			now := append(all, other)
			for _, m := range now {
				m.Join(addresses(now))
			}
			receive(t, other.Joined())
			until(t, func() bool { return log.count("is refused", `"addr"="`+other.addr.String()) == 2 }, "both members name it")
			until(t, func() bool { return own.count("is refused") == 2 }, "it names both members")
			for _, m := range now { // again
				m.Join(nil)
				m.Join(addresses(now))
			}
			stays(t, all, all[0].name, 2*time.Second)
			if n := log.count("is refused"); n != 2 {
				t.Errorf("%d lines for two members:\n%s", n, log.text())
			}
			if all[0].Alive().Has("other") || other.Alive().Has(all[0].name) {
				t.Error("it was let in")
			}
		})
	}
}

func TestNothingIsReadableOnTheWire(t *testing.T) {
	sniff, err := net.ListenUDP("udp", &net.UDPAddr{IP: newHost().AsSlice(), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer sniff.Close()
	m := begin(t, "a-telling-name", newHost(), nil)
	to := net.JoinHostPort(sniff.LocalAddr().(*net.UDPAddr).IP.String(), fmt.Sprint(port))
	addr, _ := net.ResolveUDPAddr("udp", to)
	go m.list.Ping("x", addr)
	buf := make([]byte, 2000)
	sniff.SetReadDeadline(time.Now().Add(patience))
	n, _, err := sniff.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(buf[:n], []byte("a-telling-name")) {
		t.Error("the sender's name is readable")
	}
}

func TestASplitHeals(t *testing.T) {
	t.Parallel()
	all := cluster(t, 10, nil)
	left, right := all[:5], all[5:]
	var east = map[netip.Addr]bool{}
	for _, m := range right {
		east[m.addr] = true
	}
	fromRight := func(a netip.Addr) bool { return east[a] }
	fromLeft := func(a netip.Addr) bool { return !east[a] }
	for _, m := range left {
		m.wall.Store(&fromRight)
	}
	for _, m := range right {
		m.wall.Store(&fromLeft)
	}
	start := time.Now()
	converge(t, left, left)
	converge(t, right, right)
	t.Logf("each half knows after %v", time.Since(start))
	for _, m := range all {
		m.wall.Store(nil)
	}
	start = time.Now()
	converge(t, all, all)
	t.Logf("healed after %v", time.Since(start))
}

func TestIPv6(t *testing.T) {
	loopback := netip.MustParseAddr("::1")
	a := begin(t, "a", loopback, func(o *Options) { o.Bind = netip.AddrPortFrom(loopback, freePort(t, loopback)) })
	if got := a.list.LocalNode().Addr.String(); got != "::1" {
		t.Errorf("advertised is %s", got)
	}
	// Another port stands for another address, of which loopback has one.
	b := begin(t, "b", loopback, func(o *Options) { o.Bind = netip.AddrPortFrom(loopback, freePort(t, loopback)) })
	if _, err := b.list.Join([]string{a.o.Bind.String()}); err != nil {
		t.Fatal(err)
	}
	converge(t, []*member{a, b}, []*member{a, b})
	a.off.Store(true)
	times(t, []*member{b}, "a", false)
}

func freePort(t *testing.T, addr netip.Addr) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// TestPacketsFitTheNetwork: with the longest names and much to tell at once, no
// packet is larger than what an Ethernet carries with IPv6 and UDP headers.
func TestPacketsFitTheNetwork(t *testing.T) {
	var all []*member
	for i := range 20 {
		all = append(all, begin(t, fmt.Sprintf("%03d-%s", i, strings.Repeat("x", 249)), newHost(), nil))
	}
	for _, m := range all {
		m.Join(addresses(all))
	}
	converge(t, all, all)
	var largest int64
	for _, m := range all {
		largest = max(largest, m.largest.Load())
	}
	if largest < 1000 || largest > 1500-40-8 {
		t.Errorf("the largest packet has %d bytes", largest)
	}
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

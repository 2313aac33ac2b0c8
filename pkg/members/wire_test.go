// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

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

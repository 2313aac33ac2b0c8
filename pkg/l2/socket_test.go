// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Everything ends with Close, in any order, also when the link is gone.
func TestClose(t *testing.T) {
	node, _ := nodeAndClient(t)
	fds, goroutines := openFiles(t), runtime.NumGoroutine()
	for _, gone := range []bool{false, true} {
		w := node.open("eth0")
		done := make(chan error, 1)
		go func() {
			_, err := w.Receive()
			done <- err
		}()
		if gone {
			node.ip("link del eth0")
			if err := w.Announce(service4); err == nil || !strings.Contains(err.Error(), "eth0") {
				t.Errorf("announcing on a link that is gone: error %v; want one that names it", err)
			}
		}
		w.Close()
		w.Close()
		select {
		case err := <-done:
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("Receive ended with %v, want %v", err, net.ErrClosed)
			}
		case <-time.After(timeLimit):
			t.Fatal("Receive did not end with Close")
		}
		for what, err := range map[string]error{
			"Announce": w.Announce(service6),
			"Answer":   w.Answer(Message{Addr: service4, From: client4, MAC: clientMAC}),
			"Ask":      w.Ask(service6, clientMAC),
			"Want":     w.Want(services()),
		} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: error %v, want %v", what, err, net.ErrClosed)
			}
		}
	}
	if n := openFiles(t); n != fds {
		t.Errorf("%d open files, %d before", n, fds)
	}
	// A goroutine that has done all goes when it comes to it.
	for end := time.Now().Add(timeLimit); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// What cannot be opened says why.
func TestOpenErrors(t *testing.T) {
	s := newSpace(t)
	for name, want := range map[string]string{
		"eth9":                  "no such device",
		"lo":                    "not Ethernet",
		strings.Repeat("x", 20): "no interface's name",
	} {
		var err error
		s.in(func() { _, err = openWire(name) })
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("opening %q: error %v; want one that names it and says %q", name, err, want)
		}
	}
}

// CAP_NET_RAW is all that a wire needs.
func TestNetRawSuffices(t *testing.T) {
	node, client := nodeAndClient(t)
	var left [2]unix.CapUserData
	node.in(func() { // only its thread is concerned, not the programs that it starts
		all := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		left[0].Effective, left[0].Permitted = 1<<unix.CAP_NET_RAW, 1<<unix.CAP_NET_RAW
		if err := unix.Capset(&all, &left[0]); err != nil {
			t.Errorf("giving up capabilities: %v", err)
		}
	})
	var w wire
	node.in(func() {
		var err error
		if w, err = openWire("eth0"); err == nil {
			err = errors.Join(w.Want(services()), w.Announce(service4), w.Ask(service6, clientMAC))
		}
		if err != nil {
			t.Error(err)
		}
	})
	if w == nil {
		return
	}
	defer w.Close()
	respond(t, w)
	client.resolves(nodeMAC)
}

// What nonsense is asked for is refused, and nothing is sent.
func TestRefused(t *testing.T) {
	node, _ := nodeAndClient(t)
	w := node.open("eth0")
	for what, err := range map[string]error{
		"the answer to a claim":     w.Answer(Message{Kind: Claim, Addr: service4, From: service4, MAC: clientMAC}),
		"an answer to nobody":       w.Answer(Message{Addr: service4}),
		"an answer across families": w.Answer(Message{Addr: service4, From: client6}),
		"announcing nothing":        w.Announce(netip.Addr{}),
		"announcing a mapped one":   w.Announce(netip.AddrFrom16(service4.As16())),
		"asking for nothing":        w.Ask(netip.Addr{}, MAC{}),
	} {
		if err == nil || !strings.Contains(err.Error(), "eth0") {
			t.Errorf("%s: error %v; want one that names the link", what, err)
		}
	}
}

// The kernel's filters pass what can matter and nothing else. The readers would
// drop the rest as well: here the sockets are read without them.
func TestFilters(t *testing.T) {
	node, client := nodeAndClient(t)
	tap := client.tap("eth0")
	other := func(f []byte, offset int, v byte) []byte { f[offset] = v; return f }
	for _, c := range []struct {
		name      string
		ethertype uint16
		dropped   [][]byte
		passed    []byte
	}{
		{
			"ARP", etherARP,
			[][]byte{
				arpOf(func(p *arpFrame) { p.dst = otherMAC }),
				ndpOf(func(*ndpFrame) {}),
			},
			arpOf(func(*arpFrame) {}),
		},
		{
			"NDP", etherIPv6,
			[][]byte{
				ndpOf(func(p *ndpFrame) { p.dst = otherMAC }),
				other(ndpOf(func(*ndpFrame) {}), offIPv6+6, 17),
				other(ndpOf(func(*ndpFrame) {}), offIPv6+7, 64),
				other(ndpOf(func(*ndpFrame) {}), offICMPv6, 134),
				other(ndpOf(func(*ndpFrame) {}), offICMPv6, 128),
				arpOf(func(*arpFrame) {}),
			},
			ndpOf(func(*ndpFrame) {}),
		},
		{"NDP advertisement", etherIPv6, nil, ndpOf(advertised)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := node.port("eth0", c.ethertype)
			for _, f := range append(c.dropped, c.passed) {
				tap.send(f)
			}
			buf := make([]byte, maxFrame)
			for string(buf) != string(c.passed) { // the kernels talk too
				n, err := p.file.Read(buf[:maxFrame])
				if err != nil {
					t.Fatal(err)
				}
				buf = buf[:n]
				for _, f := range c.dropped {
					if string(buf) == string(f) {
						t.Errorf("passed %x", f)
					}
				}
			}
		})
	}
}

// port opens a socket of a wire, for what waits no longer than the time limit.
func (s *space) port(name string, ethertype uint16) (p *packetSocket) {
	s.t.Helper()
	var err error
	s.in(func() {
		var index int
		if index, err = indexOf(name); err == nil {
			p, _, err = openSocket(index, ethertype)
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { p.file.Close() })
	p.file.SetReadDeadline(time.Now().Add(timeLimit))
	return p
}

// A flood about other addresses costs no memory, and does not keep a question
// about a wanted one from being heard.
func TestFlood(t *testing.T) {
	node, client := nodeAndClient(t)
	w := node.open("eth0")
	heard := heardOn(w)
	tap := client.tap("eth0")
	noise4, noise6 := arpOf(func(p *arpFrame) { p.target = client4 }), ndpOf(func(p *ndpFrame) { p.target = client6 })
	const frames = 40_000
	flood := func() {
		for range frames / 2 {
			unix.Write(tap.fd, noise4)
			unix.Write(tap.fd, noise6)
		}
	}
	flood()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	flood()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	// As every host does, the client asks again when it hears nothing: what
	// finds the socket's buffer full is lost.
	for _, a := range []netip.Addr{service4, service6} {
		question := arpOf(func(*arpFrame) {})
		if a.Is6() {
			question = ndpOf(func(*ndpFrame) {})
		}
		stop := make(chan struct{})
		var asking sync.WaitGroup
		asking.Go(func() {
			for unix.Write(tap.fd, question); ; unix.Write(tap.fd, question) {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
		flood()
		expect(t, heard, "a query", func(m Message) bool { return m.Kind == Query && m.Addr == a })
		close(stop)
		asking.Wait()
	}
	t.Logf("%d frames in %s, %d allocations meanwhile", frames, took, after.Mallocs-before.Mallocs)
	if n := after.Mallocs - before.Mallocs; n > frames/100 {
		t.Errorf("%d allocations while %d frames came that matter to nobody", n, frames)
	}
}

// BenchmarkWire asks over a real link and waits for the answer.
func BenchmarkWire(b *testing.B) {
	one, two := newSpace(b), newSpace(b)
	connect(one, "eth0", nodeMAC, two, "eth0", otherMAC)
	w1, w2 := one.open("eth0"), two.open("eth0")
	go func() {
		for {
			m, err := w2.Receive()
			if err != nil {
				return
			}
			w2.Answer(m)
		}
	}()
	for _, a := range []netip.Addr{service4, service6} {
		b.Run(fmt.Sprint(a), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := w1.Ask(a, MAC{}); err != nil {
					b.Fatal(err)
				}
				if _, err := w1.Receive(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

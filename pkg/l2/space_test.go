// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"metallb.io/metallb-frr/e2e/need"
)

// timeLimit is for each thing that a test waits for.
const timeLimit = 10 * time.Second

// space is a network namespace. It belongs to one thread of this process, and
// ends with it.
type space struct {
	t   testing.TB
	tid int
	do  chan func()
}

// newSpace makes a namespace in which DAD is over at once.
func newSpace(t testing.TB) *space {
	t.Helper()
	if os.Geteuid() != 0 {
		need.Skip(t, "network namespaces need root")
	}
	s := &space{t: t, do: make(chan func())}
	ready, gone := make(chan error), make(chan struct{})
	go func() {
		defer close(gone)
		runtime.LockOSThread() // for good: the thread ends with its namespace
		err := unix.Unshare(unix.CLONE_NEWNET)
		s.tid = unix.Gettid()
		ready <- err
		for f := range s.do {
			f()
		}
	}()
	t.Cleanup(func() { close(s.do); <-gone })
	if err := <-ready; err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
	s.ip("link set lo up")
	s.sysctl("net/ipv6/conf/all/accept_dad", "0")
	s.sysctl("net/ipv6/conf/default/accept_dad", "0")
	return s
}

// in runs f in the namespace.
func (s *space) in(f func()) {
	done := make(chan struct{})
	s.do <- func() { defer close(done); f() }
	<-done
}

// try runs a program in the namespace.
func (s *space) try(line string) (out string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
	defer cancel()
	args := strings.Fields(line)
	s.in(func() {
		var b []byte
		b, err = exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
		out = string(b)
	})
	return out, err
}

func (s *space) run(line string) string {
	s.t.Helper()
	out, err := s.try(line)
	if err != nil {
		s.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return out
}

func (s *space) ip(line string) string {
	s.t.Helper()
	return s.run("ip " + line)
}

func (s *space) sysctl(name, value string) {
	s.t.Helper()
	s.in(func() {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/task/%d/root/proc/sys/%s", os.Getpid(), s.tid, name), []byte(value), 0o644); err != nil {
			s.t.Errorf("sysctl %s: %v", name, err)
		}
	})
}

// await asks again and again, which is all that neighbour tables and group lists
// allow for, until ok says yes.
func (s *space) await(what, line string, ok func(out string) bool) string {
	s.t.Helper()
	var out string
	for end := time.Now().Add(timeLimit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if out, _ = s.try(line); ok(out) {
			return out
		}
	}
	s.t.Fatalf("after %s no %s; %s says:\n%s", timeLimit, what, line, out)
	return ""
}

// neighbour waits until the kernel has an address at a station, in one of those
// states.
func (s *space) neighbour(a netip.Addr, m MAC, states ...string) {
	s.t.Helper()
	s.await(fmt.Sprintf("neighbour %s at %s, %v", a, m, states), "ip neigh show "+a.String(), func(out string) bool {
		for _, st := range states {
			if strings.Contains(out, "lladdr "+m.String()) && strings.Contains(out, st) {
				return true
			}
		}
		return false
	})
}

// speak sends a datagram to an address, so that the kernel must find it.
func (s *space) speak(a netip.Addr) {
	s.t.Helper()
	family, to := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{Port: 9, Addr: [4]byte(a.AsSlice()[:4])})
	if a.Is6() {
		family, to = unix.AF_INET6, &unix.SockaddrInet6{Port: 9, Addr: a.As16()}
	}
	s.in(func() {
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			defer unix.Close(fd)
			err = unix.Sendto(fd, []byte("x"), 0, to)
		}
		if err != nil {
			s.t.Errorf("speaking to %s: %v", a, err)
		}
	})
}

// connect connects two namespaces, by an interface of that name and address in each.
func connect(a *space, nameA string, macA MAC, b *space, nameB string, macB MAC) {
	a.t.Helper()
	a.ip(fmt.Sprintf("link add %s address %s type veth peer name %s address %s netns %d", nameA, macA, nameB, macB, b.tid))
	a.ip("link set " + nameA + " up")
	b.ip("link set " + nameB + " up")
	a.ready(nameA)
	b.ready(nameB)
}

// ready waits until an interface sends. For a moment after it went up it drops
// everything and says nothing.
func (s *space) ready(name string) {
	s.t.Helper()
	s.await(name+" that is up", "ip -o link show dev "+name, func(out string) bool { return strings.Contains(out, "state UP") })
}

// nodeAndClient makes a node and a client on one link. Only the client has
// addresses.
func nodeAndClient(t testing.TB) (node, client *space) {
	t.Helper()
	node, client = newSpace(t), newSpace(t)
	connect(node, "eth0", nodeMAC, client, "eth0", clientMAC)
	client.address()
	return node, client
}

// address gives eth0 the client's addresses.
func (s *space) address() {
	s.t.Helper()
	s.ip("addr add 192.0.2.2/24 dev eth0")
	s.ip("addr add 2001:db8::2/64 dev eth0 nodad")
	s.usable(client6)
}

// usable waits until the kernel has an IPv6 address that it was given: some time
// afterwards it joins the group, and then makes the route to itself.
func (s *space) usable(a netip.Addr) {
	s.t.Helper()
	s.await("route to itself for "+a.String(), "ip -6 route show table local "+a.String(), func(out string) bool { return strings.Contains(out, "local") })
}

// open opens a wire in the namespace and wants the services there.
func (s *space) open(name string) wire {
	s.t.Helper()
	var w wire
	var err error
	s.in(func() { w, err = openWire(name) })
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { w.Close() })
	if err := w.Want(services()); err != nil {
		s.t.Fatal(err)
	}
	return w
}

// heardOn are the messages of a wire, until it is closed.
func heardOn(w wire) <-chan Message {
	out := make(chan Message, 100)
	go func() {
		defer close(out)
		for {
			m, err := w.Receive()
			if err != nil {
				return
			}
			out <- m
		}
	}()
	return out
}

// respond answers every question on a wire, as a speaker does that owns what it
// wants, and returns what it answered and the claims it heard.
func respond(t testing.TB, w wire) <-chan Message {
	out := make(chan Message, 1000)
	go func() {
		for m := range heardOn(w) {
			if m.Kind != Claim {
				if err := w.Answer(m); err != nil {
					t.Error(err)
				}
			}
			out <- m
		}
	}()
	return out
}

// expect waits for a message.
func expect(t testing.TB, from <-chan Message, what string, ok func(Message) bool) Message {
	t.Helper()
	var seen []Message
	limit := time.After(timeLimit)
	for {
		select {
		case m, open := <-from:
			if !open {
				t.Fatalf("the wire was closed before %s", what)
			}
			if ok(m) {
				return m
			}
			seen = append(seen, m)
		case <-limit:
			t.Fatalf("after %s no %s, but %+v", timeLimit, what, seen)
		}
	}
}

// tap is a second socket on a link, which sees every frame both ways and can
// send any.
type tap struct {
	t  testing.TB
	fd int
}

func (s *space) tap(name string) tap {
	s.t.Helper()
	p := tap{t: s.t}
	s.in(func() {
		index, err := indexOf(name)
		if err == nil {
			p.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		}
		if err == nil {
			err = unix.Bind(p.fd, &unix.SockaddrLinklayer{Protocol: unix.ETH_P_ALL << 8, Ifindex: index})
		}
		if err == nil {
			err = unix.SetsockoptTimeval(p.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
		}
		if err != nil {
			s.t.Errorf("tapping %s: %v", name, err)
		}
	})
	s.t.Cleanup(func() { unix.Close(p.fd) })
	return p
}

func (p tap) send(frame []byte) {
	p.t.Helper()
	if _, err := unix.Write(p.fd, frame); err != nil {
		p.t.Fatalf("sending %x: %v", frame, err)
	}
}

// next waits for the next frame that ok wants.
func (p tap) next(what string, ok func(frame []byte) bool) []byte {
	p.t.Helper()
	buf := make([]byte, maxFrame)
	for end := time.Now().Add(timeLimit); time.Now().Before(end); {
		n, err := unix.Read(p.fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			p.t.Fatalf("waiting for %s: %v", what, err)
		}
		if ok(buf[:n]) {
			return buf[:n]
		}
	}
	p.t.Fatalf("after %s no %s", timeLimit, what)
	return nil
}

// exchange are the next frames about the services, in hexadecimal, until the
// node has sent so many.
func (p tap) exchange(ofNode int) (out []string) {
	p.t.Helper()
	for ofNode > 0 {
		f := p.next("exchange", func(f []byte) bool {
			a, okA := parseARP(f)
			n, okN := parseNDP(f)
			return okA && (a.target == service4 || a.sender == service4) || okN && n.target == service6
		})
		if MAC(f[6:12]) == nodeMAC {
			ofNode--
		}
		out = append(out, hex.EncodeToString(f))
	}
	return out
}

// groupMembers reads how many have joined a group on an interface; 0: none.
func (s *space) groupMembers(name string, group netip.Addr) int {
	s.t.Helper()
	b := group.As16()
	for line := range strings.Lines(s.run("cat /proc/net/igmp6")) {
		f := strings.Fields(line)
		if len(f) > 3 && f[1] == name && f[2] == hex.EncodeToString(b[:]) {
			n, err := strconv.Atoi(f[3])
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

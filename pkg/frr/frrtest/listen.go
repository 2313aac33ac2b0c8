// SPDX-License-Identifier: Apache-2.0

package frrtest

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Listen listens for TCP connections inside f's network.
func (f *FRR) Listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	type result struct {
		l   net.Listener
		err error
	}
	done := make(chan result)
	go func() {
		// A socket belongs to the network in which it was made. The thread
		// is not given back: it ends with this goroutine.
		runtime.LockOSThread()
		l, err := f.listen(addr)
		done <- result{l, err}
	}()
	r := <-done
	if r.err != nil {
		t.Fatalf("listening inside FRR's network: %v", r.err)
	}
	return r.l
}

func (f *FRR) listen(addr string) (net.Listener, error) {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", f.pid))
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("entering the network of process %d: %w", f.pid, err)
	}
	return net.Listen("tcp", addr)
}

// Forward takes connections to a TCP address inside f's network to one outside,
// until the test ends: what f's daemons connect to lives in the test.
func (f *FRR) Forward(t testing.TB, inside, outside string) {
	t.Helper()
	l := f.Listen(t, inside)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", outside)
			if err != nil {
				conn.Close()
				continue
			}
			go func() {
				io.Copy(out, conn)
				out.Close()
				conn.Close()
			}()
		}
	}()
}

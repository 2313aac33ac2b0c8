// SPDX-License-Identifier: Apache-2.0

package bmp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
)

func listen(t *testing.T) *Listener {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func send(t *testing.T, conn net.Conn, messages ...[]byte) {
	t.Helper()
	for _, m := range messages {
		if _, err := conn.Write(m); err != nil {
			t.Fatal(err)
		}
	}
}

// next returns the next event, which must be of this kind.
func next(t *testing.T, l *Listener, kind Kind) Event {
	t.Helper()
	select {
	case e := <-l.Events():
		if e.Kind != kind {
			t.Fatalf("event %+v, want one of kind %v", e, kind)
		}
		return e
	case <-time.After(15 * time.Second):
		t.Fatalf("no event within 15 s, want one of kind %v", kind)
	}
	panic("unreachable")
}

// settled returns when the listener has taken in n events that nobody takes.
func settled(t *testing.T, l *Listener, n int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		got := len(l.pending)
		l.mu.Unlock()
		if got == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d events wait, want %d", got, n)
		}
	}
}

func TestEventsInOrder(t *testing.T) {
	l := listen(t)
	conn := dial(t, l)
	send(t, conn, up(t, "192.0.2.2", "192.0.2.1"))
	next(t, l, Connected)
	next(t, l, Up)
	send(t, conn, down(t, 4, nil, nil))
	next(t, l, Down)
	conn.Close()
	next(t, l, Disconnected)
	dial(t, l)
	next(t, l, Connected)
}

func TestSlowConsumerGetsTheLatestState(t *testing.T) {
	l := listen(t)
	conn := dial(t, l)
	for range 2000 {
		send(t, conn, up(t, "192.0.2.2", "192.0.2.1"), up(t, "192.0.2.3", "192.0.2.1"), down(t, 4, nil, nil))
	}
	send(t, conn, up(t, "192.0.2.9", "192.0.2.1"))
	settled(t, l, 3) // Connected is with deliver
	next(t, l, Connected)
	state := map[string]Kind{}
	for range 3 {
		e := <-l.Events()
		state[e.Peer.String()] = e.Kind
	}
	if got := fmt.Sprint(state); got != "map[192.0.2.2:down 192.0.2.3:up 192.0.2.9:up]" {
		t.Errorf("states %s", got)
	}
	conn.Close()
	next(t, l, Disconnected)
}

func TestOneConnectionForEachInstance(t *testing.T) {
	l := listen(t)
	first, second := dial(t, l), dial(t, l)
	next(t, l, Connected)
	send(t, first, up(t, "192.0.2.2", "192.0.2.1"))
	next(t, l, Up)
	send(t, second, up(t, "192.0.2.3", "192.0.2.1"))
	next(t, l, Up)
	second.Close()
	if e := next(t, l, Down); e.Peer.String() != "192.0.2.3" || e.Reason == "" {
		t.Errorf("event %+v, want 192.0.2.3 down with a reason", e)
	}
	send(t, first, down(t, 1, bgp.NewBGPNotificationMessage(4, 0, nil), nil))
	next(t, l, Down)
	first.Close()
	next(t, l, Disconnected)
}

func TestStrangerDoesNoHarm(t *testing.T) {
	l := listen(t)
	conn := dial(t, l)
	next(t, l, Connected)
	stranger := dial(t, l)
	send(t, stranger, []byte("GET / HTTP/1.1\r\n\r\n"))
	if _, err := stranger.Read(make([]byte, 1)); err == nil {
		t.Error("a stranger gets an answer")
	}
	send(t, conn, up(t, "192.0.2.2", "192.0.2.1"))
	next(t, l, Up)
}

func TestTooManySessionsCostTheConnection(t *testing.T) {
	l := listen(t)
	conn := dial(t, l)
	next(t, l, Connected)
	go func() {
		for i := range maxPending + 10 {
			if _, err := conn.Write(up(t, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), "192.0.2.1")); err != nil {
				return
			}
		}
	}()
	conn.SetReadDeadline(time.Now().Add(60 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("read from the listener succeeds")
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
	settled(t, l, 1) // what was pending is stale
}

func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, err := Listen(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, l)
	next(t, l, Connected)
	cancel()
	l.work.Wait()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlives the context")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

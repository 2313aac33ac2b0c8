// SPDX-License-Identifier: Apache-2.0

package bmp

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	packet "github.com/osrg/gobgp/v3/pkg/packet/bmp"
)

// maxMessage bounds one message, in bytes. A peer-up message holds two OPEN
// messages of at most 4 KiB.
const maxMessage = 64 << 10

// Listener is where bgpd connects to. Close ends it.
type Listener struct {
	socket net.Listener
	out    chan Event
	done   chan struct{}
	work   sync.WaitGroup

	mu      sync.Mutex
	conn    net.Conn // the newest
	pending []Event  // not yet taken by the consumer: at most one per session
	more    chan struct{}
}

// Listen opens the TCP socket that bgpd is told to connect to, such as
// "127.0.0.1:11019"; port 0 picks one, which Addr tells. It listens until Close,
// or until ctx ends.
func Listen(ctx context.Context, addr string) (*Listener, error) {
	socket, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for bgpd's reports (BMP): %w", err)
	}
	l := &Listener{socket: socket, out: make(chan Event), done: make(chan struct{}), more: make(chan struct{}, 1)}
	l.work.Go(l.accept)
	l.work.Go(l.deliver)
	context.AfterFunc(ctx, func() { l.stop() })
	return l, nil
}

// Addr returns the address that is listened on.
func (l *Listener) Addr() netip.AddrPort {
	return l.socket.Addr().(*net.TCPAddr).AddrPort()
}

// Events returns what bgpd reports, in order. A consumer that is late gets the
// latest state of each session only. The channel is never closed.
func (l *Listener) Events() <-chan Event { return l.out }

// Close ends the connection and the socket, and waits until nothing runs.
func (l *Listener) Close() error {
	err := l.stop()
	l.work.Wait()
	return err
}

func (l *Listener) stop() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.done:
		return nil
	default:
		close(l.done)
	}
	if l.conn != nil {
		l.conn.Close()
	}
	return l.socket.Close()
}

// accept serves one connection at a time: a new one replaces the old, which is
// that of a bgpd that died and whose end has not reached us.
func (l *Listener) accept() {
	for {
		conn, err := l.socket.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // the connection failed, not the socket
		}
		l.mu.Lock()
		if l.conn != nil {
			l.conn.Close()
		}
		l.conn = conn
		l.mu.Unlock()
		select {
		case <-l.done:
			conn.Close()
			return
		default:
			l.push(Event{Kind: Connected, At: time.Now()})
			l.work.Go(func() { l.serve(conn) })
		}
	}
}

// serve reads one connection to its end. Only the end of the newest counts.
func (l *Listener) serve(conn net.Conn) {
	defer conn.Close()
	err := read(conn, func(e Event) {
		if l.newest(conn) {
			l.push(e)
		}
	})
	if l.newest(conn) {
		l.push(Event{Kind: Disconnected, Reason: err.Error(), At: time.Now()})
	}
}

func (l *Listener) newest(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn == conn
}

// read hands over the events in a stream of BMP messages, until it ends or is
// not BMP; the error, which is never nil, says why.
func read(r io.Reader, event func(Event)) error {
	in := bufio.NewReaderSize(r, maxMessage)
	for {
		header, err := in.Peek(packet.BMP_HEADER_SIZE)
		if err != nil {
			return err
		}
		length := binary.BigEndian.Uint32(header[1:5])
		if header[0] != packet.BMP_VERSION || length < packet.BMP_HEADER_SIZE {
			return fmt.Errorf("reading BMP: version %d, length %d: not a BMP version 3 message", header[0], length)
		}
		if length > maxMessage {
			return fmt.Errorf("reading BMP: a message of %d bytes; at most %d are taken", length, maxMessage)
		}
		data := make([]byte, length)
		if _, err := io.ReadFull(in, data); err != nil {
			return err
		}
		e, ok, err := decode(data, time.Now())
		if err != nil {
			return err
		}
		if ok {
			event(e)
		}
	}
}

// push adds an event for the consumer and never waits. What it makes stale goes:
// an earlier state of the same session, and every state before a disconnection.
func (l *Listener) push(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending = slices.DeleteFunc(l.pending, func(p Event) bool {
		if e.Kind == Disconnected {
			return true
		}
		return p.Kind >= Up && e.Kind >= Up && session{p.Peer, p.Instance} == session{e.Peer, e.Instance}
	})
	l.pending = append(l.pending, e)
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// deliver hands events to the consumer one by one.
func (l *Listener) deliver() {
	for {
		l.mu.Lock()
		var next Event
		if len(l.pending) > 0 {
			next = l.pending[0]
			l.pending = slices.Delete(l.pending, 0, 1)
		}
		l.mu.Unlock()
		if next.Kind == 0 {
			select {
			case <-l.done:
				return
			case <-l.more:
				continue
			}
		}
		select {
		case <-l.done:
			return
		case l.out <- next:
		}
	}
}

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

// maxConnections bounds how many connections are served; bgpd makes one per BGP
// instance. What is above it is closed at once.
const maxConnections = 64

// maxPending bounds the events that wait for the consumer. What bgpd reports
// beyond costs it the connection; it comes back and reports all again.
const maxPending = 4 << 10

// Listener is where bgpd connects to. Close ends it.
type Listener struct {
	socket net.Listener
	out    chan Event
	done   chan struct{}
	work   sync.WaitGroup

	mu      sync.Mutex
	conns   map[net.Conn]bool
	pending []Event // not yet taken by the consumer: at most one per session
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
	l := &Listener{socket: socket, out: make(chan Event), done: make(chan struct{}), more: make(chan struct{}, 1), conns: map[net.Conn]bool{}}
	l.work.Go(l.accept)
	l.work.Go(l.deliver)
	context.AfterFunc(ctx, func() { _ = l.stop() })
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
	for conn := range l.conns {
		conn.Close()
	}
	return l.socket.Close()
}

// accept serves connections, each on its own: bgpd makes one for each BGP
// instance, and all end with it.
func (l *Listener) accept() {
	for {
		conn, err := l.socket.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // the connection failed, not the socket
		}
		if !l.add(conn) {
			conn.Close()
			continue
		}
		l.work.Go(func() { l.serve(conn) })
	}
}

// add takes a connection in; the first one is bgpd's coming.
func (l *Listener) add(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.done:
		return false
	default:
	}
	if len(l.conns) >= maxConnections {
		return false
	}
	l.conns[conn] = true
	if len(l.conns) == 1 {
		l.push(Event{Kind: Connected, At: time.Now()})
	}
	return true
}

// serve reads one connection to its end.
func (l *Listener) serve(conn net.Conn) {
	up := map[session]Event{}
	err := read(conn, func(e Event) error {
		switch e.Kind {
		case Up:
			up[e.session()] = e
		case Down:
			delete(up, e.session())
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.pending) >= maxPending || len(up) >= maxPending {
			return errors.New("too many sessions")
		}
		l.push(e)
		return nil
	})
	conn.Close()
	l.remove(conn, up, err)
}

// remove takes a connection out. The last one's end is bgpd's; with others left
// it was one BGP instance that ended, and its sessions with it.
func (l *Listener) remove(conn net.Conn, up map[session]Event, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, conn)
	if len(l.conns) == 0 {
		l.push(Event{Kind: Disconnected, Reason: err.Error(), At: time.Now()})
		return
	}
	for _, e := range up {
		e.Kind, e.Local, e.At = Down, netip.Addr{}, time.Now()
		e.Reason = "its BGP instance ended"
		l.push(e)
	}
}

// read hands over the events in a stream of BMP messages, until it ends, is not
// BMP, or event returns an error; the error, which is never nil, says why.
func read(r io.Reader, event func(Event) error) error {
	in := bufio.NewReaderSize(r, maxMessage)
	for {
		header, err := in.Peek(packet.BMP_HEADER_SIZE)
		if err != nil {
			return fmt.Errorf("reading BMP: %w", err)
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
			return fmt.Errorf("reading BMP: %w", err)
		}
		if e, ok := decode(data, time.Now()); ok {
			if err := event(e); err != nil {
				return err
			}
		}
	}
}

// push adds an event for the consumer and never waits. What it makes stale goes:
// an earlier state of the same session, and everything before a disconnection.
// l.mu is held.
func (l *Listener) push(e Event) {
	l.pending = slices.DeleteFunc(l.pending, func(p Event) bool {
		if e.Kind == Disconnected {
			return true
		}
		return p.Kind >= Up && e.Kind >= Up && p.session() == e.session()
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

// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// receiveBuffer is what the kernel is asked to keep of what we have not read, in
// bytes; it gives less where net.core.rmem_max says so.
const receiveBuffer = 2 << 20

// maxStreams bounds the connections from other members, each of which holds
// memory for a whole state; what is above it is closed at once. 100 members may
// all come at the same moment.
const maxStreams = 256

// transport carries memberlist's packets and streams. Unlike memberlist's own it
// allocates what a packet needs and not 64 KiB for each, tells whom it heard, and
// leaves nothing open when it ends.
type transport struct {
	udp       *net.UDPConn
	tcp       net.Listener
	advertise netip.AddrPort
	packets   chan *memberlist.Packet
	streams   chan net.Conn
	heard     func(netip.Addr)
	cut       func(netip.Addr, int) bool
	ctx       context.Context // ends with the transport
	end       context.CancelFunc
	work      sync.WaitGroup

	mu    sync.Mutex
	conns map[*stream]bool
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)

// stream is a connection that its transport closes when it ends.
type stream struct {
	net.Conn
	of *transport
}

func (s *stream) Close() error {
	s.of.mu.Lock()
	delete(s.of.conns, s)
	s.of.mu.Unlock()
	return s.Conn.Close()
}

// listen opens both sockets. heard is called with the sender of each packet.
func listen(bind, advertise netip.AddrPort, heard func(netip.Addr), cut func(netip.Addr, int) bool) (*transport, error) {
	tcp, err := new(net.ListenConfig).Listen(context.Background(), "tcp", bind.String())
	if err != nil {
		return nil, fmt.Errorf("listening for other speakers: %w", err)
	}
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(bind))
	if err == nil {
		if err = udp.SetReadBuffer(receiveBuffer); err != nil {
			udp.Close()
		}
	}
	if err != nil {
		tcp.Close()
		return nil, fmt.Errorf("listening for other speakers: %w", err)
	}
	t := &transport{
		udp: udp, tcp: tcp, advertise: advertise, heard: heard, cut: cut,
		packets: make(chan *memberlist.Packet, 64), streams: make(chan net.Conn), conns: map[*stream]bool{},
	}
	t.ctx, t.end = context.WithCancel(context.Background())
	t.work.Go(t.receive)
	t.work.Go(t.accept)
	return t, nil
}

// receive reads packets until the socket is closed.
func (t *transport) receive() {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := t.udp.ReadFromUDPAddrPort(buf)
		at := time.Now()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		peer := from.Addr().Unmap()
		if err != nil || n == 0 || t.isCut(peer, n) {
			continue
		}
		t.heard(peer)
		p := &memberlist.Packet{Buf: bytes.Clone(buf[:n]), From: net.UDPAddrFromAddrPort(netip.AddrPortFrom(peer, from.Port())), Timestamp: at}
		select {
		case t.packets <- p:
		case <-t.ctx.Done():
			return
		}
	}
}

// accept takes connections until the socket is closed.
func (t *transport) accept() {
	for {
		conn, err := t.tcp.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			select {
			case <-time.After(10 * time.Millisecond): // no descriptors left, most likely
			case <-t.ctx.Done():
				return
			}
			continue
		}
		if t.isCut(conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap(), 0) {
			conn.Close()
			continue
		}
		s := t.add(conn)
		if s == nil {
			conn.Close()
			continue
		}
		select {
		case t.streams <- s:
		case <-t.ctx.Done():
			return
		}
	}
}

// add keeps a connection for as long as it is open; nil: it is one too many.
func (t *transport) add(conn net.Conn) *stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() != nil || len(t.conns) >= maxStreams {
		return nil
	}
	s := &stream{conn, t}
	t.conns[s] = true
	return s
}

func (t *transport) isCut(peer netip.Addr, size int) bool { return t.cut != nil && t.cut(peer, size) }

// FinalAdvertiseAddr returns where others reach us.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.advertise.Addr().AsSlice(), int(t.advertise.Port()), nil
}

// WriteTo sends a packet.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// WriteToAddress sends a packet.
func (t *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	to, err := netip.ParseAddrPort(a.Addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("sending to member %s: %w", a.Name, err)
	}
	if !t.isCut(to.Addr().Unmap(), len(b)) {
		_, err = t.udp.WriteToUDPAddrPort(b, to) // memberlist looks into the error
	}
	return time.Now(), err
}

// PacketCh returns what was received.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.packets }

// StreamCh returns the connections from others.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// DialTimeout connects to a member.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: addr}, timeout)
}

// DialAddressTimeout connects to a member, from our address.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(t.ctx, timeout)
	defer cancel()
	if to, err := netip.ParseAddrPort(a.Addr); err == nil && t.isCut(to.Addr().Unmap(), 0) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: t.source()}}
	conn, err := d.DialContext(ctx, "tcp", a.Addr)
	if err != nil {
		return nil, err
	}
	s := t.add(conn)
	if s == nil {
		conn.Close()
		return nil, errors.New("too many connections to members")
	}
	return s, nil
}

// source is the address that connections are made from: the one that is listened
// on, if it is one.
func (t *transport) source() []byte {
	a := t.udp.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	if a.IsUnspecified() {
		return nil
	}
	return a.AsSlice()
}

// Shutdown closes the sockets and all connections, and waits for the readers.
func (t *transport) Shutdown() error {
	t.end()
	err := errors.Join(t.tcp.Close(), t.udp.Close())
	t.mu.Lock()
	for s := range t.conns {
		s.Conn.Close()
	}
	clear(t.conns)
	t.mu.Unlock()
	t.work.Wait()
	return err
}

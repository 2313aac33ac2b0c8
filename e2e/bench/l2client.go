// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

const echoPort = 8080

// echo answers every datagram in the calling thread's namespace from the address
// that it came to.
func echo(ctx context.Context) error {
	c4, err4 := net.ListenPacket("udp4", fmt.Sprintf(":%d", echoPort))
	c6, err6 := net.ListenPacket("udp6", fmt.Sprintf(":%d", echoPort))
	if err := errors.Join(err4, err6); err != nil {
		return fmt.Errorf("listening for requests: %w", err)
	}
	context.AfterFunc(ctx, func() { c4.Close(); c6.Close() })
	p4, p6 := ipv4.NewPacketConn(c4), ipv6.NewPacketConn(c6)
	if err := errors.Join(p4.SetControlMessage(ipv4.FlagDst, true), p6.SetControlMessage(ipv6.FlagDst, true)); err != nil {
		return fmt.Errorf("listening for requests: %w", err)
	}
	go echoAll(func(buf []byte) error {
		n, cm, from, err := p4.ReadFrom(buf)
		if err == nil && cm != nil {
			_, err = p4.WriteTo(buf[:n], &ipv4.ControlMessage{Src: cm.Dst}, from)
		}
		return err
	})
	go echoAll(func(buf []byte) error {
		n, cm, from, err := p6.ReadFrom(buf)
		if err == nil && cm != nil {
			_, err = p6.WriteTo(buf[:n], &ipv6.ControlMessage{Src: cm.Dst}, from)
		}
		return err
	})
	return nil
}

// echoAll calls one until the socket is closed. A client that cannot be answered
// misses its answer.
func echoAll(one func(buf []byte) error) {
	for buf := make([]byte, 64); !errors.Is(one(buf), net.ErrClosed); {
	}
}

// requests are datagrams to one address, one each pause, of which each is to be
// answered.
type requests struct {
	conn net.Conn
	stop chan struct{}
	once sync.Once // of closing stop
	work sync.WaitGroup

	mu       sync.Mutex
	sent     []time.Time
	answered []bool
	news     chan struct{} // holds at most one: another answer has come
}

// startRequests begins them in a client's namespace.
func startRequests(client *space, to netip.Addr, pause time.Duration) (*requests, error) {
	r := &requests{stop: make(chan struct{}), news: make(chan struct{}, 1)}
	err := client.in(func() (err error) {
		r.conn, err = net.Dial("udp", netip.AddrPortFrom(to, echoPort).String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("starting requests to %s: %w", to, err)
	}
	r.work.Go(func() { r.send(pause) })
	r.work.Go(r.receive)
	return r, nil
}

func (r *requests) send(pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		r.mu.Lock()
		text := binary.BigEndian.AppendUint32(nil, uint32(len(r.sent)))
		r.sent, r.answered = append(r.sent, time.Now()), append(r.answered, false)
		r.mu.Unlock()
		_, _ = r.conn.Write(text) // what is not sent has no answer
		select {
		case <-r.stop:
			return
		case <-tick.C:
		}
	}
}

func (r *requests) receive() {
	for buf := make([]byte, 64); ; {
		n, err := r.conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n != 4 {
			continue
		}
		r.mu.Lock()
		if i := int(binary.BigEndian.Uint32(buf)); i < len(r.answered) {
			r.answered[i] = true
		}
		r.mu.Unlock()
		select {
		case r.news <- struct{}{}:
		default:
		}
	}
}

// answeredSince waits until so many requests that were sent after a time have been
// answered.
func (r *requests) answeredSince(ctx context.Context, at time.Time, n int) error {
	for {
		if r.count(at) >= n {
			return nil
		}
		select {
		case <-r.news:
		case <-ctx.Done():
			return fmt.Errorf("waiting for answers to requests to %s: %w", r.conn.RemoteAddr(), context.Cause(ctx))
		}
	}
}

func (r *requests) count(after time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for i, at := range r.sent {
		if r.answered[i] && at.After(after) {
			n++
		}
	}
	return n
}

// end ends them and returns the longest time for which none was answered.
func (r *requests) end() time.Duration {
	r.once.Do(func() { close(r.stop) })
	r.conn.Close()
	r.work.Wait()
	return longestGap(r.sent, r.answered)
}

// longestGap returns the longest time from the sending of an answered request to that
// of the next answered one, of those that have others between them. What was not
// answered in the end has no such time: it may be on its way.
func longestGap(sent []time.Time, answered []bool) time.Duration {
	var gap time.Duration
	last := -1
	for i, at := range sent {
		if !answered[i] {
			continue
		}
		if last >= 0 && last < i-1 {
			gap = max(gap, at.Sub(sent[last]))
		}
		last = i
	}
	return gap
}

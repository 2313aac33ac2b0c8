// SPDX-License-Identifier: Apache-2.0

package product

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
)

// lastAnswer is how long after the last datagram an answer may come.
const lastAnswer = 2 * time.Second

// Datagrams is a steady flow of UDP datagrams from a client to the lab's web app,
// which answers each with what was in it.
type Datagrams struct {
	cancel    context.CancelFunc
	done      chan struct{}
	conns     []net.Conn
	receivers sync.WaitGroup
	answered  chan struct{} // capacity 1: another answer has come

	mu      sync.Mutex
	sent    []datagram // its index is its number
	missing int
}

// datagram is one that was sent.
type datagram struct {
	at   time.Time
	flow int
	node string // that answered; empty: none has
}

// Delivery says what became of a number of datagrams.
type Delivery struct {
	// Sent datagrams, and how many of them had no answer.
	Sent, Lost int
	// ByNode counts the answers by the node that they came from.
	ByNode map[string]int
	// First and Last are when the first and the last of the lost were sent.
	First, Last time.Time
	// Gap is the longest time for which one flow lost all: from its last
	// datagram that was answered to the next one that was, or to its end.
	// Without a loss it is 0.
	Gap time.Duration

	sent []datagram
}

// StartDatagrams sends so many datagrams a second, in turn over flows that differ
// in their source port, until [Datagrams.Stop] or the end of ctx.
func StartDatagrams(ctx context.Context, c *lab.Client, to netip.AddrPort, flows, perSecond int) (*Datagrams, error) {
	d := &Datagrams{done: make(chan struct{}), answered: make(chan struct{}, 1)}
	for range flows {
		conn, err := c.Dial(ctx, "udp", to.String())
		if err != nil {
			d.close()
			return nil, fmt.Errorf("starting datagrams to %s: %w", to, err)
		}
		d.conns = append(d.conns, conn)
	}
	ctx, d.cancel = context.WithCancel(ctx)
	for _, conn := range d.conns {
		d.receivers.Go(func() { d.receive(conn) })
	}
	go func() {
		defer close(d.done)
		defer d.close()
		d.send(ctx, perSecond)
		d.lastAnswers()
	}()
	return d, nil
}

func (d *Datagrams) close() {
	for _, c := range d.conns {
		c.Close()
	}
	d.receivers.Wait()
}

// send keeps the rate also when the machine is busy: what is late is sent at once.
func (d *Datagrams) send(ctx context.Context, perSecond int) {
	pause := time.Second / time.Duration(perSecond)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	begin := time.Now()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for ; time.Since(begin) >= time.Duration(n)*pause; n++ {
			d.sendOne(n)
		}
	}
}

func (d *Datagrams) sendOne(n int) {
	flow := n % len(d.conns)
	d.mu.Lock()
	d.sent = append(d.sent, datagram{at: time.Now(), flow: flow})
	d.missing++
	d.mu.Unlock()
	text := binary.BigEndian.AppendUint32(nil, uint32(n))
	if _, err := d.conns[flow].Write(text); err != nil {
		// What the network has reported of an earlier one (ICMP) keeps this one
		// from being sent. If it fails again it is lost, and counts so.
		_, _ = d.conns[flow].Write(text)
	}
}

// receive takes answers until the connection is closed: a line of key=value, and
// the datagram's own text.
func (d *Datagrams) receive(conn net.Conn) {
	buf := make([]byte, 2048)
	for {
		n, err := conn.Read(buf)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil {
			continue // ICMP, about one that is lost
		}
		line, text, ok := bytes.Cut(buf[:n], []byte("\n"))
		node := answeredBy.FindSubmatch(line)
		if !ok || node == nil || len(text) != 4 {
			continue
		}
		d.note(int(binary.BigEndian.Uint32(text)), string(node[1]))
	}
}

func (d *Datagrams) note(n int, node string) {
	d.mu.Lock()
	if n < len(d.sent) && d.sent[n].node == "" {
		d.sent[n].node = node
		d.missing--
	}
	d.mu.Unlock()
	select {
	case d.answered <- struct{}{}:
	default:
	}
}

// lastAnswers returns when all have been answered, or lastAnswer is over.
func (d *Datagrams) lastAnswers() {
	over := time.After(lastAnswer)
	for {
		d.mu.Lock()
		missing := d.missing
		d.mu.Unlock()
		if missing == 0 {
			return
		}
		select {
		case <-d.answered:
		case <-over:
			return
		}
	}
}

// Sent returns how many datagrams have been sent so far.
func (d *Datagrams) Sent() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.sent)
}

// Past returns when n more datagrams have been sent than by now.
func (d *Datagrams) Past(ctx context.Context, n int) error {
	until := d.Sent() + n
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for d.Sent() < until {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-d.done:
			return errors.New("waiting for more datagrams: they have stopped")
		case <-tick.C:
		}
	}
	return nil
}

// Stop ends the flow and returns what became of it.
func (d *Datagrams) Stop() Delivery {
	d.cancel()
	<-d.done
	return d.between(0, d.Sent())
}

// between looks at the datagrams from number from to before number to.
func (d *Datagrams) between(from, to int) Delivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	return deliveryOf(append([]datagram(nil), d.sent[from:to]...))
}

func deliveryOf(sent []datagram) Delivery {
	out := Delivery{Sent: len(sent), ByNode: map[string]int{}, sent: sent}
	answered := map[int]time.Time{} // by flow: when the last answered one was sent
	losing := map[int]bool{}
	gap := func(flow int, until time.Time) {
		if losing[flow] {
			out.Gap = max(out.Gap, until.Sub(answered[flow]))
		}
	}
	for _, s := range sent {
		if _, known := answered[s.flow]; !known {
			answered[s.flow] = s.at
		}
		if s.node != "" {
			gap(s.flow, s.at)
			out.ByNode[s.node]++
			answered[s.flow], losing[s.flow] = s.at, false
			continue
		}
		losing[s.flow] = true
		out.Lost++
		if out.First.IsZero() {
			out.First = s.at
		}
		out.Last = s.at
	}
	for flow := range losing {
		gap(flow, out.Last)
	}
	return out
}

// LostPer counts the lost datagrams by the interval in which they were sent.
func (d Delivery) LostPer(interval time.Duration) []int {
	var out []int
	for _, s := range d.sent {
		at := int(s.at.Sub(d.sent[0].at) / interval)
		for len(out) <= at {
			out = append(out, 0)
		}
		if s.node == "" {
			out[at]++
		}
	}
	return out
}

// String says how many were lost, and when.
func (d Delivery) String() string {
	if d.Lost == 0 {
		return fmt.Sprintf("%d datagrams, none lost", d.Sent)
	}
	return fmt.Sprintf("%d of %d datagrams lost, at most %d ms in a flow; lost in each 100 ms: %v",
		d.Lost, d.Sent, d.Gap.Milliseconds(), d.LostPer(100*time.Millisecond))
}

// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"metallb.io/metallb-frr/pkg/plan"
)

// frame is what one card sent.
type frame struct {
	at   time.Time
	from *card
	to   MAC // zero: all
	msg  Message
}

// lan is an Ethernet in memory.
type lan struct {
	mu    sync.Mutex
	rng   *rand.Rand
	cards []*card
	log   []frame
	keep  bool // fill log
	loss  float64
	delay func() time.Duration // nil: none
	heard func(to *card, f frame)
}

// card is a station's interface. It is the wire of an Engine, or a client's.
type card struct {
	net     *lan
	name    string
	mac     MAC
	segment int // cards hear those of the same segment only
	wanted  map[netip.Addr]bool
	mu      sync.Mutex
	more    *sync.Cond
	queue   []Message
	closed  bool
	broken  error // of Receive
	wantErr error
	slow    time.Duration       // how long Want takes
	early   int                 // frames about addresses that were not wanted yet
	kernel  map[netip.Addr]bool // what the node's kernel answers for, as with IPVS
}

func newLAN(seed uint64) *lan { return &lan{rng: rand.New(rand.NewPCG(seed, 2))} }

func (l *lan) card(name string, mac MAC) *card {
	c := &card{net: l, name: name, mac: mac}
	c.more = sync.NewCond(&c.mu)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cards = append(l.cards, c)
	return c
}

func (c *card) Name() string { return c.name }
func (c *card) MAC() MAC     { return c.mac }

// send puts a frame on the LAN; the caller is not kept waiting.
func (c *card) send(to MAC, m Message) {
	l := c.net
	l.mu.Lock()
	defer l.mu.Unlock()
	m.MAC, m.Source, m.Unicast = c.mac, c.mac, to != MAC{}
	f := frame{at: time.Now(), from: c, to: to, msg: m}
	if l.keep {
		l.log = append(l.log, f)
	}
	for _, o := range l.cards {
		if o == c || o.segment != c.segment || to != (MAC{}) && to != o.mac || l.rng.Float64() < l.loss {
			continue
		}
		if l.delay == nil {
			o.deliver(f)
			continue
		}
		time.AfterFunc(l.delay(), func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			o.deliver(f)
		})
	}
}

// change changes something about the LAN or its cards.
func (l *lan) change(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do()
}

// deliver hands a frame to the card's owner.
func (c *card) deliver(f frame) {
	if c.net.heard != nil {
		c.net.heard(c, f)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kernel[f.msg.Addr] && f.msg.Kind != Claim {
		go c.send(f.msg.MAC, Message{Kind: Claim, Addr: f.msg.Addr, From: f.msg.Addr, Solicited: true})
	}
	if c.wanted[f.msg.Addr] && !c.closed {
		c.queue = append(c.queue, f.msg)
		c.more.Signal()
	}
}

func (c *card) Receive() (Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 && !c.closed && c.broken == nil {
		c.more.Wait()
	}
	if c.closed {
		return Message{}, net.ErrClosed
	}
	if c.broken != nil {
		return Message{}, c.broken
	}
	m := c.queue[0]
	c.queue = c.queue[1:]
	return m, nil
}

func (c *card) Answer(to Message) error {
	c.send(to.MAC, Message{Kind: Claim, Addr: to.Addr, From: to.Addr, Solicited: true})
	return nil
}

func (c *card) Announce(addr netip.Addr) error {
	c.mu.Lock()
	if !c.wanted[addr] {
		c.early++
	}
	c.mu.Unlock()
	c.send(MAC{}, Message{Kind: Claim, Addr: addr, From: addr, Gratuitous: true, Override: true})
	return nil
}

func (c *card) Ask(addr netip.Addr, to MAC) error {
	kind := Query
	if to == (MAC{}) {
		kind = Probe
	}
	c.send(to, Message{Kind: kind, Addr: addr})
	return nil
}

func (c *card) Want(addrs map[netip.Addr]bool) error {
	time.Sleep(c.slow)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = addrs
	return c.wantErr
}

func (c *card) Close() error {
	c.net.mu.Lock()
	for i, o := range c.net.cards {
		if o == c {
			c.net.cards = append(c.net.cards[:i:i], c.net.cards[i+1:]...)
			break
		}
	}
	c.net.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.more.Broadcast()
	return nil
}

// fail makes Receive return an error.
func (c *card) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = err
	c.more.Broadcast()
}

// node is one speaker in a test.
type node struct {
	t      testing.TB
	lan    *lan
	name   string
	links  []Link
	cards  map[string]*card
	engine *Engine
	mu     sync.Mutex
	events []Event
	fail   error // of opening a link
	rate   int   // Options.Rate
	slow   time.Duration
}

func mac(n byte) MAC { return MAC{2, 0, 0, 0, 0, n} }

var v4, v6 = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")

// newNode starts a speaker with one link, eth0.
func newNode(t testing.TB, l *lan, name string, m MAC) *node {
	t.Helper()
	n := &node{t: t, lan: l, name: name, links: []Link{{Name: "eth0", MAC: m, ARP: true, NDP: true}}, cards: map[string]*card{}}
	n.start()
	return n
}

func (n *node) start() {
	e, err := New(Options{Node: n.name, Period: DefaultPeriod, Rate: n.rate, open: n.open})
	if err != nil {
		n.t.Fatal(err)
	}
	n.engine = e
	go func() {
		for {
			select {
			case ev := <-e.Events():
				n.mu.Lock()
				n.events = append(n.events, ev)
				n.mu.Unlock()
			case <-e.done:
				return
			}
		}
	}()
}

func (n *node) open(l Link) (wire, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return nil, n.fail
	}
	c := n.lan.card(l.Name, l.MAC)
	n.cards[l.Name], c.slow = c, n.slow
	return c, nil
}

func (n *node) apply(speakers map[MAC]string, as ...plan.Announcement) {
	n.t.Helper()
	if err := n.engine.Apply(Desired{Announcements: as, Speakers: maps.Clone(speakers), Links: n.links}); err != nil {
		n.t.Errorf("node %s: %v", n.name, err)
	}
}

// took returns the kinds of the events since the last call.
func (n *node) took() []EventKind {
	n.mu.Lock()
	defer n.mu.Unlock()
	var kinds []EventKind
	for _, ev := range n.events {
		kinds = append(kinds, ev.Kind)
	}
	n.events = nil
	return kinds
}

// settle lets time pass.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// sent returns the frames of a card's MAC about an address since a time, and
// whether they meet a condition.
func (l *lan) sent(from MAC, since time.Time, that func(Message) bool) []frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []frame
	for _, f := range l.log {
		if f.from.mac == from && !f.at.Before(since) && that(f.msg) {
			out = append(out, f)
		}
	}
	return out
}

func unasked(m Message) bool { return m.Kind == Claim && m.Gratuitous }
func answers(m Message) bool { return m.Kind == Claim && !m.Gratuitous }
func asks(m Message) bool    { return m.Kind != Claim }

// pair are two speakers on one LAN, a with rank 0 and b with rank 1 for v4, and
// what each knows.
func pair(t *testing.T) (l *lan, a, b *node, speakers map[MAC]string) {
	l = newLAN(1)
	l.keep = true
	a, b = newNode(t, l, "a", mac(0xa)), newNode(t, l, "b", mac(0xb))
	return l, a, b, map[MAC]string{mac(0xa): "a", mac(0xb): "b"}
}

func ann(own, held bool, order ...string) plan.Announcement {
	return plan.Announcement{Addr: v4, Own: own, Held: held, Order: order}
}

func (n *node) is(s State) {
	n.t.Helper()
	if got := n.engine.Status(v4).State; got != s {
		n.t.Errorf("node %s: state %v, want %v", n.name, got, s)
	}
}

func (n *node) told(want ...EventKind) {
	n.t.Helper()
	if got := n.took(); !slices.Equal(got, want) {
		n.t.Errorf("node %s: events %v, want %v", n.name, got, want)
	}
}

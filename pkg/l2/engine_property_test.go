// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"metallb.io/metallb-frr/pkg/plan"
)

var (
	schedules = flag.Int("schedules", 10, "how many random schedules to run")
	firstSeed = flag.Uint64("seed", 1, "the seed of the first schedule")
)

const (
	// limit is how long there may be two owners that hear each other, or none.
	limit = time.Second
	// every is how often the clients ask; what they see is exact to that and to
	// the delay of question and answer.
	every = 20 * time.Millisecond
	slack = 2*every + 2*longest
	// longest is the longest delay of a frame.
	longest = 5 * time.Millisecond
)

// cluster is a set of speakers with their views of each other, which may be
// wrong and differ.
type cluster struct {
	t        *testing.T
	rng      *rand.Rand
	lan      *lan
	nodes    []*member
	addrs    []netip.Addr
	orders   map[netip.Addr][]string
	speakers map[MAC]string
	clients  [2]*card // one in each segment
	agenda   []task
	trace    []string
	begun    time.Time
	cut      bool      // the LAN is
	cutSince time.Time // when it was cut or healed last
	answers  map[place]map[MAC]bool
	none     map[place]time.Time // since when nobody answers
	two      map[both]time.Time  // since when two answer
	most     [2]time.Duration    // of none and two, the longest seen
	bad      string
	limit    time.Duration
	macs     int // handed out to nodes whose MAC changed
}

// place is where something is seen: one client's view of one address.
type place struct {
	client int
	addr   netip.Addr
}

// both are two that answer the same client.
type both struct {
	place
	a, b MAC
}

type task struct {
	at time.Time
	do func()
}

type member struct {
	*node
	up      bool
	part    int // of the membership: those of the same part see each other
	segment int // of the LAN
	sees    map[string]bool
	orders  map[netip.Addr][]string // as it knows them
	own     map[netip.Addr]time.Time
	stale   bool           // it does not learn of new orders
	knows   map[MAC]string // whose MACs are whose
}

func newCluster(t *testing.T, seed uint64, loss float64) *cluster {
	c := &cluster{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), lan: newLAN(seed), orders: map[netip.Addr][]string{}, speakers: map[MAC]string{},
		answers: map[place]map[MAC]bool{}, none: map[place]time.Time{}, two: map[both]time.Time{}, begun: time.Now(),
	}
	for i := range 4 {
		c.addrs = append(c.addrs, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
	}
	c.lan.loss, c.limit = loss, limit
	if loss > 0 {
		c.limit = limit * 3 / 2 // one that loses a frame does not hear the other
	}
	c.lan.delay = func() time.Duration { return time.Duration(c.lan.rng.Int64N(int64(longest))) }
	c.lan.heard = c.heard
	for i := range 2 + c.rng.IntN(4) {
		n := newNode(t, c.lan, fmt.Sprintf("n%d", i), mac(byte(10+i)))
		c.speakers[mac(byte(10+i))] = n.name
		c.nodes = append(c.nodes, &member{node: n, up: true, sees: map[string]bool{}, own: map[netip.Addr]time.Time{}})
	}
	for _, a := range c.addrs {
		c.orders[a] = c.shuffled()
	}
	for _, m := range c.nodes {
		m.orders, m.knows = maps.Clone(c.orders), maps.Clone(c.speakers)
		for _, o := range c.nodes {
			m.sees[o.name] = true
		}
	}
	for i := range c.clients {
		c.clients[i] = c.lan.card(fmt.Sprint("client", i), mac(byte(100+i)))
		c.clients[i].segment = i
	}
	return c
}

func (c *cluster) shuffled() []string {
	var names []string
	for _, m := range c.nodes {
		names = append(names, m.name)
	}
	c.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}

func (c *cluster) note(format string, args ...any) {
	c.trace = append(c.trace, fmt.Sprintf("%8.3f ", time.Since(c.begun).Seconds())+fmt.Sprintf(format, args...))
}

func (c *cluster) between(least, most int) time.Duration {
	return time.Duration(least+c.rng.IntN(most-least)) * time.Millisecond
}

func (c *cluster) later(d time.Duration, do func()) {
	c.agenda = append(c.agenda, task{time.Now().Add(d), do})
}

// apply has a node's engine follow what the node sees.
func (c *cluster) apply(m *member) {
	if !m.up {
		return
	}
	var as []plan.Announcement
	for _, a := range c.addrs {
		order := m.orders[a]
		best := order[slices.IndexFunc(order, func(n string) bool { return n == m.name || m.sees[n] })]
		own := best == m.name
		if !own {
			delete(m.own, a)
		} else if m.own[a].IsZero() {
			m.own[a] = time.Now()
		}
		as = append(as, plan.Announcement{Addr: a, Own: own, Order: order, Held: time.Since(c.begun) > time.Second})
	}
	m.apply(m.knows, as...)
	if card := m.cards["eth0"]; card != nil {
		c.segment(m)
	}
}

// segment puts a node's card into its segment.
func (c *cluster) segment(m *member) {
	c.lan.mu.Lock()
	defer c.lan.mu.Unlock()
	m.cards["eth0"].segment = m.segment
}

// alive is whether the membership of m would say that o lives.
func (c *cluster) alive(m, o *member) bool { return o.up && m.up && m.part == o.part }

// learn lets every node learn of the others as they are, each at its own time.
func (c *cluster) learn() {
	for _, m := range c.nodes {
		for _, o := range c.nodes {
			if m.sees[o.name] != c.alive(m, o) && m != o {
				c.later(c.between(50, 900), func() {
					m.sees[o.name] = c.alive(m, o)
					c.note("%s sees %s: %v", m.name, o.name, m.sees[o.name])
					c.apply(m)
				})
			}
		}
	}
}

// heard is called for all that a station hears, with the LAN's lock held.
func (c *cluster) heard(to *card, f frame) {
	for i, client := range c.clients {
		if to == client && answers(f.msg) {
			at := place{i, f.msg.Addr}
			if c.answers[at] == nil {
				c.answers[at] = map[MAC]bool{}
			}
			c.answers[at][f.from.mac] = true
		}
	}
}

// judge looks at the answers to a question asked at a time.
func (c *cluster) judge(at place, when time.Time, by map[MAC]bool) {
	if len(by) > 0 {
		delete(c.none, at)
	} else if c.none[at].IsZero() {
		c.none[at] = when
	}
	for pair := range c.two {
		if pair.place == at && !(by[pair.a] && by[pair.b]) {
			delete(c.two, pair)
		}
	}
	for a := range by {
		for b := range by {
			pair := both{at, a, b}
			if string(a[:]) >= string(b[:]) {
				continue
			}
			if c.two[pair].IsZero() {
				c.two[pair] = when
			}
			c.count(1, at, when.Sub(later(c.two[pair], c.cutSince)))
		}
	}
	if since := c.none[at]; !since.IsZero() {
		for _, m := range c.nodes {
			if own := m.own[at.addr]; m.up && m.segment == at.client && !own.IsZero() {
				c.count(0, at, when.Sub(later(later(since, own), c.cutSince)))
			}
		}
	}
}

func (c *cluster) count(what int, at place, long time.Duration) {
	c.most[what] = max(c.most[what], long)
	if long > c.limit+slack && c.bad == "" {
		c.bad = fmt.Sprintf("%s for %v: client %d, address %v", [...]string{"no owner", "two owners"}[what], long, at.client, at.addr)
		c.note("%s", c.bad)
		for _, m := range c.nodes {
			if m.up {
				c.note("  %s: own since %v, %+v", m.name, m.own[at.addr].Sub(c.begun), m.engine.Status(at.addr))
			}
		}
	}
}

// run lets faults happen for a while and clients ask all the time.
func (c *cluster) run(d time.Duration) {
	for _, m := range c.nodes {
		c.apply(m)
	}
	fault := time.Now().Add(3 * time.Second)
	for end := time.Now().Add(d); time.Now().Before(end) && c.bad == ""; {
		now := time.Now()
		due := c.agenda
		c.agenda = nil
		for _, t := range due {
			if t.at.After(now) {
				c.agenda = append(c.agenda, t)
			} else {
				t.do()
			}
		}
		if now.After(fault) {
			fault = now.Add(c.between(20, 4000))
			c.fault()
		}
		c.lan.mu.Lock()
		clear(c.answers)
		c.lan.mu.Unlock()
		for _, client := range c.clients {
			for _, a := range c.addrs {
				client.send(MAC{}, Message{Kind: Query, Addr: a, From: netip.MustParseAddr("192.0.2.200")})
			}
		}
		time.Sleep(every)
		c.lan.mu.Lock()
		seen := maps.Clone(c.answers)
		c.lan.mu.Unlock()
		for i := range c.clients {
			for _, a := range c.addrs {
				c.judge(place{i, a}, now, seen[place{i, a}])
			}
		}
	}
}

// TestRandomSchedules: whatever happens to the membership, the LAN, the nodes
// and what they know, there are never two owners that hear each other for over a
// second, and never none for over a second while a node that can be heard is to
// be the owner. Judged by what clients see.
func TestRandomSchedules(t *testing.T) {
	for _, loss := range []float64{0, 0.01} {
		var most [2]time.Duration
		for i := range *schedules {
			seed := *firstSeed + uint64(i)
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, seed, loss)
				c.run(40 * time.Second)
				for _, m := range c.nodes {
					m.engine.Close()
				}
				if c.bad != "" {
					t.Errorf("seed %d, loss %v: %s\n%s", seed, loss, c.bad, strings.Join(c.trace, "\n"))
				}
				most[0], most[1] = max(most[0], c.most[0]), max(most[1], c.most[1])
				time.Sleep(longest)
			})
			if t.Failed() {
				return
			}
		}
		t.Logf("loss %v: at most %v without an owner, %v with two", loss, most[0], most[1])
	}
}

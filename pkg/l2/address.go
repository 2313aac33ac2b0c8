// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"metallb.io/metallb-frr/pkg/plan"
)

// State is what this node does about an address.
type State uint8

const (
	// Idle: nothing; another node's, or no link to answer on.
	Idle State = iota
	// Asking: ours if the network says nothing to the question who has it.
	Asking
	// Owner: answered and announced.
	Owner
	// Releasing: another node's now; answered until that one is heard.
	Releasing
	// Yielded: ours by what the cluster says, but a speaker that comes before us
	// has it; that one is asked, and the address taken back when it is silent.
	Yielded
	// Foreign: a station that is no speaker has it; asked for again later.
	Foreign
)

// String returns the name of the state.
func (s State) String() string {
	names := [...]string{"idle", "asking", "owner", "releasing", "yielded", "foreign"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// address is all that is known of one address. What readers of frames use is
// atomic; the rest belongs to Engine.mu.
type address struct {
	addr   netip.Addr
	counts Counts
	// answer are the ports that questions are answered on; nil: none.
	answer atomic.Pointer[[]*port]
	// handing: other speakers' questions are left alone, so that they take over.
	handing atomic.Bool
	// yielded: the State is Yielded.
	yielded atomic.Bool

	present bool   // in the set
	seen    uint64 // the last reconciliation that it was in
	linked  uint64 // Engine.linked when ports were chosen
	want    plan.Announcement
	rank    int      // ours in want.Order; behind all when not in it
	ports   []*port  // in the order of their names
	choice  *[]*port // where ports is from, for answer
	state   State
	since   time.Time // Desired.Since of when it became ours
	ours    bool      // we had it last, and left it to nobody

	step    time.Time // when the state wants something done; zero: never
	stepPos int       // place in Engine.steps; -1: not in it
	probes  int       // sent while Asking
	until   time.Time // Releasing: to the end of the handover; zero: no end
	heir    MAC       // Releasing: who has answered a question
	suspect bool      // while Asking, speakers' nodes answered that do not claim

	say    time.Time // the next announcement; zero: none
	sayPos int
	first  bool            // the next announcement is the first
	told   EventKind       // what to report with it
	round  int             // announcements since begun
	begun  time.Time       // when the announcements of rounds began
	rounds []time.Duration // their times, from begun

	claimer MAC       // who last claimed it unasked
	claimed time.Time // when
	spoke   time.Time // when we last did

	rivals   []rival   // who contest it while we own it; at most maxRivals
	defended time.Time // when it was defended last, or is to be next

	winner     MAC // Yielded: to whom
	winnerNode string
	winnerPort *port
	asked      bool // the winner was asked and has not answered since
	misses     int

	stranger MAC           // Foreign: who has it
	backoff  time.Duration // until it is asked for again

	watched string // the node whose watch it is in; "": none
	watchAt int    // its place there
	ownedAt int    // its place in Engine.owned, from 1; 0: not in it
}

// rival is a station that contests an address.
type rival struct {
	mac      MAC
	since    time.Time
	last     time.Time
	defences int
}

// before reports whether a node comes before ours for the address.
func (a *address) before(node string) bool {
	i := slices.Index(a.want.Order, node)
	return i >= 0 && i < a.rank
}

// on reports whether questions on a port are answered; it takes no lock.
func (a *address) on(p *port) bool {
	ports := a.answer.Load()
	return ports != nil && slices.Contains(*ports, p)
}

// same reports whether two announcements are the same; slices that are the same
// memory are not read.
func same(a, b *plan.Announcement) bool {
	return a.Addr == b.Addr && a.Own == b.Own && a.Held == b.Held && (a.Links == nil) == (b.Links == nil) &&
		equal(a.Order, b.Order) && equal(a.Links, b.Links)
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	return len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b)
}

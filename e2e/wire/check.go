// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	defaultLimit = time.Second
	defaultApart = 500 * time.Millisecond
)

// Rule is what [Record.Check] holds a record against.
type Rule struct {
	Addr netip.Addr
	// Client is the machine whose neighbour cache is followed, as in
	// [Record.View].
	Client MAC
	// Limit is how long each violation may last; 0 is 1 s.
	Limit time.Duration
	// Apart is as in [Record.Tenures]; 0 is 500 ms.
	Apart time.Duration
}

// Reason says which promise was broken.
type Reason string

// The reasons.
const (
	// TwoOwners: two machines claimed the address at the same time. Both were on
	// the network that was captured, so each could hear the other.
	TwoOwners Reason = "TwoOwners"
	// NoOwner: nobody answered, or not the one that the client was told of.
	NoOwner Reason = "NoOwner"
	// NotAsked: nobody asked for the address, so the record shows nothing.
	NotAsked Reason = "NotAsked"
)

// A Violation is a time over which a promise was broken.
type Violation struct {
	Reason      Reason
	Addr        netip.Addr
	From, Until time.Time
	Members     []string // of TwoOwners, the two; of NoOwner, whom the client asked
}

// String returns what was broken, when, for how long and by whom.
func (v Violation) String() string {
	return fmt.Sprintf("%s of %s for %s from %s: %s", v.Reason, v.Addr,
		v.Until.Sub(v.From).Round(time.Millisecond), v.From.Format("15:04:05.000"), strings.Join(v.Members, ", "))
}

// Check returns, in the order of time, the violations from one time to another that
// lasted for over the limit. The address must be asked for by somebody other than
// the client at least twice in each limit, and the capture must not have ended
// before until. Times are those that are certain: from the first question that
// shows the violation, or the first claim, to the last.
func (r Record) Check(rule Rule, from, until time.Time) []Violation {
	if rule.Limit == 0 {
		rule.Limit = defaultLimit
	}
	of := r.Of(rule.Addr)
	tenures := of.Tenures(rule.Addr, rule.Apart)
	out := of.unasked(rule, from, until)
	out = append(out, twoOwners(rule, tenures, from, until)...)
	out = append(out, of.noOwner(rule, tenures, from, until)...)
	slices.SortStableFunc(out, func(a, b Violation) int { return a.From.Compare(b.From) })
	return out
}

// asked returns when somebody asked everybody for the address.
func (r Record) asked(addr netip.Addr) []time.Time {
	var out []time.Time
	for _, f := range r {
		if f.Kind == Query && f.Addr == addr && f.Dst.Multicast() {
			out = append(out, f.Time)
		}
	}
	return out
}

func (r Record) unasked(rule Rule, from, until time.Time) []Violation {
	var out []Violation
	last := from
	for _, t := range append(r.Between(from, until).asked(rule.Addr), until) {
		if t.Sub(last) > rule.Limit/2 {
			out = append(out, Violation{NotAsked, rule.Addr, last, t, nil})
		}
		last = t
	}
	return out
}

// twoOwners compares every tenure with the later ones of others. A member may claim
// for several interfaces.
func twoOwners(rule Rule, tenures []Tenure, from, until time.Time) []Violation {
	var out []Violation
	for i, a := range tenures {
		for _, b := range tenures[i+1:] {
			if b.From.After(a.Until) {
				break // and all after it
			}
			both := span{later(b.From, from), earlier(earlier(a.Until, b.Until), until)}
			if a.Who() != b.Who() && both.long() > rule.Limit {
				out = append(out, Violation{TwoOwners, rule.Addr, both.from, both.until, []string{a.Who(), b.Who()}})
			}
		}
	}
	return out
}

// noOwner looks for the times at which nobody served the client.
func (r Record) noOwner(rule Rule, tenures []Tenure, from, until time.Time) []Violation {
	view := r.View(rule.Addr, rule.Client)
	asked := r.asked(rule.Addr)
	var out []Violation
	at := from
	for _, s := range append(served(view, tenures), span{until, until}) {
		hole := span{at, earlier(s.from, until)}
		at = later(at, s.until)
		// What comes before the first question without an answer is not certain.
		i, _ := slices.BinarySearchFunc(asked, hole.from, compareAfter)
		if i == len(asked) {
			break
		}
		hole.from = asked[i]
		if hole.long() > rule.Limit {
			out = append(out, Violation{NoOwner, rule.Addr, hole.from, hole.until, whom(view, hole.until)})
		}
	}
	return out
}

// compareAfter puts a time that equals the target before it.
func compareAfter(t, target time.Time) int { return cmp.Or(t.Compare(target), -1) }

// whom returns whom the client took for the owner just before a time.
func whom(view Record, until time.Time) []string {
	var out []string
	for _, f := range view {
		if f.Time.Before(until) {
			out = []string{f.Who()}
		}
	}
	return out
}

// served returns when the machine that the client takes for the owner claims the
// address, in the order of time. A client that knows of none asks, so any will do.
func served(view Record, tenures []Tenure) []span {
	var out []span
	add := func(within span, match func(Tenure) bool) {
		for _, t := range tenures {
			s := span{later(within.from, t.From), t.Until}
			if !within.until.IsZero() {
				s.until = earlier(s.until, within.until)
			}
			if match(t) && !s.until.Before(s.from) {
				out = append(out, s)
			}
		}
	}
	known := span{}
	if len(view) > 0 {
		known.until = view[0].Time
	}
	add(known, func(Tenure) bool { return true })
	for i, f := range view {
		s := span{from: f.Time}
		if i+1 < len(view) {
			s.until = view[i+1].Time
		}
		add(s, func(t Tenure) bool { return t.MAC == f.MAC })
	}
	slices.SortFunc(out, func(a, b span) int { return a.from.Compare(b.from) })
	return out
}

type span struct{ from, until time.Time }

func (s span) long() time.Duration { return s.until.Sub(s.from) }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

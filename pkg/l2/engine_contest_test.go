// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestDisagreement: two that each think they come first, or that the other does,
// end with one owner within a second, and it stays.
func TestDisagreement(t *testing.T) {
	for _, row := range []struct {
		name   string
		orders [2][]string
		known  [2]bool // whether a knows b's MAC, b a's
		within time.Duration
	}{
		{"each itself", [2][]string{{"a", "b"}, {"b", "a"}}, [2]bool{true, true}, 990 * time.Millisecond},
		{"each the other", [2][]string{{"b", "a"}, {"a", "b"}}, [2]bool{true, true}, 300 * time.Millisecond},
		{"the other is no candidate", [2][]string{{"a"}, {"b"}}, [2]bool{true, true}, 990 * time.Millisecond},
		{"one does not know the other", [2][]string{{"a", "b"}, {"a", "b"}}, [2]bool{false, true}, 990 * time.Millisecond},
		{"the other does not know the one", [2][]string{{"a", "b"}, {"a", "b"}}, [2]bool{true, false}, 990 * time.Millisecond},
		{"the one does not know the first", [2][]string{{"b", "a"}, {"b", "a"}}, [2]bool{false, true}, 990 * time.Millisecond},
		{"neither knows the other", [2][]string{{"a", "b"}, {"a", "b"}}, [2]bool{false, false}, 990 * time.Millisecond},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, a, b, _ := pair(t)
				l.delay = func() time.Duration { return time.Duration(l.rng.Int64N(int64(longest))) }
				for i, n := range []*node{a, b} {
					knows := map[MAC]string{}
					if row.known[i] {
						knows = map[MAC]string{mac(0xa): "a", mac(0xb): "b"}
					}
					n.apply(knows)
					n.apply(knows, ann(true, true, row.orders[i]...))
				}
				settle(row.within)
				for range 100 {
					x, y := a.engine.Status(v4).State, b.engine.Status(v4).State
					if (x == Owner) == (y == Owner) {
						t.Fatalf("a is %v, b is %v", x, y)
					}
					settle(40 * time.Millisecond)
				}
				a.engine.Close()
				b.engine.Close()
				settle(longest)
			})
		})
	}
}

// TestLastWord: a speaker that was not told yet that an address is another's defends
// it. Once it is told, the other has the last word with the neighbours again no later
// than after as long as that took, or 25 ms.
func TestLastWord(t *testing.T) {
	for _, late := range []time.Duration{3 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond, 70 * time.Millisecond, 150 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			l, a, b, speakers := pair(t)
			l.delay = func() time.Duration { return time.Duration(l.rng.Int64N(int64(time.Millisecond))) }
			b.apply(speakers, ann(true, true, "b", "a"))
			settle(20 * time.Second)
			since := time.Now()
			a.apply(speakers, ann(true, true, "a", "b"))
			settle(2 * time.Millisecond)
			b.cards["eth0"].send(MAC{}, claimBy(mac(0xb))) // the second frame of its defence
			settle(late - 2*time.Millisecond)
			b.apply(speakers, ann(false, true, "a", "b"))
			told := time.Now()
			settle(max(late, defendSoon) + 5*time.Millisecond)
			ours, theirs := l.sent(mac(0xa), since, unasked), l.sent(mac(0xb), since, unasked)
			if len(ours) == 0 || len(theirs) == 0 {
				t.Fatalf("told %v late: %d announcements of the one, %d of the other; want some of both", late, len(ours), len(theirs))
			}
			if last, other := ours[len(ours)-1].at, theirs[len(theirs)-1].at; !last.After(other) || other.After(told) {
				t.Errorf("told %v late: the other one has the last word, %v after it was told, and the one %v", late, other.Sub(told), last.Sub(told))
			}
			a.is(Owner)
			a.engine.Close()
			b.engine.Close()
			settle(longest)
		})
	}
}

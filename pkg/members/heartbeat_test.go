// SPDX-License-Identifier: Apache-2.0

package members

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestManyDieAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ n, die int }{{3, 2}, {4, 3}, {12, 7}} {
		t.Run(fmt.Sprintf("%d of %d", c.die, c.n), func(t *testing.T) {
			all := cluster(t, c.n, nil)
			for _, m := range all[:c.die] {
				m.off.Store(true)
			}
			start := time.Now()
			converge(t, all[c.die:], all[c.die:])
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("took %v: that was memberlist's own probing", took)
			} else {
				t.Log(took)
			}
		})
	}
}

func TestAPauseIsForgiven(t *testing.T) {
	t.Parallel()
	all := cluster(t, 5, nil)
	all[0].off.Store(true)
	times(t, all[1:], all[0].name, false)
	all[0].off.Store(false)
	seen := times(t, all[1:], all[0].name, true)
	t.Log("all hear of it after", slices.Max(seen))
	converge(t, all, all)
	stays(t, all, all[0].name, 2*life)
}

// TestOneAccuserConvincesNobody: two members do not reach one another, whatever
// the reason; the others do.
func TestOneAccuserConvincesNobody(t *testing.T) {
	t.Parallel()
	all := cluster(t, 5, nil)
	for i, m := range all[:2] {
		cut := all[1-i].addr
		wall := func(a netip.Addr) bool { return a == cut }
		m.wall.Store(&wall)
	}
	stays(t, all, all[0].name, 2*time.Second)
	stays(t, all, all[1].name, time.Second)
}

// TestOneWithoutHeartbeats: a speaker of MetalLB sends none, and gets none.
func TestOneWithoutHeartbeats(t *testing.T) {
	t.Parallel()
	all := cluster(t, 2, probing)
	other := begin(t, "other", newHost(), func(o *Options) {
		probing(o)
		o.Tuning.Heartbeat, o.Tuning.Silence = 0, 0
	})
	now := append(slices.Clone(all), other)
	for _, m := range now {
		m.Join(addresses(now))
	}
	converge(t, now, now)
	stays(t, all, other.name, 4*LAN().Silence)
	all[0].mu.Lock()
	_, watched := all[0].watch.heard[other.name]
	all[0].mu.Unlock()
	if watched {
		t.Error("it is watched although it never sends")
	}
	other.off.Store(true)
	times(t, all, other.name, false) // by memberlist
	// It is replaced by one that does, before anybody noticed.
	other = begin(t, "other", newHost(), probing)
	now = append(slices.Clone(all), other)
	for _, m := range now {
		m.Join(addresses(now))
	}
	converge(t, now, now)
	other.off.Store(true)
	seen := times(t, all, other.name, false)
	t.Log(slices.Max(seen))
}

// TestWatchersAgreeOnTheRing: whom a member sends to is who watches it.
func TestWatchersAgreeOnTheRing(t *testing.T) {
	all := cluster(t, 12, nil)
	for _, m := range all {
		var want []string
		for _, w := range all {
			w.mu.Lock()
			if _, ok := w.watch.heard[m.name]; ok {
				want = append(want, w.name)
			}
			w.mu.Unlock()
		}
		var got []string
		until(t, func() bool {
			m.mu.Lock()
			defer m.mu.Unlock()
			got = m.watchersOf(m.name)
			return len(got) == watchers
		}, "it has watchers")
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s sends to %v and is watched by %v", m.name, got, want)
		}
	}
}

// TestOurOwnPauseAccusesNobody: what we did not hear while we did not run is not
// silence.
func TestOurOwnPauseAccusesNobody(t *testing.T) {
	now := time.Now()
	w := newWatch()
	w.heard["old"], w.heard["new"] = now.Add(-700*time.Millisecond), now.Add(-100*time.Millisecond)
	w.excuse(600*time.Millisecond, now)
	if quiet := now.Sub(w.heard["old"]); quiet != 100*time.Millisecond {
		t.Errorf("it counts as silent for %v", quiet)
	}
	if quiet := now.Sub(w.heard["new"]); quiet != 0 {
		t.Errorf("heard in %v", -quiet)
	}
}

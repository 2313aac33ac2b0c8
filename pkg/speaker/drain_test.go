// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"testing"
	"testing/synctest"
	"time"
)

// drainStep is a pass of the loop, at a time since the beginning.
type drainStep struct {
	at         time.Duration
	leaving    bool
	announcing bool // as FRR did before the pass
	fails      bool // FRR does not answer
	marking    bool // what is to come of it
}

// Over any course of events a node that is to be out of service ends there, one
// wait after FRR has the mark, and one that is wanted is there at once.
func TestDrainClock(t *testing.T) {
	const wait, ms = time.Second, time.Millisecond
	for _, row := range []struct {
		name  string
		wait  time.Duration
		steps []drainStep
		due   time.Duration // when a pass is called for; 0: never
	}{
		{"in service", wait, []drainStep{{0, false, true, false, false}}, 0},
		{"leaves", wait, []drainStep{{0, false, true, false, false}, {10 * ms, true, true, false, true}}, 1010 * ms},
		{"leaves and is gone", wait, []drainStep{{0, true, true, false, true}, {time.Second, true, true, false, false}, {2 * time.Second, true, false, false, false}}, 0},
		{"other passes meanwhile", wait, []drainStep{{0, true, true, false, true}, {300 * ms, true, true, false, true}, {999 * ms, true, true, false, true}}, time.Second},
		{"a pass that is late", wait, []drainStep{{0, true, true, false, true}, {5 * time.Second, true, true, false, false}}, 0},
		{"announced nothing", wait, []drainStep{{0, true, false, false, false}, {10 * ms, true, true, false, false}}, 0},
		{"no wait", 0, []drainStep{{0, true, true, false, false}}, 0},
		{"FRR is away when it leaves", wait, []drainStep{{0, true, true, true, true}, {3 * time.Second, true, true, true, true}, {4 * time.Second, true, true, false, true}}, 5 * time.Second},
		{"FRR goes away while it waits", wait, []drainStep{{0, true, true, false, true}, {500 * ms, true, true, true, true}, {1200 * ms, true, true, false, false}}, 0},
		{"wanted back while it waits", wait, []drainStep{{0, true, true, false, true}, {500 * ms, false, true, false, false}}, 0},
		{"wanted back while FRR is away", wait, []drainStep{{0, true, true, true, true}, {500 * ms, false, true, false, false}}, 0},
		{"back, and leaves again", wait, []drainStep{{0, true, true, false, true}, {500 * ms, false, true, false, false}, {600 * ms, true, true, false, true}}, 1600 * ms},
		{"back from outside, and leaves again", wait, []drainStep{{0, true, true, false, true}, {time.Second, true, true, false, false}, {2 * time.Second, false, false, false, false}, {2100 * ms, true, true, false, true}}, 3100 * ms},
		{"back and gone before it announced", wait, []drainStep{{0, true, false, false, false}, {100 * ms, false, false, true, false}, {200 * ms, true, false, false, false}}, 0},
		{"flaps", wait, []drainStep{{0, true, true, false, true}, {ms, false, true, false, false}, {2 * ms, true, true, false, true}, {3 * ms, false, true, false, false}, {4 * ms, true, true, false, true}}, 1004 * ms},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runDrain(t, row.wait, row.steps, row.due) })
		})
	}
}

func runDrain(t *testing.T, wait time.Duration, steps []drainStep, due time.Duration) {
	t.Helper()
	began := time.Now()
	d := newDrain(wait)
	for _, s := range steps {
		time.Sleep(time.Until(began.Add(s.at)))
		select { // the loop takes what is due, and one pass serves all
		case <-d.Due():
		default:
		}
		if marking := d.next(s.leaving, s.announcing); marking != s.marking {
			t.Fatalf("at %v: marking %t, want %t", s.at, marking, s.marking)
		}
		if !s.fails {
			d.applied()
		}
	}
	never := time.After(time.Hour)
	select {
	case <-d.Due():
		if at := time.Since(began); at != due {
			t.Errorf("a pass is due after %v, want %v (0: never)", at, due)
		}
		if last := steps[len(steps)-1]; d.next(last.leaving, last.announcing) {
			t.Error("still marking when the wait is over")
		}
	case <-never:
		if due != 0 {
			t.Errorf("no pass is due, want one after %v", due)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
	"metallb.io/metallb-frr/pkg/members"
)

const (
	splitLimit = 90 * time.Second // of one schedule
	// splitLength is about how long the speakers are cut off from each other, in
	// turns.
	splitLength = 8 * time.Second
	// splitFirst is how long the first cut lasts at least: each takes the others
	// for dead by then.
	splitFirst = 2 * time.Second
	// splitHealed is how long it is watched how all is well again.
	splitHealed = 4 * time.Second
)

// A split is what does not get through for a time.
type split struct {
	lasts  time.Duration
	groups [][]int // nodes whose speakers do not hear those of other groups; nodes in none hear all
	dark   []int   // nodes without the API server
}

func (s split) String() string {
	var parts []string
	for _, g := range s.groups {
		parts = append(parts, names(g))
	}
	text := "all hear each other"
	if len(parts) > 0 {
		text = strings.Join(parts, " | ")
	}
	if len(s.dark) > 0 {
		text += ", no API server for " + names(s.dark)
	}
	return fmt.Sprintf("%s for %s", text, s.lasts)
}

func names(nodes []int) string {
	var out []string
	for _, n := range nodes {
		out = append(out, everywhere[n])
	}
	return strings.Join(out, " ")
}

// splitsOf draws a schedule. Its first split is one in which nobody hears some node,
// for long enough to be noticed.
func splitsOf(seed uint64) []split {
	rng := rand.New(rand.NewPCG(seed, 0))
	var out []split
	for total := time.Duration(0); total < splitLength; {
		s := split{lasts: time.Duration(1+rng.IntN(30)) * 100 * time.Millisecond}
		odd := rng.IntN(3)
		one, others := []int{odd}, []int{(odd + 1) % 3, (odd + 2) % 3}
		kinds := [][][]int{{one, others}, {{0}, {1}, {2}}, {others[:1], others[1:]}, nil}
		if len(out) == 0 {
			kinds = kinds[:2]
			s.lasts += splitFirst
		}
		s.groups = kinds[rng.IntN(len(kinds))]
		if rng.IntN(2) == 0 {
			for n := range everywhere {
				if rng.IntN(2) == 0 {
					s.dark = append(s.dark, n)
				}
			}
		}
		total += s.lasts
		out = append(out, s)
	}
	return out
}

// splitSeeds are one for each schedule. METALLB_SEED=<seed> draws one again.
func splitSeeds(t *testing.T) []uint64 {
	t.Helper()
	if text := os.Getenv("METALLB_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("METALLB_SEED=%s: %v", text, err)
		}
		return []uint64{seed}
	}
	out := make([]uint64, 3)
	if os.Getenv("METALLB_SOAK") != "" {
		out = make([]uint64, 50)
	}
	for i := range out {
		out[i] = rand.Uint64N(1e9)
	}
	return out
}

// Speakers that do not hear each other, though their nodes share a network, take each
// other for dead and claim each other's addresses. What they hear on the network ends
// it: at no time has an address two owners for over a second, nor none, while the API
// server comes and goes.
func TestSplits(t *testing.T) {
	setUp, w := begin(t)
	ns := w.namespace(t, setUp)
	want := w.spread(t, setUp, ns)
	t.Cleanup(func() { w.heal(t) })
	for _, seed := range splitSeeds(t) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), splitLimit, errors.New("the schedule took too long"))
			defer cancel()
			schedule := splitsOf(seed)
			t.Logf("METALLB_SEED=%d: %v", seed, schedule)
			for try := 1; ; try++ {
				watch := w.lanWatch(t, keys(want)...)
				w.owned(t, ctx, watch, time.Now(), want)
				from := w.asked(t, ctx, watch, time.Now())
				w.splits(t, ctx, watch, schedule)
				w.owned(t, ctx, watch, time.Now(), want)
				j := w.judge(t, ctx, watch, want, span{from: from})
				if j.asleep() && try < 3 { // the machine was too busy to ask, and nothing is known
					t.Log("once more: ", j)
					continue
				}
				j.report(t)
				if j.others == 0 {
					t.Error("nobody but its owner ever claimed an address: nobody was cut off")
				}
				return
			}
		})
	}
}

// splits goes through a schedule, and some seconds further.
func (w *world) splits(t *testing.T, ctx context.Context, watch *lab.Watch, schedule []split) {
	t.Helper()
	for _, s := range append(schedule, split{lasts: splitHealed}) {
		var groups [][]*lab.Node
		for _, g := range s.groups {
			groups = append(groups, w.nodes(g))
		}
		if err := w.Partition(ctx, members.DefaultPort, groups...); err != nil {
			t.Fatal(err)
		}
		dark := map[int]bool{}
		for _, n := range s.dark {
			dark[n] = true
		}
		for i, n := range w.Nodes() {
			change := w.HealAPIServer
			if dark[i] {
				change = w.CutAPIServer
			}
			if err := change(ctx, n); err != nil {
				t.Fatal(err)
			}
		}
		at := time.Now()
		t.Logf("%s %s", at.Format("15:04:05.000"), s)
		w.asked(t, ctx, watch, at.Add(s.lasts))
	}
}

func (w *world) nodes(indexes []int) []*lab.Node {
	var out []*lab.Node
	for _, i := range indexes {
		out = append(out, w.Node(i))
	}
	return out
}

// heal undoes all splits, and waits until the nodes are Ready.
func (w *world) heal(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := errors.Join(w.Partition(ctx, members.DefaultPort), w.HealAPIServer(ctx), w.WaitReady(ctx, time.Now()))
	if err != nil {
		t.Errorf("healing the cluster: %v", err)
	}
}

// asked waits until the watch has asked at or after a time, and returns when.
func (w *world) asked(t *testing.T, ctx context.Context, watch *lab.Watch, after time.Time) time.Time {
	t.Helper()
	at, err := watch.Asked(ctx, after)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// spread makes Services with addresses of both families such that each node is
// elected for some of each, and returns who is for which. Their endpoints are written
// by hand, on all nodes: nobody takes them away while the API server is out of reach.
func (w *world) spread(t *testing.T, ctx context.Context, ns string) owners {
	t.Helper()
	want := owners{}
	config := heldPool
	for i, n := range everywhere {
		for k := range 2 {
			other := everywhere[(i+k)%len(everywhere)] // has the IPv6 address
			a4, a6 := elected(n, lab.Free4)[k], elected(other, lab.Free6)[k]
			want[a4], want[a6] = n, other
			config += plainDual(ns, fmt.Sprintf("s%d%d", i, k), a4, a6)
		}
	}
	w.apply(t, ctx, config)
	return want
}

// owned waits until all is as it should be, and returns when it was.
func (w *world) owned(t *testing.T, ctx context.Context, watch *lab.Watch, after time.Time, want owners) time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	at, err := product.Owned(ctx, w.Lab, watch.Capture, after, want)
	if err != nil {
		t.Fatalf("%v; heard at last:\n%s", err, lines(watch.Record().Between(time.Now().Add(-2*time.Second), time.Now())))
	}
	return at
}

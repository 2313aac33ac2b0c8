// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"maps"
	"math/rand"
	"net/netip"
	"slices"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/intent"
)

// TestRollback deletes all pools of a random world one by one and applies them
// again in another order, with everything decided and written in between: then
// every Service has the addresses that it had before.
func TestRollback(t *testing.T) {
	seeds := 300
	if testing.Short() {
		seeds = 50
	}
	moved := 0
	for seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			w := newWorld(t, int64(seed))
			for range 20 + w.Intn(20) {
				w.happen()
				w.assign(0)
			}
			w.see()
			w.now = w.now.Add(time.Hour)
			for range 3 { // nothing is to change any more
				w.assign(0)
				w.see()
			}
			before, was := w.held(), maps.Clone(w.services)
			pools := maps.Clone(w.pools)
			names := slices.Sorted(maps.Keys(pools))
			w.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
			for _, name := range names {
				delete(w.pools, name)
				w.decide(&moved)
			}
			for _, k := range slices.SortedFunc(maps.Keys(w.services), intent.Key.Compare) {
				if s := w.services[k]; len(s.Addresses) > 0 {
					t.Errorf("%s has %v without a pool", k, s.Addresses)
				}
			}
			w.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
			for _, name := range names {
				p := *pools[name]
				p.Created = w.now
				w.pools[name] = &p
				w.decide(&moved)
			}
			after := w.held()
			for _, k := range slices.SortedFunc(maps.Keys(before), intent.Key.Compare) {
				if !slices.Equal(before[k], after[k]) {
					t.Errorf("%s had %v and has %v, remembers %v\nbefore: %+v\nafter: %+v", k, before[k], after[k], w.services[k].Last, *was[k], *w.services[k])
				}
			}
		})
		if t.Failed() {
			return
		}
	}
	if moved == 0 {
		t.Error("no Service got another address in between: the test tries too little")
	}
}

// decide assigns, writes and sees it, ten seconds later.
func (w *world) decide(moved *int) {
	w.now = w.now.Add(10 * time.Second)
	for _, o := range w.assign(0) {
		if len(o.Addresses) > 0 && len(o.Remember) > 0 {
			*moved++
		}
	}
	w.see()
}

func (w *world) held() map[intent.Key][]netip.Addr {
	held := map[intent.Key][]netip.Addr{}
	for k, s := range w.services {
		held[k] = s.Addresses
	}
	return held
}

func newWorld(t *testing.T, seed int64) *world {
	w := &world{Rand: rand.New(rand.NewSource(seed)), t: t, now: epoch, owners: make([]string, len(blocks)),
		services: map[intent.Key]*intent.Service{}, assumed: map[intent.Key][]netip.Addr{}, written: map[intent.Key]*intent.Service{}}
	w.editPools()
	return w
}

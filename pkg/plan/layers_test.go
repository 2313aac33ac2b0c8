// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"maps"
	"math/rand/v2"
	"testing"
)

// Over any history of changed copies, each copy holds what a map with the same
// history holds, also after later copies were changed.
func TestLayeredIsAMap(t *testing.T) {
	type version struct {
		got  layered[int, int]
		want map[int]int
	}
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 3))
		keys := []int{20, 2 * layerLimit, 8 * layerLimit}[seed%3]
		versions := []version{{want: map[int]int{}}}
		layers := 0
		for range 4 * layerLimit {
			last := versions[len(versions)-1]
			next := version{last.got.clone(), maps.Clone(last.want)}
			n := 1 + r.IntN(3)
			if r.IntN(100) == 0 {
				n = keys / 2
			}
			for range n {
				k := r.IntN(keys)
				if v := r.IntN(4); v > 0 {
					next.got.set(k, v)
					next.want[k] = v
				} else {
					next.got.set(k, 0)
					delete(next.want, k)
				}
			}
			if n > layerLimit {
				next.got = next.got.merge()
			}
			if len(next.got.layer) > 0 && len(next.got.base) > 0 {
				layers++
			}
			versions = append(versions, next)
		}
		for i, v := range versions[len(versions)-50:] {
			if got := maps.Collect(v.got.all()); !maps.Equal(got, v.want) {
				t.Fatalf("seed %d, version %d: %v, want %v", seed, i, got, v.want)
			}
			for k := range keys {
				if got := v.got.get(k); got != v.want[k] {
					t.Fatalf("seed %d, version %d: %d is %d, want %d", seed, i, k, got, v.want[k])
				}
			}
		}
		if layers == 0 {
			t.Errorf("seed %d: no version had a layer", seed)
		}
	}
}

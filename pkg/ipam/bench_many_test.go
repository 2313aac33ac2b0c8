// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
)

// BenchmarkManyPools has 3,000 pools, and 2,000 Services that all find the same:
// the cost is that of Services plus pools, not of one times the other.
func BenchmarkManyPools(b *testing.B) {
	const n, services = 3000, 2000
	pool := func(size int, change ...func(*intent.Pool)) func(i int) *intent.Pool {
		return func(i int) *intent.Pool {
			first := fmt.Sprintf("10.%d.%d", i>>8, i&255)
			return newTestPool(b, fmt.Sprintf("p%04d", i), fmt.Sprintf("%s.0-%s.%d", first, first, size-1), change...)
		}
	}
	for _, row := range []struct {
		name string
		pool func(i int) *intent.Pool
		got  int
	}{
		{"of-one-address", pool(1), services},
		{"for-nobody", pool(1, func(p *intent.Pool) { p.AutoAssign = false }), 0},
		{"for-other-namespaces", pool(1, pinnedTo(1, "other")), 0},
		{"for-this-namespace", pool(1, pinnedTo(1, "default")), services},
	} {
		var all pools
		for i := range n {
			all = append(all, row.pool(i))
		}
		empty := make([]*intent.Service, services)
		for i := range empty {
			empty[i] = newService(fmt.Sprintf("s%05d", i), "4")
		}
		in := newIntent(all, empty...)
		run := func(name string, in *intent.Intent, want int) {
			b.Run(fmt.Sprintf("pools=%d/services=%d/%s/%s", n, services, row.name, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if outcomes, _ := Assign(in, nil, epoch); countHolding(outcomes) != want {
						b.Fatalf("%d have addresses, want %d", countHolding(outcomes), want)
					}
				}
			})
		}
		run("all-new", in, row.got)
		if row.got == 0 {
			continue
		}
		// Others hold all addresses.
		full := slices.Clone(empty)
		for i, q := range all {
			full = append(full, newService(fmt.Sprintf("t%05d", i), "4", has(q.Ranges[0].From().String(), q.Name)))
		}
		run("all-taken", newIntent(all, full...), n)
	}
}

// BenchmarkFragmented has one pool of 8,000 entries of two addresses.
func BenchmarkFragmented(b *testing.B) {
	const n = 16000
	var entries []string
	for i := range n / 2 {
		entries = append(entries, fmt.Sprintf("10.%d.%d.%d/31", i>>14, i>>6&255, i<<2&255))
	}
	p := newTestPool(b, "a", strings.Join(entries, ","))
	empty := make([]*intent.Service, n)
	for i := range empty {
		empty[i] = newService(fmt.Sprintf("s%05d", i), "4")
	}
	in := newIntent(pools{p}, empty...)
	b.Run(fmt.Sprintf("services=%d/all-new", n), func(b *testing.B) {
		for b.Loop() {
			if outcomes, _ := Assign(in, nil, epoch); countHolding(outcomes) != n {
				b.Fatalf("%d have addresses, want all", countHolding(outcomes))
			}
		}
	})
}

func countHolding(outcomes []Outcome) int {
	n := 0
	for _, o := range outcomes {
		if len(o.Addresses) > 0 {
			n++
		}
	}
	return n
}

// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/intent"
)

func BenchmarkAssign(b *testing.B) {
	const n = 16000
	for _, entries := range []string{"10.0.0.0/16", "10.0.0.0/8", "2001:db8::/64"} {
		family := "4"
		if entries == "2001:db8::/64" {
			family = "6"
		}
		p := newTestPool(b, "a", entries, noBuggy)
		empty := make(services, n)
		for i := range empty {
			empty[i] = newService(fmt.Sprintf("s%05d", i), family, created(time.Duration(i*7919%n)*time.Second))
		}
		prefix := fmt.Sprintf("services=%d/pool=%s", n, entries)
		run := func(name string, in *intent.Intent, want int) {
			b.Run(prefix+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					outcomes, _ := Assign(in, nil, epoch)
					if changed := countChanged(outcomes); changed != want {
						b.Fatalf("%d outcomes are changed, want %d", changed, want)
					}
				}
			})
		}
		run("all-new", newIntent(pools{p}, empty...), n)
		outcomes, _ := Assign(newIntent(pools{p}, empty...), nil, epoch)
		full := make(services, n)
		for i, s := range empty {
			full[i] = apply(s, outcomes[i], epoch)
		}
		run("steady", newIntent(pools{p}, full...), 0)
		one := append(services{}, full...)
		one[n/2] = empty[n/2]
		run("one-new", newIntent(pools{p}, one...), 1)
		// Every other address is taken: the set of used addresses is as
		// fragmented as it can be.
		holes := append(services{}, full...)
		for i := range holes {
			if holes[i].Addresses[0].As16()[15]%2 == 0 {
				holes[i] = empty[i]
			}
		}
		in := newIntent(pools{p}, holes...)
		filled, _ := Assign(in, nil, epoch)
		run("fill-holes", in, countChanged(filled))
	}
}

// BenchmarkShared has 16,000 Services with sharing keys.
func BenchmarkShared(b *testing.B) {
	const n = 16000
	for _, row := range []struct {
		name    string
		sharing func(i int) func(*intent.Service)
	}{
		{"pairs", func(i int) func(*intent.Service) { return shares(fmt.Sprint("k", i/2), int32(80+i%2)) }},
		{"one-address", func(i int) func(*intent.Service) { return shares("k", int32(1+i)) }},
		{"one-key-one-port", func(i int) func(*intent.Service) { return shares("k", 80) }},
		{"one-key-one-port-of-two", func(i int) func(*intent.Service) { return shares("k", 80, int32(1000+i)) }},
	} {
		empty := make(services, n)
		for i := range empty {
			empty[i] = newService(fmt.Sprintf("s%05d", i), "4", row.sharing(i))
		}
		p := newTestPool(b, "a", "10.0.0.0/16")
		in := newIntent(pools{p}, empty...)
		outcomes, _ := Assign(in, nil, epoch)
		full := make(services, n)
		for i, s := range empty {
			full[i] = apply(s, outcomes[i], epoch)
		}
		one := append(services{}, full...)
		one[n/2] = empty[n/2]
		for _, now := range []struct {
			name string
			in   *intent.Intent
			want int
		}{{"all-new", in, n}, {"steady", newIntent(pools{p}, full...), 0}, {"one-new", newIntent(pools{p}, one...), 1}} {
			b.Run(fmt.Sprintf("services=%d/%s/%s", n, row.name, now.name), func(b *testing.B) {
				for b.Loop() {
					if outcomes, _ := Assign(now.in, nil, epoch); countChanged(outcomes) != now.want {
						b.Fatalf("%d outcomes are changed, want %d", countChanged(outcomes), now.want)
					}
				}
			})
		}
	}
}

// BenchmarkRollback has the pool of 16,000 Services deleted and applied again.
func BenchmarkRollback(b *testing.B) {
	const n = 16000
	p := newTestPool(b, "a", "10.0.0.0/16")
	full := make(services, n)
	for i := range full {
		full[i] = newService(fmt.Sprintf("s%05d", i), "4")
	}
	states := []*intent.Intent{newIntent(pools{p}, full...), newIntent(nil), newIntent(pools{p})}
	for i, in := range states {
		outcomes, _ := Assign(in, nil, epoch)
		if i+1 < len(states) {
			for j, s := range in.Services {
				states[i+1].Services = append(states[i+1].Services, apply(s, outcomes[j], epoch))
			}
		}
	}
	for i, name := range []string{"", "deleted", "applied-again"} {
		if name == "" {
			continue
		}
		b.Run(fmt.Sprintf("services=%d/%s", n, name), func(b *testing.B) {
			for b.Loop() {
				if outcomes, _ := Assign(states[i], nil, epoch); countChanged(outcomes) != n {
					b.Fatalf("%d outcomes are changed, want all", countChanged(outcomes))
				}
			}
		})
	}
}

func countChanged(outcomes []Outcome) int {
	n := 0
	for _, o := range outcomes {
		if o.Changed {
			n++
		}
	}
	return n
}

// apply returns the Service as it is once the outcome has been written.
func apply(s *intent.Service, o Outcome, now time.Time) *intent.Service {
	out := *s
	out.Addresses, out.AssignedPool, out.Last, out.SharedAs = o.Addresses, o.Pool, o.Remember, o.SharedAs
	switch {
	case len(o.Addresses) == 0:
		out.AssignedSince = time.Time{}
	case s.AssignedSince.IsZero() || !slices.ContainsFunc(o.Addresses, func(a netip.Addr) bool { return slices.Contains(s.Addresses, a) }):
		out.AssignedSince = now
	}
	return &out
}

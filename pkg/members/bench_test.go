// SPDX-License-Identifier: Apache-2.0

package members

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"
)

// BenchmarkDeath cuts the power of a member, again and again, and tells when the
// first of the others and when all of them know; and what the membership costs at
// rest. All members are in this one process with real sockets on loopback, which
// is harsher than one to a machine: they share its cores, its scheduler and its
// garbage collector.
func BenchmarkDeath(b *testing.B) {
	for _, n := range []int{3, 30, 100} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			all := cluster(b, n, nil)
			cpu, packets := atRest(all, 3*time.Second)
			var first, last []time.Duration
			for b.Loop() {
				victim := all[len(first)%n]
				rest := others(all, victim)
				victim.off.Store(true)
				seen := times(b, rest, victim.name, false)
				first, last = append(first, slices.Min(seen)), append(last, slices.Max(seen))
				victim.shut()
				i := slices.Index(all, victim)
				all[i] = begin(b, victim.name, victim.addr, nil)
				all[i].Join(addresses(all))
				converge(b, all, all)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(ms(quantile(first, .5)), "first-p50-ms")
			b.ReportMetric(ms(quantile(first, .99)), "first-p99-ms")
			b.ReportMetric(ms(quantile(last, .5)), "all-p50-ms")
			b.ReportMetric(ms(quantile(last, .99)), "all-p99-ms")
			b.ReportMetric(1000*cpu/float64(n), "cpu-ms/s/member")
			b.ReportMetric(packets/float64(n), "packets/s/member")
		})
	}
}

// atRest returns the seconds of CPU and the packets, sent and received, of each
// second.
func atRest(all []*member, d time.Duration) (cpu, packets float64) {
	for _, m := range all {
		m.packets.Store(0)
	}
	before := cpuTime()
	<-time.After(d)
	cpu = (cpuTime() - before).Seconds() / d.Seconds()
	for _, m := range all {
		packets += float64(m.packets.Load()) / d.Seconds()
	}
	return cpu, packets
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[min(len(all)-1, int(q*float64(len(all))))]
}

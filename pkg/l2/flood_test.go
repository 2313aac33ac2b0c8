// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkFlood asks for one address over a real link while another station asks
// 50,000 times a second for another, which is announced too or is not. Both
// stations and the node are on this machine. A question that hears nothing for
// 100 ms counts as lost.
func BenchmarkFlood(b *testing.B) {
	for what, target := range map[string]netip.Addr{"unwanted": client4, "wanted": service4.Next()} {
		b.Run(what, func(b *testing.B) {
			node, client := newSpace(b), newSpace(b)
			connect(node, "eth0", nodeMAC, client, "eth0", otherMAC)
			w, asker := node.open("eth0"), client.open("eth0")
			if err := w.Want(map[netip.Addr]bool{service4: true, service4.Next(): true}); err != nil {
				b.Fatal(err)
			}
			go func() {
				for {
					m, err := w.Receive()
					if err != nil {
						return
					}
					w.Answer(m)
				}
			}()
			stop := flood(client.tap("eth0"), arpOf(func(p *arpFrame) { p.target = target }), 50_000)
			answers := make(chan Message)
			go func() {
				for {
					m, err := asker.Receive()
					if err != nil {
						return
					}
					answers <- m
				}
			}()
			var waits []time.Duration
			lost := 0
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				if err := asker.Ask(service4, MAC{}); err != nil {
					b.Fatal(err)
				}
				select {
				case <-answers:
					waits = append(waits, time.Since(start))
				case <-time.After(100 * time.Millisecond):
					lost++
				}
				time.Sleep(time.Millisecond)
			}
			rate := stop()
			slowest := percentile(waits, 0.99)
			b.ReportMetric(rate, "flood/s")
			b.ReportMetric(float64(percentile(waits, 0.5).Microseconds()), "p50-us")
			b.ReportMetric(float64(slowest.Microseconds()), "p99-us")
			b.ReportMetric(float64(lost)/float64(b.N), "lost/op")
		})
	}
}

// flood sends a frame so many times a second until it is told to stop, and says
// then how many times a second it could.
func flood(to tap, frame []byte, rate int) (stop func() float64) {
	done := make(chan struct{})
	var sending sync.WaitGroup
	sent, start := 0, time.Now()
	sending.Go(func() {
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
			}
			for due := int(time.Since(start).Seconds() * float64(rate)); sent < due; sent++ {
				unix.Write(to.fd, frame)
			}
		}
	})
	return func() float64 {
		close(done)
		sending.Wait()
		return float64(sent) / time.Since(start).Seconds()
	}
}

func percentile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[int(float64(len(d)-1)*p)]
}

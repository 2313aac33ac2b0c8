// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"iter"
	"net/netip"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Layer2Counts are what happened to one address on this node since the start.
type Layer2Counts struct {
	// Requests are the questions for the address while it was answered, Responses
	// the answers, Gratuitous the frames sent unasked.
	Requests, Responses, Gratuitous uint64
	// TakeOvers are how often this node took it from another, those that it had
	// yielded to among them.
	TakeOvers uint64
	// Conflicts are how often another claimed it while it was this node's.
	Conflicts uint64
}

// Layer2 is how a node fares that answers ARP and NDP. The names of what MetalLB
// counts too are MetalLB's, without _total.
type Layer2 struct {
	// FirstGratuitous are the seconds from when it was noticed that an address
	// is another node's no more, to this node's first frame about it.
	FirstGratuitous prometheus.Histogram

	alive  *prometheus.GaugeVec // without a series until it is known
	series []layer2Series
	counts atomic.Pointer[iter.Seq2[netip.Addr, Layer2Counts]]
}

// layer2Series is one counter of an address. Label: ip.
type layer2Series struct {
	desc  *prometheus.Desc
	value func(*Layer2Counts) uint64
}

func newLayer2(r prometheus.Registerer) (*Layer2, error) {
	count := func(name, help string, value func(*Layer2Counts) uint64) layer2Series {
		return layer2Series{prometheus.NewDesc(prometheus.BuildFQName("metallb", "layer2", name), help, []string{"ip"}, nil), value}
	}
	l := &Layer2{
		FirstGratuitous: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "metallb", Subsystem: "layer2", Name: "loss_to_first_gratuitous_seconds",
			Help:    "Seconds from when it was noticed that an address is another node's no more to this node's first frame about it.",
			Buckets: []float64{.01, .025, .05, .1, .2, .3, .4, .5, .6, .8, 1, 1.5, 2.5, 5, 10},
		}),
		alive: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "metallb", Subsystem: "members", Name: "alive",
			Help: "Nodes that this node counts as alive in layer 2, itself among them."}, nil),
		series: []layer2Series{
			count("requests_received", "ARP requests and Neighbor Solicitations for the address while this node answered for it.", func(c *Layer2Counts) uint64 { return c.Requests }),
			count("responses_sent", "ARP replies and Neighbor Advertisements sent in answer to them.", func(c *Layer2Counts) uint64 { return c.Responses }),
			count("gratuitous_sent", "Frames about the address sent unasked: two a round and interface for IPv4, one for IPv6.", func(c *Layer2Counts) uint64 { return c.Gratuitous }),
			count("take_overs", "Times that this node took the address from another.", func(c *Layer2Counts) uint64 { return c.TakeOvers }),
			count("conflicts", "Times that another claimed the address while it was this node's.", func(c *Layer2Counts) uint64 { return c.Conflicts }),
		},
	}
	return l, register(r, l.FirstGratuitous, l.alive, l)
}

// Count says where the counts of all addresses are from now on. They are asked
// for at each scrape, by several goroutines.
func (l *Layer2) Count(all iter.Seq2[netip.Addr, Layer2Counts]) { l.counts.Store(&all) }

// SetAlive says how many nodes count as alive.
func (l *Layer2) SetAlive(nodes int) { l.alive.WithLabelValues().Set(float64(nodes)) }

// Describe implements prometheus.Collector.
func (l *Layer2) Describe(ch chan<- *prometheus.Desc) {
	for _, s := range l.series {
		ch <- s.desc
	}
}

// Collect implements prometheus.Collector. An address has series once something
// happened to it here, and keeps them.
func (l *Layer2) Collect(ch chan<- prometheus.Metric) {
	all := l.counts.Load()
	if all == nil {
		return
	}
	for addr, counts := range *all {
		if counts == (Layer2Counts{}) {
			continue // only known here: it is another node's
		}
		ip := addr.String()
		for _, s := range l.series {
			ch <- prometheus.MustNewConstMetric(s.desc, prometheus.CounterValue, float64(s.value(&counts)), ip)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"fmt"
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

// Client counts the passes of a program's loop. The names are MetalLB's.
type Client struct {
	// Updates counts passes over a new Snapshot, UpdateErrors those whose
	// result could not be applied.
	Updates, UpdateErrors prometheus.Counter
	// loaded and stale have no series until Starts: a replica of the controller
	// that does not lead has no configuration to load.
	loaded, stale *prometheus.GaugeVec
}

// Starts is called when the loop begins, with no configuration yet.
func (c *Client) Starts() { c.set(0, 0) }

// Resolved is called when a configuration is in force. stale: some object's
// present spec is not, so that the process's ConfigurationState is Invalid.
func (c *Client) Resolved(stale bool) {
	if stale {
		c.set(1, 1)
		return
	}
	c.set(1, 0)
}

func (c *Client) set(loaded, stale float64) {
	c.loaded.WithLabelValues().Set(loaded)
	c.stale.WithLabelValues().Set(stale)
}

// NewClient registers the collectors of a program's loop on r.
func NewClient(r prometheus.Registerer) (*Client, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "metallb", Subsystem: "k8s_client", Name: name, Help: help})
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "metallb", Subsystem: "k8s_client", Name: name, Help: help}, nil)
	}
	c := &Client{
		Updates:      counter("updates_total", "Passes over a changed state of the cluster."),
		UpdateErrors: counter("update_errors_total", "Passes or writes that failed and are retried."),
		loaded:       gauge("config_loaded_bool", "1 once a configuration is in force; no series in a replica that does not lead."),
		stale:        gauge("config_stale_bool", "1 while the process's ConfigurationState is Invalid; no series in a replica that does not lead."),
	}
	return c, register(r, c.Updates, c.UpdateErrors, c.loaded, c.stale)
}

// PoolCounts are one pool's addresses of one family. Total saturates at the
// largest int64.
type PoolCounts struct{ Total, InUse int64 }

// Allocator is the controller's account of addresses, per pool.
type Allocator struct {
	total, total4, total6 *prometheus.GaugeVec
	inUse, inUse4, inUse6 *prometheus.GaugeVec
	services              *prometheus.GaugeVec
}

// NewAllocator registers the collectors of address assignment on r.
func NewAllocator(r prometheus.Registerer) (*Allocator, error) {
	vec := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "metallb", Subsystem: "allocator", Name: name, Help: help}, []string{"pool"})
	}
	a := &Allocator{
		total:  vec("addresses_total", "Usable addresses of the pool."),
		total4: vec("ipv4_addresses_total", "Usable IPv4 addresses of the pool."),
		total6: vec("ipv6_addresses_total", "Usable IPv6 addresses of the pool."),
		inUse:  vec("addresses_in_use_total", "Addresses of the pool that Services hold."),
		inUse4: vec("ipv4_addresses_in_use_total", "IPv4 addresses of the pool that Services hold."),
		inUse6: vec("ipv6_addresses_in_use_total", "IPv6 addresses of the pool that Services hold."),

		services: vec("services_allocated_total", "Services that hold addresses of the pool; several may share one."),
	}
	return a, register(r, a.all()...)
}

func (a *Allocator) all() []prometheus.Collector {
	return []prometheus.Collector{a.total, a.total4, a.total6, a.inUse, a.inUse4, a.inUse6, a.services}
}

// Set records the counts of one pool, and how many Services hold addresses of it.
func (a *Allocator) Set(pool string, v4, v6 PoolCounts, services int64) {
	a.services.WithLabelValues(pool).Set(float64(services))
	a.total.WithLabelValues(pool).Set(float64(AddCapped(v4.Total, v6.Total)))
	a.total4.WithLabelValues(pool).Set(float64(v4.Total))
	a.total6.WithLabelValues(pool).Set(float64(v6.Total))
	a.inUse.WithLabelValues(pool).Set(float64(AddCapped(v4.InUse, v6.InUse)))
	a.inUse4.WithLabelValues(pool).Set(float64(v4.InUse))
	a.inUse6.WithLabelValues(pool).Set(float64(v6.InUse))
}

// Delete removes the series of a pool that is gone.
func (a *Allocator) Delete(pool string) {
	for _, v := range a.all() {
		v.(*prometheus.GaugeVec).DeleteLabelValues(pool)
	}
}

// AddCapped returns the sum of two counts, at most the largest int64.
func AddCapped(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Speaker is what a node announces. How its sessions are is in FRR.
type Speaker struct {
	// Announced is 1 per announced address. Labels: service (namespace/name),
	// protocol (bgp or layer2), node, ip.
	Announced *prometheus.GaugeVec
	// Drift is about FRR's configuration.
	Drift *Drift
	// Layer2 is about ARP and NDP.
	Layer2 *Layer2
}

// NewSpeaker registers the speaker's collectors on r.
func NewSpeaker(r prometheus.Registerer) (*Speaker, error) {
	vec := func(sub, name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "metallb", Subsystem: sub, Name: name, Help: help}, labels)
	}
	s := &Speaker{
		Announced: vec("speaker", "announced", "1 for each address that this node announces.", "service", "protocol", "node", "ip"),
	}
	var err error
	if s.Drift, err = newDrift(r); err != nil {
		return nil, err
	}
	if s.Layer2, err = newLayer2(r); err != nil {
		return nil, err
	}
	return s, register(r, s.Announced)
}

func register(r prometheus.Registerer, collectors ...prometheus.Collector) error {
	for _, c := range collectors {
		if err := r.Register(c); err != nil {
			return fmt.Errorf("register metric: %w", err)
		}
	}
	return nil
}

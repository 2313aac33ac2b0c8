// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/status"
)

const (
	// urgentWrites write addresses at the same time, otherWrites conditions.
	urgentWrites = 8
	otherWrites  = 2
	// writeInterval is the least time between two writes of conditions or
	// counters of one object.
	writeInterval = time.Second
	// A failed write is tried again after firstRetry, then twice as long each
	// time up to lastRetry.
	firstRetry = 50 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// job is a write that a Service needs.
type job struct {
	key     intent.Key
	svc     *corev1.Service
	want    status.Service
	outcome ipam.Outcome // zero where the Service is no load balancer
	urgent  bool         // addresses or pool change

	state    jobState
	unknown  bool // a write may have reached the API server although it failed
	failures int
	due      time.Time // when waiting
	pass     uint64    // the last pass that offered it
}

type jobState uint8

const (
	queued jobState = iota
	writing
	waiting // until due, or until the Service changes
)

// writer writes what passes decide about Services, at most one write per Service
// at a time. A pass offers everything that is to be written each time; what a
// pass does not offer any more is forgotten.
type writer struct {
	cluster *cluster.Cluster
	options Options
	wake    chan struct{} // capacity 1: a write has ended, decide anew

	mu     sync.Mutex
	ready  *sync.Cond
	jobs   map[intent.Key]*job
	queues map[bool][]intent.Key  // by urgent
	rooms  map[bool]chan struct{} // by urgent; see fold
	wrote  map[intent.Key]time.Time
	pass   uint64
	now    time.Time // of the pass
	ended  bool
}

func newWriter(c *cluster.Cluster, o Options) *writer {
	w := &writer{
		cluster: c, options: o, wake: make(chan struct{}, 1),
		jobs: map[intent.Key]*job{}, queues: map[bool][]intent.Key{}, rooms: map[bool]chan struct{}{}, wrote: map[intent.Key]time.Time{},
	}
	w.ready = sync.NewCond(&w.mu)
	return w
}

// assumed returns the addresses that are being written, or may have been: they
// count although no Snapshot shows them.
func (w *writer) assumed() map[intent.Key][]netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all map[intent.Key][]netip.Addr
	for key, j := range w.jobs {
		if !j.urgent || len(j.want.Addresses) == 0 || j.state == waiting && !j.unknown {
			continue
		}
		if all == nil {
			all = make(map[intent.Key][]netip.Addr, len(w.jobs))
		}
		all[key] = j.want.Addresses
	}
	return all
}

// begin opens a pass.
func (w *writer) begin(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pass++
	w.now = now
}

// offer takes a write. One that is under way is left alone: its end wakes the
// loop, which offers again what is still to be done.
func (w *writer) offer(next job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next.pass = w.pass
	j := w.jobs[next.key]
	switch {
	case j == nil:
		if last, ok := w.wrote[next.key]; ok && !next.urgent {
			next.state, next.due = waiting, last.Add(writeInterval)
		}
		j = &next
		w.jobs[next.key] = j
		if j.state == queued {
			w.enqueue(j)
		}
		return
	case j.state == writing:
		j.pass = w.pass
		return
	}
	changed, promoted := j.svc != next.svc, next.urgent && !j.urgent
	j.svc, j.want, j.outcome, j.urgent, j.pass = next.svc, next.want, next.outcome, next.urgent, w.pass
	retry := !w.now.Before(j.due) || j.failures > 0 && changed
	switch {
	case j.state == waiting && (retry || promoted):
		j.state = queued
		w.enqueue(j)
	case j.state == queued && promoted:
		w.enqueue(j) // the key left in the other queue finds nothing to do
	}
}

func (w *writer) enqueue(j *job) {
	w.queues[j.urgent] = append(w.queues[j.urgent], j.key)
	w.ready.Broadcast()
}

// end closes a pass and returns when a waiting write is due, or zero.
func (w *writer) end(now time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	var next time.Time
	for key, j := range w.jobs {
		switch {
		case j.state == writing:
		case j.pass != w.pass:
			delete(w.jobs, key)
		case j.state == waiting && (next.IsZero() || j.due.Before(next)):
			next = j.due
		}
	}
	for key, at := range w.wrote {
		if now.Sub(at) >= writeInterval {
			delete(w.wrote, key)
		}
	}
	return next
}

// run writes until ctx ends.
func (w *writer) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended = true
		w.ready.Broadcast()
	})
	defer stop()
	var wg sync.WaitGroup
	for i := range urgentWrites + otherWrites {
		wg.Go(func() {
			for j := w.take(i < urgentWrites); j != nil; j = w.take(i < urgentWrites) {
				w.write(ctx, *j)
			}
		})
	}
	wg.Wait()
}

// take waits for a write of that urgency; nil: the end.
func (w *writer) take(urgent bool) *job {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.queues[urgent]) > 0 && !w.ended {
			key := w.queues[urgent][0]
			w.queues[urgent] = w.queues[urgent][1:]
			w.tellRoom(urgent)
			if j := w.jobs[key]; j != nil && j.state == queued && j.urgent == urgent {
				j.state = writing
				copied := *j
				return &copied
			}
		}
		if w.ended {
			return nil
		}
		w.ready.Wait()
	}
}

func (w *writer) write(ctx context.Context, j job) {
	wrote, err := w.cluster.WriteServiceStatus(ctx, j.svc, j.want)
	if wrote {
		w.announce(j)
	}
	if err != nil {
		w.options.Client.UpdateErrors.Inc()
		report(ctx, w.options.Log, err, "write of a Service failed", "service", j.key.String())
	}
	w.done(j.key, wrote, err)
	if wrote || err != nil {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// done notes how a write ended.
func (w *writer) done(key intent.Key, wrote bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	j := w.jobs[key]
	if wrote {
		w.wrote[key] = time.Now()
	}
	if err == nil {
		delete(w.jobs, key)
		return
	}
	j.state, j.unknown = waiting, !refused(err)
	j.due = time.Now().Add(min(firstRetry<<min(j.failures, 16), lastRetry))
	j.failures++
}

// refused reports whether err says that the write did not happen, as opposed to
// an answer that did not come.
func refused(err error) bool {
	var answer apierrors.APIStatus
	return errors.Is(err, cluster.ErrOutdated) || errors.As(err, &answer)
}

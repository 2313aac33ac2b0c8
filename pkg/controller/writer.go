// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"slices"
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
	// requestLimit is how long a request may be under way that nobody waits for
	// any more: the API server's own limit is a minute (--request-timeout).
	requestLimit = 2 * time.Minute
)

// job is a write that a Service needs.
type job struct {
	key     intent.Key
	svc     *corev1.Service
	want    status.Service
	outcome ipam.Outcome // zero where the Service is no load balancer
	urgent  bool         // addresses or pool change

	state   jobState
	decided []netip.Addr    // by the last pass that offered it, also while it writes what one before wanted
	seen    *corev1.Service // by that pass
	blocked bool            // waiting for others to leave its addresses
	again   bool            // a pass has offered it while it was being written
	// maybe are addresses that writes may have given it although they failed: until
	// the Service is seen to have changed, or no request can be under way any more.
	maybe    []netip.Addr
	until    time.Time
	failures int
	due      time.Time // when waiting
	pass     uint64    // the last pass that offered it
}

type jobState uint8

const (
	queued jobState = iota
	writing
	landed  // written; a Read made before does not show it
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
	fresh  []*job // to be queued at the end of the pass
	pass   uint64
	open   bool      // a pass is: what it has not decided yet is not written
	now    time.Time // of the pass
	ended  bool
	// blocked: some jobs wait for others to leave their addresses.
	blocked bool
}

func newWriter(c *cluster.Cluster, o Options) *writer {
	w := &writer{
		cluster: c, options: o, wake: make(chan struct{}, 1),
		jobs: map[intent.Key]*job{}, queues: map[bool][]intent.Key{}, rooms: map[bool]chan struct{}{}, wrote: map[intent.Key]time.Time{},
	}
	w.ready = sync.NewCond(&w.mu)
	return w
}

// forget drops the jobs whose writes the next Read shows. What lands after it is kept
// until the pass that begins with that Read is over: it may have seen neither the
// write's end nor its result.
func (w *writer) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.jobs, func(_ intent.Key, j *job) bool { return j.state == landed })
}

// assumed returns the addresses that Services are to be given, were given a moment ago,
// or may have been: where a Service shows none they count. One that is seen to have
// changed has what it shows: a write decided on before is refused by the API server, or
// is part of the change. seen are the Snapshot's Services, sorted.
func (w *writer) assumed(seen []*corev1.Service, now time.Time) map[intent.Key][]netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all map[intent.Key][]netip.Addr
	for key, j := range w.jobs {
		changed := objectOf(seen, key) != j.svc
		if changed || !j.until.After(now) {
			j.maybe = nil
		}
		addrs := j.want.Addresses
		if j.state == waiting {
			addrs = j.maybe
		}
		if changed || !j.urgent || len(addrs) == 0 {
			continue
		}
		if all == nil {
			all = make(map[intent.Key][]netip.Addr, len(w.jobs))
		}
		all[key] = addrs
	}
	return all
}

// begin opens a pass. Until its end nothing new is written.
func (w *writer) begin(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pass++
	w.now, w.open = now, true
}

// offer takes a write, unless it would change nothing. One that is under way is left
// alone: its end wakes the loop, which offers again what is still to be done.
func (w *writer) offer(next job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next.pass, next.decided, next.seen = w.pass, next.want.Addresses, next.svc
	j := w.jobs[next.key]
	switch {
	case j == nil && next.want.Same(next.svc):
		return
	case j == nil:
		if last, ok := w.wrote[next.key]; ok && !next.urgent {
			next.state, next.due = waiting, last.Add(writeInterval)
		}
		j = &next
		w.jobs[next.key] = j
		if j.state == queued {
			w.fresh = append(w.fresh, j)
		}
		return
	case j.state == writing || j.state == landed:
		j.pass, j.decided, j.seen, j.again = w.pass, next.decided, next.seen, true
		return
	}
	changed, promoted, demoted := j.svc != next.svc, next.urgent && !j.urgent, j.urgent && !next.urgent
	if changed {
		j.maybe = nil // of a write that ended since the pass began, and was decided on before the change
	}
	j.svc, j.want, j.outcome, j.urgent = next.svc, next.want, next.outcome, next.urgent
	j.pass, j.decided, j.seen = w.pass, next.decided, next.seen
	retry := !w.now.Before(j.due) || j.blocked || j.failures > 0 && changed
	switch {
	case j.state == waiting && (retry || promoted):
		j.state, j.blocked = queued, false
		w.fresh = append(w.fresh, j)
	case j.state == queued && (promoted || demoted):
		w.fresh = append(w.fresh, j) // the key left in the other queue finds nothing to do
	}
}

// end closes a pass and returns when a waiting write is due, or zero.
func (w *writer) end(now time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.block()
	for _, j := range w.fresh {
		if j.state == queued {
			w.queues[j.urgent] = append(w.queues[j.urgent], j.key)
		}
	}
	w.fresh, w.open = nil, false
	w.ready.Broadcast()
	var next time.Time
	for key, j := range w.jobs {
		switch {
		case j.state == writing || j.state == landed:
		case j.pass != w.pass && j.maybe != nil:
			j.state, j.blocked = waiting, false
			next = earlier(next, j.until)
		case j.pass != w.pass:
			delete(w.jobs, key)
		case j.blocked && j.maybe != nil: // two may wait for what each other may have
			next = earlier(next, j.until)
		case j.blocked: // the write of who leaves its addresses makes the next pass
		case j.state == waiting:
			next = earlier(next, j.due)
		}
	}
	for key, at := range w.wrote {
		if now.Sub(at) >= writeInterval {
			delete(w.wrote, key)
		}
	}
	return next
}

// run writes until ctx ends, and returns when no write is under way any more: then the
// next leader may look at what there is.
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
				w.write(context.WithoutCancel(ctx), *j) // which has a limit of its own
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
		for len(w.queues[urgent]) > 0 && !w.ended && !w.open {
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
	if w.done(j.key, wrote, err) {
		wake(w.wake)
	}
}

// done notes how a write ended, and reports whether there is to be a pass for it.
func (w *writer) done(key intent.Key, wrote bool, err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	j := w.jobs[key]
	again := j.again
	j.again = false
	switch {
	case wrote:
		w.wrote[key] = time.Now()
		j.state = landed
		return true
	case err == nil && j.maybe != nil: // it says nothing of the write before
		j.state, j.due = waiting, j.until
		return true
	case err == nil:
		delete(w.jobs, key)
		return again
	}
	j.state = waiting
	j.due = time.Now().Add(min(firstRetry<<min(j.failures, 16), lastRetry))
	j.failures++
	if !refused(err) {
		j.maybe = union(j.maybe, j.want.Addresses)
		j.until = time.Now().Add(requestLimit)
	}
	return true
}

// union returns the addresses of both, each once.
func union(a, b []netip.Addr) []netip.Addr {
	all := slices.Clone(a)
	for _, addr := range b {
		if !slices.Contains(all, addr) {
			all = append(all, addr)
		}
	}
	return all
}

// refused reports whether err says that the write did not happen, as opposed to
// an answer that did not come, or to an API server that does not know either.
func refused(err error) bool {
	var answer apierrors.APIStatus
	return errors.Is(err, cluster.ErrOutdated) || errors.Is(err, cluster.ErrNotLeader) || errors.As(err, &answer) && answer.Status().Code < http.StatusInternalServerError
}

// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
)

const (
	// A round begins at most once in statusPause, writes each object at most
	// once, and statusWrites objects at most, spread over the pause.
	statusPause  = time.Second
	statusWrites = 50
	// statusRetry is the most that a failed write is waited after.
	statusRetry = 30 * time.Second
	// strangerPause is the least time between two removals of another node's
	// object of the same name: two nodes that do not hear one another may both
	// announce, and would remove one another's objects as fast as they may.
	strangerPause = time.Minute
)

// serviceWriter keeps the node's ServiceBGPStatuses, or ServiceL2Statuses, as
// wanted, beside the loop and slowly. It works on what is there, whoever wrote it:
// a speaker that starts takes over what it finds.
type serviceWriter struct {
	Options
	kind func(*cluster.Cluster) *cluster.ServiceStatuses
	// wanted returns what the objects are to say, sorted by Service; not known:
	// that is not decided yet.
	wanted func() (all iter.Seq[cluster.Announced], known bool)
	work   chan struct{} // capacity 1

	// Only run touches the rest.
	objects *cluster.ServiceStatuses
	owner   *metav1.OwnerReference
	after   intent.Key // the Service of the last write
	failure string
	removed map[string]time.Time // other nodes' objects, within strangerPause
}

func newServiceWriter(o Options, kind func(*cluster.Cluster) *cluster.ServiceStatuses, wanted func() (iter.Seq[cluster.Announced], bool)) *serviceWriter {
	return &serviceWriter{
		Options: o, kind: kind, wanted: wanted, work: make(chan struct{}, 1),
		owner: o.Owner.reference(), removed: map[string]time.Time{},
	}
}

// wake makes run look at what is wanted.
func (s *serviceWriter) wake() {
	select {
	case s.work <- struct{}{}:
	default:
	}
}

func (s *serviceWriter) run(ctx context.Context) {
	s.objects = s.kind(s.Cluster)
	pause := statusPause
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.work:
		case <-s.objects.Changed():
		case <-due:
		}
		due = nil
		start := time.Now()
		left, err := s.round(ctx, start)
		if ctx.Err() != nil {
			return
		}
		pause = s.failed(err, pause)
		if wait(ctx, time.Until(start.Add(pause))) != nil {
			return
		}
		if left || err != nil {
			due = time.After(0)
		}
	}
}

// failed logs a failure unless it is the one before, and returns how long to
// pause after it.
func (s *serviceWriter) failed(err error, pause time.Duration) time.Duration {
	if err == nil {
		s.failure = ""
		return statusPause
	}
	s.Passes.UpdateErrors.Inc()
	if text := err.Error(); text != s.failure {
		s.failure = text
		s.Log.Error(err, "service status not written", "node", s.Node)
	}
	return min(2*pause, statusRetry)
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// statusWrite makes have what want is; without want it is to go.
type statusWrite struct {
	service    intent.Key
	have, want client.Object
}

// round writes what differs, as much as is allowed at once, and reports whether
// something is left. It ends at the first error, and the next round begins with
// another Service.
func (s *serviceWriter) round(ctx context.Context, now time.Time) (left bool, err error) {
	have, listed := s.objects.All()
	if !listed {
		return false, nil
	}
	wanted, known := s.wanted()
	if !known {
		return false, nil
	}
	for name, at := range s.removed {
		if now.Sub(at) >= strangerPause {
			delete(s.removed, name)
		}
	}
	all, later := s.differences(wanted, have)
	first := 0
	for i, w := range all {
		if w.service.Compare(s.after) > 0 {
			first = i
			break
		}
	}
	for n := range min(len(all), statusWrites) {
		w := all[(first+n)%len(all)]
		s.after = w.service
		if err := s.write(ctx, w, now); err != nil && !errors.Is(err, cluster.ErrOutdated) {
			return true, err
		}
		if wait(ctx, statusPause/statusWrites) != nil {
			return true, nil
		}
	}
	return later || len(all) > statusWrites, nil
}

func (s *serviceWriter) write(ctx context.Context, w statusWrite, now time.Time) error {
	if w.want != nil {
		return s.objects.Write(ctx, w.have, w.want)
	}
	err := s.objects.Delete(ctx, w.have)
	if err == nil && !s.objects.Own(w.have) {
		s.removed[w.have.GetName()] = now
	}
	return err
}

// differences returns what is to be written so that have, which is sorted by
// Service as wanted is, says what is wanted, and whether something else is to be
// done later. Of other nodes' objects those go that what is wanted here makes
// untrue, and only once it is written.
func (s *serviceWriter) differences(wanted iter.Seq[cluster.Announced], have []client.Object) (all []statusWrite, later bool) {
	remove := func(objs []client.Object) {
		for _, o := range objs {
			if s.objects.Own(o) {
				all = append(all, statusWrite{service: cluster.ServiceOf(o), have: o})
			}
		}
	}
	at := 0
	for a := range wanted {
		from := at
		for at < len(have) && cluster.ServiceOf(have[at]).Compare(a.Service) < 0 {
			at++
		}
		remove(have[from:at])
		from = at
		for at < len(have) && cluster.ServiceOf(have[at]) == a.Service {
			at++
		}
		same := have[from:at]
		if len(same) == 1 && s.objects.Says(same[0], a, s.owner) {
			continue
		}
		w := statusWrite{service: a.Service, want: s.objects.New(a, s.owner)}
		keep, rest := s.choose(same, w.want)
		remove(rest)
		if keep != nil {
			w.have = keep
			w.want.SetName(keep.GetName())
		}
		if keep == nil || !s.objects.Says(keep, a, s.owner) {
			all = append(all, w)
			continue
		}
		gone, again := s.untrue(a, same)
		all, later = append(all, gone...), later || again
	}
	remove(have[at:])
	return all, later
}

// untrue returns the removals of those of the objects about a's Service that are
// other nodes' and untrue, and whether there are some to be removed later. What one
// that goes names does not make another untrue.
func (s *serviceWriter) untrue(a cluster.Announced, same []client.Object) (gone []statusWrite, later bool) {
	stay := slices.Clone(same)
	for _, o := range same {
		switch {
		case !s.objects.Untrue(a, o, stay):
		case s.removed[o.GetName()].IsZero():
			gone = append(gone, statusWrite{service: a.Service, have: o})
			stay = slices.DeleteFunc(stay, func(other client.Object) bool { return other == o })
		default:
			later = true
		}
	}
	return gone, later
}

// choose returns which of the node's objects about one Service stays, if one can,
// and the others.
func (s *serviceWriter) choose(same []client.Object, want client.Object) (keep client.Object, rest []client.Object) {
	for _, o := range same {
		switch {
		case !s.objects.Own(o) || cluster.AboutAnother(o, want):
			rest = append(rest, o)
		case keep == nil:
			keep = o
		case o.GetName() == want.GetName():
			keep, rest = o, append(rest, keep)
		default:
			rest = append(rest, o)
		}
	}
	return keep, rest
}

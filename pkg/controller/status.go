// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/status"
)

const (
	// roundInterval is the least time between the starts of two rounds.
	roundInterval = 100 * time.Millisecond
	// statusWrites are made at the same time.
	statusWrites = 4
)

// view is what a pass saw and decided.
type view struct {
	snapshot *intent.Snapshot
	intent   *intent.Intent
	usage    map[string]ipam.Usage
}

// statusWriter writes conditions, counters and accepted specs of the objects that
// users write, and the controller's ConfigurationState. It works on the newest
// view, in rounds, each object at most once per writeInterval.
type statusWriter struct {
	cluster *cluster.Cluster
	options Options
	views   chan view // capacity 1, holds the newest

	extras  extrasReport
	checked *plan.Checked // what is wrong between objects

	mu    sync.Mutex
	paces map[intent.Ref]pace
}

// pace is when an object was written last, and how often in a row that failed.
type pace struct {
	at       time.Time
	failures int
}

func (p pace) due() time.Time {
	return p.at.Add(min(writeInterval<<min(p.failures, 5), lastRetry))
}

func newStatusWriter(c *cluster.Cluster, o Options) *statusWriter {
	return &statusWriter{cluster: c, options: o, views: make(chan view, 1), paces: map[intent.Ref]pace{}}
}

// offer replaces the view that waits for the next round. Only the loop calls it.
func (s *statusWriter) offer(v view) {
	select {
	case <-s.views:
	default:
	}
	s.views <- v
}

func (s *statusWriter) run(ctx context.Context) {
	var v view
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case v = <-s.views:
		case <-due:
		}
		start := time.Now()
		due = nil
		if next := s.round(ctx, v, start); !next.IsZero() {
			due = time.After(time.Until(next))
		}
		select { // what changes meanwhile is folded into the next round
		case <-ctx.Done():
			return
		case <-time.After(time.Until(start.Add(roundInterval))):
		}
	}
}

// write is one that a round has to make.
type write struct {
	ref intent.Ref
	do  func(context.Context) (bool, error)
}

// round writes what differs and may be written now. It returns when the first of
// the others is due, or zero.
func (s *statusWriter) round(ctx context.Context, v view, now time.Time) time.Time {
	var next time.Time
	var g errgroup.Group
	g.SetLimit(statusWrites)
	for _, w := range append(s.objects(v, now), s.state(v, now)...) {
		if due := s.pace(w.ref).due(); due.After(now) {
			if next.IsZero() || due.Before(next) {
				next = due
			}
			continue
		}
		g.Go(func() error { s.perform(ctx, w); return nil })
	}
	_ = g.Wait() // the functions return no errors
	for _, at := range []time.Time{s.prune(now), s.reportExtras(now)} {
		if next.IsZero() || !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	return next
}

func (s *statusWriter) pace(ref intent.Ref) pace {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paces[ref]
}

func (s *statusWriter) perform(ctx context.Context, w write) {
	_, err := w.do(ctx)
	s.mu.Lock()
	p := s.paces[w.ref]
	p.at, p.failures = time.Now(), p.failures+1
	if err == nil {
		p.failures = 0
	}
	s.paces[w.ref] = p
	s.mu.Unlock()
	if err != nil {
		s.options.Client.UpdateErrors.Inc()
		report(ctx, s.options.Log, err, "write of a status failed", "object", w.ref.String())
	}
}

// prune forgets the paces that were over when the round began: it has written
// those objects, or they need nothing. It returns when the first failed write is
// due, or zero.
func (s *statusWriter) prune(now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next time.Time
	for ref, p := range s.paces {
		switch {
		case !p.due().After(now):
			delete(s.paces, ref)
		case p.failures > 0 && (next.IsZero() || p.due().Before(next)):
			next = p.due()
		}
	}
	return next
}

// objects returns the writes that objects of users' kinds need.
func (s *statusWriter) objects(v view, now time.Time) []write {
	r := s.newRound(v, now)
	s.extras.offer(v.snapshot.Extras, r.findings[intent.ExtrasRef], r.reports.Refused(intent.ExtrasRef), now)
	var all []write
	for _, obj := range userObjects(v.snapshot) {
		ref := intent.Ref{Kind: status.Kind(obj), Name: obj.GetName()}
		latest := s.cluster.Latest(ref)
		if latest == nil || latest.GetUID() != obj.GetUID() || latest.GetGeneration() != obj.GetGeneration() {
			continue // changed since; the next view has it
		}
		want, err := r.want(ref, latest)
		if err != nil {
			s.options.Log.Error(err, "status cannot be made", "object", ref.String())
			continue
		}
		if !want.Same(latest) {
			all = append(all, write{ref, func(ctx context.Context) (bool, error) { return s.cluster.WriteStatus(ctx, obj, want) }})
		}
	}
	return all
}

// check returns what is wrong between objects.
func (s *statusWriter) check(in *intent.Intent) []intent.Finding {
	s.checked = plan.Check(s.checked, in)
	return s.checked.Findings
}

// state returns the write that the controller's ConfigurationState needs, if any.
func (s *statusWriter) state(v view, now time.Time) []write {
	var present []metav1.Condition
	have := s.cluster.State(v1beta1.ComponentController)
	if have != nil {
		present = have.Status.Conditions
	}
	want := &v1beta1.ConfigurationState{Status: status.Configuration(v1beta1.ConditionPoolReconcilerValid, present, ofPools(v.intent), now)}
	want.Name = v1beta1.ComponentController
	want.Labels = map[string]string{v1beta1.LabelComponentType: v1beta1.ComponentController}
	want.OwnerReferences = s.options.Owner
	if s.cluster.SameState(want) {
		return nil
	}
	ref := intent.Ref{Kind: v1beta1.KindConfigurationState, Name: want.Name}
	return []write{{ref, func(ctx context.Context) (bool, error) { return s.cluster.WriteConfigurationState(ctx, want) }}}
}

// ofPools returns the findings that the controller's ConfigurationState is about:
// those of what addresses are given from.
func ofPools(in *intent.Intent) []intent.Finding {
	var pools []intent.Finding
	for i := range in.Findings {
		if kind := in.Findings[i].Object.Kind; kind == v1beta1.KindIPAddressPool || kind == v1beta1.KindCommunity {
			pools = append(pools, in.Findings[i])
		}
	}
	return pools
}

// configFindings returns the findings that are not about Services.
func configFindings(in *intent.Intent) []intent.Finding {
	return slices.Collect(func(yield func(intent.Finding) bool) {
		for i := range in.Findings {
			if in.Findings[i].Object.Kind != "Service" && !yield(in.Findings[i]) {
				return
			}
		}
	})
}

// round is what the statuses of one round are made from.
type round struct {
	now      time.Time
	findings map[intent.Ref][]intent.Finding
	reports  *status.Reports
	peers    map[string]*intent.Peer
	view     view
}

func (s *statusWriter) newRound(v view, now time.Time) *round {
	r := &round{
		now:      now,
		findings: status.ByObject(append(configFindings(v.intent), s.check(v.intent)...)),
		reports:  status.NewReports(v.snapshot.States),
		peers:    map[string]*intent.Peer{},
		view:     v,
	}
	for _, p := range v.intent.Peers {
		r.peers[p.Name] = p
	}
	return r
}

// want returns what obj's status is to be.
func (r *round) want(ref intent.Ref, obj client.Object) (status.Object, error) {
	subject := status.Subject{
		Ref: ref, Generation: obj.GetGeneration(), Present: status.Of(obj),
		Findings: r.findings[ref], Refused: r.reports.Refused(ref),
	}
	want := status.Object{Conditions: subject.Conditions(r.now)}
	accepted := status.Find(want.Conditions, v1beta1.ConditionAccepted).Status == metav1.ConditionTrue
	var err error
	want.LastAccepted, err = status.LastAccepted(obj, obj.GetGeneration(), accepted)
	switch ref.Kind {
	case v1beta1.KindBGPPeer:
		c := r.reports.Established(r.peers[ref.Name], r.view.intent.Nodes)
		c.ObservedGeneration = obj.GetGeneration()
		want.Conditions = append(want.Conditions, status.Since(subject.Present.Conditions, c, r.now))
		want.Sessions = r.reports.Sessions(r.peers[ref.Name], r.view.intent.Nodes, status.SessionsOf(obj))
	case v1beta1.KindIPAddressPool:
		usage := r.view.usage[ref.Name]
		want.Usage = &usage
	}
	return want, err
}

func userObjects(s *intent.Snapshot) []client.Object {
	var all []client.Object
	all = add(all, s.Pools)
	all = add(all, s.Peers)
	all = add(all, s.BGPAds)
	all = add(all, s.L2Ads)
	all = add(all, s.BFDProfiles)
	return add(all, s.Communities)
}

func add[T client.Object](all []client.Object, objs []T) []client.Object {
	for _, o := range objs {
		all = append(all, o)
	}
	return all
}

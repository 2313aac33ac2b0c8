// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/status"
)

// ServiceStatus says whether speakers write ServiceBGPStatuses: one for each
// Service on each node that announces it.
type ServiceStatus string

// The values of ServiceStatus. Where none are written, those that are there are
// removed, each by the speaker of its node.
const (
	// ServiceStatusAuto: as long as the cluster holds at most 50,000. More
	// would be a burden to the API server and to all who list them.
	ServiceStatusAuto ServiceStatus = "auto"
	// ServiceStatusAlways: whatever their number.
	ServiceStatusAlways ServiceStatus = "always"
	// ServiceStatusNever: none.
	ServiceStatusNever ServiceStatus = "never"
)

// ParseServiceStatus reads one of the values.
func ParseServiceStatus(text string) (ServiceStatus, error) {
	switch s := ServiceStatus(text); s {
	case ServiceStatusAuto, ServiceStatusAlways, ServiceStatusNever:
		return s, nil
	}
	return "", fmt.Errorf("service BGP status %q: want auto, always or never", text)
}

const (
	// Auto stops above statusLimit objects in the cluster, and goes on once
	// there would be at most nine tenths of it.
	statusLimit = 50000
	// A round begins at most once in statusPause, writes each object at most
	// once, and statusWrites objects at most, spread over the pause.
	statusPause  = time.Second
	statusWrites = 50
	// statusRetry is the most that a failed write is waited after.
	statusRetry = 30 * time.Second
)

// serviceStatuses keeps the node's ServiceBGPStatuses as the last pass wants them,
// beside the loop and slowly. It works on what is there, whoever wrote it: a
// speaker that starts takes over what it finds.
type serviceStatuses struct {
	Options
	limit  int
	told   func() // conditions has changed
	latest atomic.Pointer[outcome]
	work   chan struct{} // capacity 1
	volume atomic.Int32  // undecided, tolerable or tooMany

	// Only run touches the rest.
	all     *plan.Announcers
	after   intent.Key // the Service of the last write
	failure string
}

// The values of volume.
const (
	undecided int32 = iota
	tolerable
	tooMany
)

// outcome is what a pass decided.
type outcome struct {
	intent *intent.Intent
	result *plan.Result
}

func newServiceStatuses(o Options, told func()) *serviceStatuses {
	return &serviceStatuses{Options: o, limit: statusLimit, told: told, work: make(chan struct{}, 1)}
}

// offer hands over what a pass decided. It does not wait.
func (s *serviceStatuses) offer(in *intent.Intent, r *plan.Result) {
	s.latest.Store(&outcome{in, r})
	select {
	case s.work <- struct{}{}:
	default:
	}
}

func (s *serviceStatuses) run(ctx context.Context) {
	pause := statusPause
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.work:
		case <-s.Cluster.ServiceBGPStatusesChanged():
		case <-due:
		}
		due = nil
		start := time.Now()
		left, err := s.round(ctx)
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
func (s *serviceStatuses) failed(err error, pause time.Duration) time.Duration {
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
	have, want *v1beta1.ServiceBGPStatus
}

// round writes what differs, as much as is allowed at once, and reports whether
// something is left. It ends at the first error, and the next round begins with
// another Service.
func (s *serviceStatuses) round(ctx context.Context) (left bool, err error) {
	now := s.latest.Load()
	have, listed := s.Cluster.ServiceBGPStatuses()
	if now == nil || !listed {
		return false, nil
	}
	var decisions []plan.Decision
	if s.writes(now.intent) {
		decisions = now.result.Decisions
	}
	all := s.differences(decisions, have)
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
		if err := s.write(ctx, w); err != nil && !errors.Is(err, cluster.ErrOutdated) {
			return true, err
		}
		if wait(ctx, statusPause/statusWrites) != nil {
			return true, nil
		}
	}
	return len(all) > statusWrites, nil
}

func (s *serviceStatuses) write(ctx context.Context, w statusWrite) error {
	if w.want == nil {
		return s.Cluster.DeleteServiceBGPStatus(ctx, w.have)
	}
	return s.Cluster.WriteServiceBGPStatus(ctx, w.have, w.want)
}

// differences returns what is to be written so that have, which is sorted by
// Service as decisions are, says what they do.
func (s *serviceStatuses) differences(decisions []plan.Decision, have []*v1beta1.ServiceBGPStatus) []statusWrite {
	var all []statusWrite
	remove := func(objs []*v1beta1.ServiceBGPStatus) {
		for _, o := range objs {
			all = append(all, statusWrite{service: cluster.ServiceOf(o), have: o})
		}
	}
	owner := s.Owner.reference()
	at := 0
	for i := range decisions {
		d := &decisions[i]
		if !d.Announce || d.Protocol != "bgp" {
			continue
		}
		from := at
		for at < len(have) && cluster.ServiceOf(have[at]).Compare(d.Service) < 0 {
			at++
		}
		remove(have[from:at])
		from = at
		for at < len(have) && cluster.ServiceOf(have[at]) == d.Service {
			at++
		}
		same := have[from:at]
		if len(same) == 1 && s.Cluster.IsServiceBGPStatus(same[0], d.Service, d.Peers, owner) {
			continue
		}
		w := statusWrite{service: d.Service, want: s.Cluster.ServiceBGPStatus(d.Service, d.Peers, owner)}
		keep, rest := s.choose(same, w.want)
		remove(rest)
		if keep != nil {
			w.have, w.want.Name = keep, keep.Name
		}
		if keep == nil || !s.Cluster.IsServiceBGPStatus(keep, d.Service, d.Peers, owner) {
			all = append(all, w)
		}
	}
	remove(have[at:])
	return all
}

// choose returns which of the objects about one Service stays, if one can, and the
// others.
func (s *serviceStatuses) choose(same []*v1beta1.ServiceBGPStatus, want *v1beta1.ServiceBGPStatus) (keep *v1beta1.ServiceBGPStatus, rest []*v1beta1.ServiceBGPStatus) {
	for _, o := range same {
		switch {
		case cluster.AboutAnother(o, want):
			rest = append(rest, o)
		case keep == nil:
			keep = o
		case o.Name == want.Name:
			keep, rest = o, append(rest, keep)
		default:
			rest = append(rest, o)
		}
	}
	return keep, rest
}

// writes reports whether objects are to be written at all.
func (s *serviceStatuses) writes(in *intent.Intent) bool {
	switch s.ServiceStatus {
	case ServiceStatusNever:
		s.decide(tolerable, 0)
		return false
	case ServiceStatusAlways:
		s.decide(tolerable, 0)
		return true
	}
	// Every speaker must come to the same number: what only a node itself
	// knows does not count, nor what changes when one dies.
	s.all = plan.ForNodes(s.all, in, func(n *intent.Node) plan.NodeFacts { return plan.NodeFacts{Name: n.Name, Forwarding: true} })
	stopped := s.volume.Load() == tooMany || s.volume.Load() == undecided && s.said()
	if s.all.Total > s.limit || stopped && s.all.Total > s.limit/10*9 {
		s.decide(tooMany, s.all.Total)
		return false
	}
	s.decide(tolerable, s.all.Total)
	return true
}

// said reports whether the node's ConfigurationState has it that the objects are
// too many, as it was decided before the speaker was restarted.
func (s *serviceStatuses) said() bool {
	o := s.Cluster.State(v1beta1.SpeakerStatePrefix + s.Node)
	return o != nil && status.Find(o.Status.Conditions, v1beta1.ConditionServiceBGPStatusWritten) != nil
}

// decide notes a decision and tells of it where it is another than before.
func (s *serviceStatuses) decide(now int32, objects int) {
	before := s.volume.Swap(now)
	switch {
	case now == before:
		return
	case now == tooMany:
		s.Log.Info("too many ServiceBGPStatus objects: none is written, and those of this node are removed", "node", s.Node, "objects", objects, "limit", s.limit)
	case before == tooMany:
		s.Log.Info("ServiceBGPStatus objects are written again", "node", s.Node, "objects", objects, "limit", s.limit)
	}
	s.told()
}

// conditions returns those of the node's ConfigurationState that tell of the
// objects. present are the ones that it has.
func (s *serviceStatuses) conditions(present []metav1.Condition, now time.Time) []metav1.Condition {
	volume := s.volume.Load()
	if volume == undecided && status.Find(present, v1beta1.ConditionServiceBGPStatusWritten) != nil {
		volume = tooMany
	}
	return status.ServiceStatusConditions(present, volume == tooMany, s.limit, now)
}

// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"fmt"
	"iter"
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

// Auto stops above statusLimit objects in the cluster, and goes on once there
// would be at most nine tenths of it.
const statusLimit = 50000

// serviceStatuses keeps the node's ServiceBGPStatuses as the last pass wants them.
type serviceStatuses struct {
	*serviceWriter
	limit  int
	told   func() // conditions has changed
	latest atomic.Pointer[outcome]
	volume atomic.Int32 // undecided, tolerable or tooMany
	all    *plan.Announcers
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
	s := &serviceStatuses{limit: statusLimit, told: told}
	s.serviceWriter = newServiceWriter(o, (*cluster.Cluster).ServiceBGPStatuses, s.wanted)
	return s
}

// offer hands over what a pass decided. It does not wait.
func (s *serviceStatuses) offer(in *intent.Intent, r *plan.Result) {
	s.latest.Store(&outcome{in, r})
	s.wake()
}

// wanted returns what the objects are to say.
func (s *serviceStatuses) wanted() (all iter.Seq[cluster.Announced], known bool) {
	now := s.latest.Load()
	if now == nil {
		return nil, false
	}
	var decisions []plan.Decision
	if s.writes(now.intent) {
		decisions = now.result.Decisions
	}
	return func(yield func(cluster.Announced) bool) {
		for i := range decisions {
			d := &decisions[i]
			if d.Announce && d.Protocol == "bgp" && !yield(cluster.Announced{Service: d.Service, Peers: d.Peers}) {
				return
			}
		}
	}, true
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

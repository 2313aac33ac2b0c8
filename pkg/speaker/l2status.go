// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"iter"
	"sync/atomic"

	"metallb.io/metallb-frr/pkg/cluster"
)

// l2Statuses keeps the node's ServiceL2Statuses as its engine announces. One of
// another node about the same Service goes when all addresses that it names are
// announced here, or some are and third nodes' objects name the others: that node
// may be dead.
type l2Statuses struct {
	*serviceWriter
	latest atomic.Pointer[[]answered]
}

func newL2Statuses(o Options) *l2Statuses {
	s := &l2Statuses{}
	s.serviceWriter = newServiceWriter(o, (*cluster.Cluster).ServiceL2Statuses, s.wanted)
	return s
}

// offer hands over all Services that are announced, sorted; all is not changed any
// more. It does not wait. Before the first offer nothing is written: what a former
// life of the speaker wrote stays until it is known what this one announces.
func (s *l2Statuses) offer(all []answered) {
	s.latest.Store(&all)
	s.wake()
}

// wanted returns what the objects are to say.
func (s *l2Statuses) wanted() (all iter.Seq[cluster.Announced], known bool) {
	now := s.latest.Load()
	if now == nil {
		return nil, false
	}
	return func(yield func(cluster.Announced) bool) {
		for i := range *now {
			a := &(*now)[i]
			if !yield(cluster.Announced{Service: a.service, Addrs: a.addrs, Links: a.links}) {
				return
			}
		}
	}, true
}

// SPDX-License-Identifier: Apache-2.0

package controller

import (
	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/status"
)

// settled remembers which Services a pass found as they are to be. Nearly all are, and
// the next pass need not look again at one that is the same object, keeps what it
// shows, and is to say the same. The zero value remembers none.
type settled struct {
	found     []settledService // by this pass, sorted by key
	before    []settledService // by the last one, from the Service on that is looked at
	room      []settledService // of the last one, for the next
	conflicts *status.Conflicts
}

type settledService struct {
	svc  *corev1.Service
	from *status.Announced
}

// begin opens a pass, which asks for Services in their order.
func (s *settled) begin(conflicts *status.Conflicts) {
	s.found, s.room = s.room[:0], s.found
	s.before, s.conflicts = s.room, conflicts
}

// is is [status.Settled]. Where addresses are in conflict it remembers nothing.
func (s *settled) is(svc *corev1.Service, out *ipam.Outcome, from *status.Announced) bool {
	known := s.conflicts == nil && !out.Changed && out.Reason == "" && s.was(svc) == settledService{svc, from}
	if !known && !status.Settled(svc, out, s.conflicts, from) {
		return false
	}
	if s.conflicts == nil {
		s.found = append(s.found, settledService{svc, from})
	}
	return true
}

// was returns what the last pass found of a Service of that name.
func (s *settled) was(svc *corev1.Service) settledService {
	key := intent.Key{Namespace: svc.Namespace, Name: svc.Name}
	for ; len(s.before) > 0; s.before = s.before[1:] {
		was := s.before[0]
		if was.svc == svc || (intent.Key{Namespace: was.svc.Namespace, Name: was.svc.Name}).Compare(key) >= 0 {
			return was
		}
	}
	return settledService{}
}

// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"net"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/status"
)

// report is what the node says of itself at one moment.
type report struct {
	findings []intent.Finding
	refused  []frr.Refusal
	sessions []v1beta1.SessionStatus
}

// writePause is the least time between two writes of the ConfigurationState: a
// storm of changes is folded into its last state.
const writePause = time.Second

// report hands the present state to publish, in place of one not yet written,
// and sets the session gauges.
func (s *Speaker) report() {
	r := report{refused: s.applied.Refused}
	if s.result != nil {
		r.findings = slices.Concat(s.Options.Findings, s.intent.Findings, s.result.Findings)
	}
	for _, at := range s.sessions.sorted() {
		if !at.planned {
			continue
		}
		st := v1beta1.SessionStatus{
			Peer: at.peer, Address: at.addr.String(), VRF: at.vrf, State: v1beta1.SessionDown, Reason: at.reason,
		}
		if !at.since.IsZero() {
			st.Since = metav1.NewTime(at.since.Truncate(time.Second))
		}
		if at.up {
			st.State, st.Reason = v1beta1.SessionEstablished, ""
		}
		r.sessions = append(r.sessions, st)
	}
	s.gauges.sessions(s.sessions)
	if !s.passed {
		return
	}
	s.latest.Store(&r)
	s.wake()
}

func (s *Speaker) wake() {
	select {
	case s.unwritten <- struct{}{}:
	default:
	}
}

// publish writes what report hands over, one after the other, until ctx ends.
func (s *Speaker) publish(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		select { // nothing to write is no reason to pause again
		case <-ctx.Done():
			return
		case <-s.unwritten:
			r := s.latest.Swap(nil)
			if r == nil {
				continue
			}
			if err := s.write(ctx, *r); err != nil && ctx.Err() == nil {
				s.Passes.UpdateErrors.Inc()
				s.Log.Error(err, "status not written", "node", s.Node)
				s.latest.CompareAndSwap(nil, r) // unless there is a newer one
				s.wake()
			}
		}
		pause.Reset(writePause)
	}
}

func (s *Speaker) write(ctx context.Context, r report) error {
	name := v1beta1.SpeakerStatePrefix + s.Node
	var have v1beta1.ConfigurationStateStatus
	if o := s.Cluster.State(name); o != nil {
		have = o.Status
	}
	want := &v1beta1.ConfigurationState{}
	want.Name = name
	want.Labels = map[string]string{v1beta1.LabelComponentType: v1beta1.ComponentSpeaker, v1beta1.LabelNodeName: s.Node}
	if s.Owner.UID != "" {
		want.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: s.Owner.Name, UID: types.UID(s.Owner.UID)}}
	}
	want.Status = status.Speaker(have, r.findings, r.refused, r.sessions, time.Now())
	_, err := s.Cluster.WriteConfigurationState(ctx, want)
	return err
}

// sessions sets the session gauges, whose peer label is address:port.
func (g *gauges) sessions(t *sessions) {
	g.metrics.SessionUp.Reset()
	for _, s := range t.sorted() {
		if !s.planned {
			continue
		}
		up, vrf := 0.0, s.vrf
		if s.up {
			up = 1
		}
		if vrf == "" {
			vrf = "default"
		}
		g.metrics.SessionUp.WithLabelValues(net.JoinHostPort(s.addr.String(), strconv.Itoa(int(s.port))), vrf).Set(up)
	}
}

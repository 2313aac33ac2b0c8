// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"slices"
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
	step     status.Step
	sync     status.Sync
	layer2   layer2Report
	// early: FRR has not taken any configuration yet, and there is nothing to say
	// of it.
	early bool
}

// layer2Report is what the node says of itself in layer 2.
type layer2Report struct {
	// links can announce, sorted by name; empty: there are none. Nil: not
	// known, so that what was published about links and foreign stays.
	links []v1beta1.Link
	// foreign are the addresses that other stations have, sorted by address.
	foreign []v1beta1.ForeignOwner
	// early: the node takes no part yet, so that what was published of foreign
	// stays.
	early bool
}

// maxListed is the most that the API takes of links, and of foreign owners.
const maxListed = 1000

// writePause is the least time between two writes of the ConfigurationState: a
// storm of changes is folded into its last state.
const writePause = time.Second

// report hands the present state to publish, in place of one not yet written,
// and sets the session gauges.
func (s *Speaker) report() {
	if s.layer2 != nil {
		s.layer2says = s.layer2.report()
	}
	r := report{refused: s.applied.Refused, step: s.step, sync: s.drift.sync, layer2: s.layer2says}
	if s.result != nil {
		r.findings = s.findings()
	}
	for _, at := range s.sessions.sorted() {
		if !at.planned {
			continue
		}
		st := v1beta1.SessionStatus{
			Peer: at.peer, Address: at.neighbor, VRF: at.vrf, State: v1beta1.SessionDown, Reason: at.reason, BFD: at.bfd,
		}
		st.Since = status.At(at.since)
		st.LastDown, st.LastReason = status.At(at.lastDown), at.lastReason
		if at.up {
			st.State, st.Reason = v1beta1.SessionEstablished, ""
		}
		r.sessions = append(r.sessions, st)
	}
	if r.early = !s.passed; r.early && r.layer2.links == nil {
		return
	}
	s.latest.Store(&r)
	s.wake()
}

// findings are all that is wrong for this node.
func (s *Speaker) findings() []intent.Finding {
	return slices.Concat(s.Options.Findings, s.intent.Findings, s.result.Findings)
}

func (s *Speaker) wake() {
	select {
	case s.unwritten <- struct{}{}:
	default:
	}
}

// publish writes what report hands over, one after the other, until ctx ends, and
// again where somebody changes the object. A failure is logged unless it is the
// one before.
func (s *Speaker) publish(ctx context.Context) {
	failure := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.unwritten:
		case <-s.Cluster.StatesChanged():
		}
		r := s.latest.Load()
		if r == nil {
			continue
		}
		wrote, err := s.write(ctx, *r)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.Passes.UpdateErrors.Inc()
			if text := err.Error(); text != failure {
				failure = text
				s.Log.Error(err, "status not written", "node", s.Node)
			}
			s.wake()
		case !wrote:
			failure = ""
			continue // nothing to write is no reason to pause
		default:
			failure = ""
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(writePause):
		}
	}
}

func (s *Speaker) write(ctx context.Context, r report) (bool, error) {
	name := v1beta1.SpeakerStatePrefix + s.Node
	var have v1beta1.ConfigurationStateStatus
	if o := s.Cluster.State(name); o != nil {
		have = o.Status
	}
	want := &v1beta1.ConfigurationState{}
	want.Name = name
	want.Labels = map[string]string{v1beta1.LabelComponentType: v1beta1.ComponentSpeaker, v1beta1.LabelNodeName: s.Node}
	if owner := s.Owner.reference(); owner != nil {
		want.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	want.Status = have
	if want.Status.Result == "" {
		want.Status.Result = v1beta1.ConfigurationUnknown
	}
	if !r.early {
		want.Status = s.status(have, r, time.Now())
	}
	if r.layer2.links != nil {
		want.Status.Links = r.layer2.links[:min(len(r.layer2.links), maxListed)]
		if !r.layer2.early {
			want.Status.Foreign = r.layer2.foreign[:min(len(r.layer2.foreign), maxListed)]
		}
	}
	return s.Cluster.WriteConfigurationState(ctx, want)
}

// status returns what a report makes of the status that there is; links and
// foreign owners stay.
func (s *Speaker) status(have v1beta1.ConfigurationStateStatus, r report, now time.Time) v1beta1.ConfigurationStateStatus {
	sessions := slices.Clone(r.sessions)
	status.KeepLastDown(sessions, have.Sessions)
	want := status.Speaker(have, r.findings, r.refused, sessions, now)
	want.Conditions = append(want.Conditions, r.step.Condition(have.Conditions, now))
	want.Conditions = append(want.Conditions, r.sync.Condition(have.Conditions, now))
	want.Conditions = append(want.Conditions, s.statuses.conditions(have.Conditions, now)...)
	return want
}

// reference returns the Pod as an owner, or nil where it is not known.
func (o Owner) reference() *metav1.OwnerReference {
	if o.UID == "" {
		return nil
	}
	return &metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: o.Name, UID: types.UID(o.UID)}
}

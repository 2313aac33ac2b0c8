// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// Reasons of the condition Established.
const (
	// ReasonEstablished: the session is up on every node that is to have it.
	ReasonEstablished intent.Reason = "Established"
	// ReasonBFDDown: it is, but BFD does not guard it on some node.
	ReasonBFDDown intent.Reason = "BFDDown"
	// ReasonSessionDown: it is down on some node.
	ReasonSessionDown intent.Reason = "SessionDown"
	// ReasonNotReported: it is down on no node that can be asked, but some
	// cannot: not ready, or without a speaker's report. Of a Service: nodes could
	// announce it, and no speaker has reported that it does.
	ReasonNotReported intent.Reason = "NotReported"
	// ReasonNoNodes: no node is to have it.
	ReasonNoNodes intent.Reason = "NoNodes"
	// ReasonNotInForce: the BGPPeer is not in force, so there is no session.
	ReasonNotInForce intent.Reason = "NotInForce"
)

// The states of a BFD session in SessionStatus.BFD.
const (
	bfdUp        = "up"
	bfdAdminDown = "admin-down"
)

// tally is what all nodes report of one BGPPeer's sessions.
type tally struct {
	total, up     int
	down, unknown []string // nodes, with why
	bfdUp         int
	// Nodes on which BFD is not up: while the session is, while it is not, and
	// because one of the two ends was told so.
	unguarded, silent, disabled []string
	since                       metav1.Time
	last                        *v1beta1.BGPPeerSessionEnd
}

func (r *Reports) tally(p *intent.Peer, nodes []*intent.Node) tally {
	var t tally
	for _, n := range nodes {
		if !intent.AnySelects(p.NodeSelectors, n.Labels) {
			continue
		}
		t.total++
		session, reported := r.sessions[p.Name][n.Name]
		if reported {
			t.times(n.Name, session)
		}
		switch {
		case !n.Ready:
			t.unknown = append(t.unknown, n.Name+" (not ready)")
		case !reported && !r.nodes[n.Name]:
			t.unknown = append(t.unknown, n.Name+" (no speaker)")
		case !reported:
			t.unknown = append(t.unknown, n.Name+" (not reported yet)")
		default:
			t.add(n.Name, session)
		}
	}
	return t
}

// add counts the session of a node that can be asked.
func (t *tally) add(node string, s v1beta1.SessionStatus) {
	up := s.State == v1beta1.SessionEstablished
	switch {
	case up:
		t.up++
	case s.Reason == "":
		t.down = append(t.down, node)
	default:
		t.down = append(t.down, fmt.Sprintf("%s (%s)", node, s.Reason))
	}
	switch {
	case s.BFD == "":
	case s.BFD == bfdUp:
		t.bfdUp++
	case s.BFD == bfdAdminDown:
		t.disabled = append(t.disabled, node)
	case up:
		t.unguarded = append(t.unguarded, node)
	default:
		t.silent = append(t.silent, node)
	}
}

// times notes when the session changed and ended last, also on a node that is not
// ready now: it did.
func (t *tally) times(node string, s v1beta1.SessionStatus) {
	if t.since.Before(&s.Since) {
		t.since = s.Since
	}
	if !s.LastDown.IsZero() && (t.last == nil || t.last.Time.Before(&s.LastDown)) {
		t.last = &v1beta1.BGPPeerSessionEnd{Node: node, Time: s.LastDown, Reason: bounded(s.LastReason, maxMessage)}
	}
}

// bfd says what is wrong with BFD; empty: nothing. FRR 10.3 opens a BGP session
// only while its BFD session is up, and leaves alone one that was up before it was
// given BFD, until that one ends.
func (t *tally) bfd() string {
	var text string
	if len(t.unguarded) > 0 {
		text += "; BFD is down on " + List(t.unguarded) + ": UDP 3784/4784 blocked, or no BFD on the router; once lost, the session stays down until BFD is up"
	}
	if len(t.silent) > 0 {
		text += "; BFD is down too on " + List(t.silent) + ": the router is not reached, UDP 3784/4784 blocked, or no BFD on the router"
	}
	if len(t.disabled) > 0 {
		text += "; BFD is administratively down on " + List(t.disabled)
	}
	return text
}

// Established returns the condition of that type of a BGPPeer, without times and
// generation. p is nil where the BGPPeer is not in force. A node that is not
// ready counts as unknown, whatever its speaker said last.
func (r *Reports) Established(p *intent.Peer, nodes []*intent.Node) metav1.Condition {
	const kind = v1beta1.ConditionEstablished
	if p == nil {
		return condition(kind, metav1.ConditionFalse, ReasonNotInForce, "no session: the BGPPeer is not in force")
	}
	t := r.tally(p, nodes)
	bfd := t.bfd()
	message := fmt.Sprintf("%d of %d nodes", t.up, t.total)
	if len(t.down) > 0 {
		message += "; down on " + List(t.down)
	}
	if len(t.unknown) > 0 {
		message += "; unknown on " + List(t.unknown)
	}
	message += bfd
	switch {
	case t.total == 0:
		return condition(kind, metav1.ConditionUnknown, ReasonNoNodes, "no node matches nodeSelectors")
	case len(t.down) > 0:
		return condition(kind, metav1.ConditionFalse, ReasonSessionDown, message)
	case len(t.unknown) > 0:
		return condition(kind, metav1.ConditionUnknown, ReasonNotReported, message)
	case bfd != "":
		return condition(kind, metav1.ConditionTrue, ReasonBFDDown, message)
	}
	return condition(kind, metav1.ConditionTrue, ReasonEstablished, message)
}

// Sessions returns the sums in a BGPPeer's status, or nil where it is not in
// force (p is nil) or no node is to have a session. present, which may be nil, are
// those that it has: the last end in them stays until there is a later one, since
// a node's report goes with the speaker's Pod.
func (r *Reports) Sessions(p *intent.Peer, nodes []*intent.Node, present *v1beta1.BGPPeerSessions) *v1beta1.BGPPeerSessions {
	if p == nil {
		return nil
	}
	t := r.tally(p, nodes)
	if t.total == 0 {
		return nil
	}
	if present != nil && present.LastDown != nil && (t.last == nil || t.last.Time.Before(&present.LastDown.Time)) {
		t.last = present.LastDown
	}
	return &v1beta1.BGPPeerSessions{
		Summary:  fmt.Sprintf("%d/%d", t.up, t.total),
		Expected: int32(t.total), Established: int32(t.up),
		Since: t.since, LastDown: t.last,
		BFDUp: int32(t.bfdUp), BFDDown: int32(len(t.unguarded) + len(t.silent) + len(t.disabled)),
	}
}

// SameSessions reports whether a and b say the same; nil is nothing.
func SameSessions(a, b *v1beta1.BGPPeerSessions) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	if !x.Since.Equal(&y.Since) || (x.LastDown == nil) != (y.LastDown == nil) {
		return false
	}
	if x.LastDown != nil && (x.LastDown.Node != y.LastDown.Node || x.LastDown.Reason != y.LastDown.Reason || !x.LastDown.Time.Equal(&y.LastDown.Time)) {
		return false
	}
	x.Since, y.Since, x.LastDown, y.LastDown = metav1.Time{}, metav1.Time{}, nil, nil
	return x == y
}

// KeepLastDown completes sessions with when each was lost last, from what was
// published before: a speaker that restarts does not know. It changes sessions.
func KeepLastDown(sessions, published []v1beta1.SessionStatus) {
	for i := range sessions {
		s := &sessions[i]
		if !s.LastDown.IsZero() {
			continue
		}
		for _, was := range published {
			if was.Peer == s.Peer && was.Address == s.Address && was.VRF == s.VRF {
				s.LastDown, s.LastReason = was.LastDown, was.LastReason
			}
		}
	}
}

// At returns a time with the resolution of the API, a second, or none for none.
func At(t time.Time) metav1.Time {
	if t.IsZero() {
		return metav1.Time{}
	}
	return metav1.NewTime(t.UTC().Truncate(time.Second))
}

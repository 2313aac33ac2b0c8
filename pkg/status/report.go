// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// Refusal is a line that FRR did not take, on some nodes.
type Refusal struct {
	Line    string   // as given to FRR
	Message string   // FRR's own words
	Nodes   []string // sorted
}

// Reports is what the speakers of all nodes published, by what it is about.
type Reports struct {
	refused  map[intent.Ref][]Refusal
	sessions map[string]map[string]v1beta1.SessionStatus // by peer, then node
	nodes    map[string]bool                             // that published something
}

// NewReports gathers the speakers' ConfigurationStates.
func NewReports(states []*v1beta1.ConfigurationState) *Reports {
	r := &Reports{
		refused:  map[intent.Ref][]Refusal{},
		sessions: map[string]map[string]v1beta1.SessionStatus{},
		nodes:    map[string]bool{},
	}
	for _, state := range states {
		node, ok := nodeOf(state)
		if !ok {
			continue
		}
		r.nodes[node] = true
		for _, line := range state.Status.Refused {
			r.addRefused(node, line)
		}
		for _, s := range state.Status.Sessions {
			if r.sessions[s.Peer] == nil {
				r.sessions[s.Peer] = map[string]v1beta1.SessionStatus{}
			}
			r.sessions[s.Peer][node] = s
		}
	}
	return r
}

// nodeOf returns the node whose speaker published state.
func nodeOf(state *v1beta1.ConfigurationState) (string, bool) {
	if node, ok := state.Labels[v1beta1.LabelNodeName]; ok {
		return node, true
	}
	return strings.CutPrefix(state.Name, v1beta1.SpeakerStatePrefix)
}

func (r *Reports) addRefused(node string, line v1beta1.RefusedLine) {
	for _, o := range line.Objects {
		ref := intent.Ref{Kind: o.Kind, Name: o.Name}
		known := r.refused[ref]
		i := slices.IndexFunc(known, func(x Refusal) bool { return x.Line == line.Line && x.Message == line.Message })
		if i < 0 {
			r.refused[ref] = append(known, Refusal{line.Line, line.Message, []string{node}})
			continue
		}
		if at, found := slices.BinarySearch(known[i].Nodes, node); !found {
			known[i].Nodes = slices.Insert(known[i].Nodes, at, node)
		}
	}
}

// Refused returns the lines made from the object that FRR did not take.
func (r *Reports) Refused(ref intent.Ref) []Refusal {
	all := slices.Clone(r.refused[ref])
	slices.SortFunc(all, func(a, b Refusal) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Message, b.Message)) })
	return all
}

func refusals(all []Refusal) string {
	var texts []string
	for _, r := range all {
		texts = append(texts, fmt.Sprintf("FRR refused the line %q: %s (on %s)", r.Line, r.Message, List(r.Nodes)))
	}
	return strings.Join(texts, "; ")
}

// Reasons of the condition Established.
const (
	// ReasonEstablished: the session is up on every node that is to have it.
	ReasonEstablished intent.Reason = "Established"
	// ReasonSessionDown: it is down on some node.
	ReasonSessionDown intent.Reason = "SessionDown"
	// ReasonNotReported: it is down on no node that can be asked, but some
	// cannot: not ready, or without a speaker's report.
	ReasonNotReported intent.Reason = "NotReported"
	// ReasonNoNodes: no node is to have it.
	ReasonNoNodes intent.Reason = "NoNodes"
	// ReasonNotInForce: the BGPPeer is not in force, so there is no session.
	ReasonNotInForce intent.Reason = "NotInForce"
)

// Established returns the condition of that type of a BGPPeer, without times and
// generation. p is nil where the BGPPeer is not in force. A node that is not
// ready counts as unknown, whatever its speaker said last.
func (r *Reports) Established(p *intent.Peer, nodes []*intent.Node) metav1.Condition {
	const kind = v1beta1.ConditionEstablished
	if p == nil {
		return condition(kind, metav1.ConditionFalse, ReasonNotInForce, "no session: the BGPPeer is not in force")
	}
	var total, up int
	var down, unknown []string
	for _, n := range nodes {
		if !intent.AnySelects(p.NodeSelectors, n.Labels) {
			continue
		}
		total++
		session, reported := r.sessions[p.Name][n.Name]
		switch {
		case !n.Ready:
			unknown = append(unknown, n.Name+" (not ready)")
		case !reported && !r.nodes[n.Name]:
			unknown = append(unknown, n.Name+" (no speaker)")
		case !reported:
			unknown = append(unknown, n.Name+" (not reported yet)")
		case session.State == v1beta1.SessionEstablished:
			up++
		case session.Reason == "":
			down = append(down, n.Name)
		default:
			down = append(down, fmt.Sprintf("%s (%s)", n.Name, session.Reason))
		}
	}
	message := fmt.Sprintf("%d of %d nodes", up, total)
	if len(down) > 0 {
		message += "; down on " + List(down)
	}
	if len(unknown) > 0 {
		message += "; unknown on " + List(unknown)
	}
	switch {
	case total == 0:
		return condition(kind, metav1.ConditionUnknown, ReasonNoNodes, "no node matches nodeSelectors")
	case len(down) > 0:
		return condition(kind, metav1.ConditionFalse, ReasonSessionDown, message)
	case len(unknown) > 0:
		return condition(kind, metav1.ConditionUnknown, ReasonNotReported, message)
	}
	return condition(kind, metav1.ConditionTrue, ReasonEstablished, message)
}

// ByObject groups findings by the object that they are about.
func ByObject(findings []intent.Finding) map[intent.Ref][]intent.Finding {
	by := map[intent.Ref][]intent.Finding{}
	for _, f := range findings {
		by[f.Object] = append(by[f.Object], f)
	}
	return by
}

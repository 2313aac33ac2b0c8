// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

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

// ByObject groups findings by the object that they are about.
func ByObject(findings []intent.Finding) map[intent.Ref][]intent.Finding {
	by := map[intent.Ref][]intent.Finding{}
	for _, f := range findings {
		by[f.Object] = append(by[f.Object], f)
	}
	return by
}

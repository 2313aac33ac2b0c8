// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"maps"
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/frr"
)

// refusals are the lines that FRR refused, by what was typed and where.
type refusals map[string]refusal

type refusal struct {
	refused
	fragment []frr.Line // that the line came from; nil: none that matters
}

func lineID(l frr.Line) string { return nodeID(l.Node) + "\n\n" + l.Text }

// nodeID tells one node from another. A route-map's entry is the same whether it
// permits or denies: a delta may type its lines before it changes that.
func nodeID(node []string) string {
	for i, header := range node {
		if words := strings.Fields(header); len(words) == 4 && words[0] == "route-map" {
			node = slices.Clone(node)
			node[i] = words[0] + " " + words[1] + " " + words[3]
		}
	}
	return strings.Join(node, "\n")
}

// newRefusals notes what doc's lines were refused. What was refused along with
// its node is not noted: it is decided anew with the node.
func newRefusals(doc *frr.Document, list []refused) refusals {
	known := refusals{}
	for _, r := range list {
		if !r.under {
			known[lineID(r.Line)] = refusal{refused: r}
		}
	}
	known.eachFragment(doc, func(id string, lines []frr.Line) {
		r := known[id]
		r.fragment = lines
		known[id] = r
	})
	return known
}

// still returns those refusals that are still to be expected with doc: a line is
// worth another try when anything in its fragment changed.
func (k refusals) still(doc *frr.Document) refusals {
	if len(k) == 0 {
		return nil
	}
	left := maps.Clone(k)
	k.eachFragment(doc, func(id string, lines []frr.Line) {
		if !slices.EqualFunc(k[id].fragment, lines, equal) {
			delete(left, id)
		}
	})
	return left
}

// unless returns k, or nothing where commands take something away: lines may have
// been refused because of that. A network is never the cause.
func (k refusals) unless(commands []frr.Command) refusals {
	if len(k) > 0 && slices.ContainsFunc(commands, func(c frr.Command) bool {
		return c.Undo && !strings.HasPrefix(c.Text, "no network ") && k.why(c) == ""
	}) {
		return nil
	}
	return k
}

func equal(a, b frr.Line) bool { return a.Text == b.Text && nodeID(a.Node) == nodeID(b.Node) }

// eachFragment calls f for each refused line that is in one of doc's fragments.
func (k refusals) eachFragment(doc *frr.Document, f func(id string, lines []frr.Line)) {
	if len(k) == 0 {
		return
	}
	for _, frag := range doc.Base {
		for _, line := range frag.Lines {
			id := lineID(line)
			if r, ok := k[id]; ok && !r.Undo {
				f(id, frag.Lines)
			}
		}
	}
}

// why returns the message with which a command was refused, "" if it was not.
func (k refusals) why(c frr.Command) string {
	if len(k) == 0 {
		return ""
	}
	if r, ok := k[lineID(c.Line)]; ok && r.Undo == c.Undo {
		return r.message
	}
	return ""
}

// leftOver is the key of the fragment of lines that FRR does not let go of.
const leftOver = "left over"

// settle returns what is in force once the way from old to wanted has been gone
// with the exception of refused: wanted without the lines refused, with the old
// values that those would have replaced, and with what FRR keeps.
func settle(old, wanted *frr.Document, list []refused) *frr.Document {
	if len(list) == 0 {
		return wanted
	}
	byID := map[string]bool{}
	var kept []frr.Line
	for _, r := range list {
		if r.Undo {
			kept = append(kept, undone(old, r.Command)...)
		} else {
			byID[lineID(r.Line)] = true
		}
	}
	doc := &frr.Document{Networks: wanted.Networks}
	for _, f := range wanted.Base {
		doc.Base = append(doc.Base, accepted(old, f, byID))
	}
	if len(kept) > 0 {
		doc.Base = append(doc.Base, &frr.Fragment{Key: leftOver, Lines: kept})
	}
	copied := false
	for key, f := range wanted.Networks {
		if !slices.ContainsFunc(f.Lines, func(l frr.Line) bool { return byID[lineID(l)] }) {
			continue
		}
		if !copied {
			doc.Networks, copied = maps.Clone(wanted.Networks), true
		}
		delete(doc.Networks, key)
		if was := old.Networks[key]; was != nil {
			doc.Networks[key] = was
		}
	}
	return doc
}

// accepted returns f as it is in force.
func accepted(old *frr.Document, f *frr.Fragment, byID map[string]bool) *frr.Fragment {
	if !slices.ContainsFunc(f.Lines, func(l frr.Line) bool { return byID[lineID(l)] }) {
		return f
	}
	in := *f
	in.Lines = nil
	for _, l := range f.Lines {
		if !byID[lineID(l)] {
			in.Lines = append(in.Lines, l)
		} else if was, ok := replaced(old, l); ok {
			in.Lines = append(in.Lines, was)
		}
	}
	return &in
}

// replaced returns the line of old whose value line would have replaced.
func replaced(old *frr.Document, line frr.Line) (frr.Line, bool) {
	word, _, _ := strings.Cut(line.Text, " ")
	for _, f := range old.Base {
		for _, l := range f.Lines {
			if nodeID(l.Node) == nodeID(line.Node) && strings.HasPrefix(l.Text, word) && l.Text != line.Text && sameSlot(l, line) {
				return l, true
			}
		}
	}
	return frr.Line{}, false
}

// sameSlot reports whether setting b replaces a: then there is nothing to undo.
func sameSlot(a, b frr.Line) bool {
	if a.Opens || b.Opens {
		return false
	}
	delta := frr.Diff(one(a), one(b))
	return len(delta.Commands) == 1 && !delta.Commands[0].Undo
}

// undone returns the line of old that c was to take away.
func undone(old *frr.Document, c frr.Command) []frr.Line {
	for _, f := range old.Base {
		for _, l := range f.Lines {
			if l.Comment() || nodeID(l.Node) != nodeID(c.Node) {
				continue
			}
			if delta := frr.Diff(one(l), &frr.Document{}); len(delta.Commands) == 1 && delta.Commands[0].Text == c.Text {
				return []frr.Line{l}
			}
		}
	}
	return nil
}

func one(l frr.Line) *frr.Document {
	return &frr.Document{Base: []*frr.Fragment{{Key: "line", Lines: []frr.Line{l}}}}
}

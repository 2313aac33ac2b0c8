// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/intent"
)

// Diff returns the commands that lead from old to new. A nil old is the empty
// configuration. Its cost is that of what differs, beside one look at each
// fragment.
//
// The order keeps routes announced: a BGP router with another AS number goes
// first, since FRR has one per VRF; then everything new, classes before the
// networks that use them; then what is gone, networks before their classes. A
// setting whose value changed is only set: FRR replaces it.
func Diff(old, new *Document) Delta {
	if old == nil {
		old = &Document{}
	}
	d := differ{running: old.running, was: map[string]located{}, is: map[string]located{}}
	oldBase := byKey(old.Base)
	newBase := byKey(new.Base)
	for _, f := range old.Base {
		if g := newBase[f.Key]; g == nil || !same(f, g) {
			d.had = d.add(d.was, d.had, f)
		}
	}
	for _, f := range new.Base {
		if g := oldBase[f.Key]; g == nil || !same(f, g) {
			d.has = d.add(d.is, d.has, f)
		}
	}
	d.diffNetworks(old, new)
	delta := Delta{Commands: d.commands()}
	delta.SoftOut = d.softOut(new, oldBase)
	return delta
}

// located is a line with the fragment that it comes from.
type located struct {
	Line
	slot    string
	origins *Fragment
}

type differ struct {
	running  bool               // old was read from FRR
	was, is  map[string]located // by slot
	had, has []located          // in document order, without networks
	netsGone []located
	netsNew  []located
}

func byKey(fragments []*Fragment) map[string]*Fragment {
	m := make(map[string]*Fragment, len(fragments))
	for _, f := range fragments {
		m[f.Key] = f
	}
	return m
}

func same(f, g *Fragment) bool {
	return f == g || slices.EqualFunc(f.Lines, g.Lines, func(a, b Line) bool {
		return a.Text == b.Text && slices.Equal(a.Node, b.Node)
	})
}

func (d *differ) add(into map[string]located, order []located, f *Fragment) []located {
	for _, l := range f.Lines {
		if l.Comment() {
			continue
		}
		at := located{l, slot(l), f}
		if _, twice := into[at.slot]; twice {
			continue // "bfd" opens the node for each profile
		}
		into[at.slot] = at
		order = append(order, at)
	}
	return order
}

func (d *differ) diffNetworks(old, new *Document) {
	if keys, known := new.touchedSince(old); known {
		for _, key := range keys {
			d.diffNetwork(old.Networks[key], new.Networks[key])
		}
	} else {
		for key, f := range old.Networks {
			if new.Networks[key] == nil {
				d.diffNetwork(f, nil)
			}
		}
		for key, f := range new.Networks {
			d.diffNetwork(old.Networks[key], f)
		}
	}
	bySlot := func(a, b located) int { return strings.Compare(a.slot, b.slot) }
	slices.SortFunc(d.netsGone, bySlot)
	slices.SortFunc(d.netsNew, bySlot)
}

// diffNetwork notes one network; nil: it is not there.
func (d *differ) diffNetwork(was, is *Fragment) {
	switch {
	case is != nil && (was == nil || !same(was, is)):
		d.netsNew = append(d.netsNew, located{is.Lines[0], slot(is.Lines[0]), is})
	case is == nil && was != nil:
		d.netsGone = append(d.netsGone, located{was.Lines[0], slot(was.Lines[0]), was})
	}
}

func (d *differ) commands() []Command {
	var first, undo, nets []Command
	gone := d.gone()
	s := setter{differ: d, gone: gone, places: map[string]located{}}
	for _, l := range d.has {
		s.add(l)
	}
	s.turn()
	for _, l := range d.netsNew {
		s.out = append(s.out, l.set())
	}
	for _, l := range slices.Backward(d.had) {
		if !gone.header(l) || gone.covered(l) {
			continue
		}
		c := d.undo(l)
		if strings.HasPrefix(l.Text, "router ") || l.Text == "bgp graceful-shutdown" {
			// The latter, lest new routes come marked for a moment.
			first = append(first, c)
		} else {
			undo = append(undo, c)
		}
	}
	for _, l := range d.netsGone {
		if !gone.covered(l) {
			nets = append(nets, d.undo(l))
		}
	}
	return slices.Concat(first, s.out, nets, undo, d.wake(undo))
}

func (l located) set() Command { return Command{Line: l.Line, Origins: l.origin()} }

// undo takes l away, typed in the nodes as they are called by then.
func (d *differ) undo(l located) Command {
	node := l.Node
	for i := range node {
		if is, ok := d.is[slotID(node[:i], node[i])]; ok && is.Text != node[i] {
			node = slices.Clone(node)
			node[i] = is.Text
		}
	}
	return Command{Line: Line{Node: node, Text: undoText(l.Text)}, Origins: l.origin(), Undo: true}
}

// origin returns the objects that the line comes from.
func (l located) origin() []intent.Ref {
	if l.Extra {
		return extrasOrigins
	}
	return l.origins.Origins
}

// vanished knows which slots are no longer wanted.
type vanished struct{ slots map[string]bool }

func (d *differ) gone() vanished {
	v := vanished{map[string]bool{}}
	for id, l := range d.was {
		if _, still := d.is[id]; !still && (owned(l.Line) || l.Extra && !place(l.Line) && l.Text != "bfd") {
			v.slots[id] = true
		}
	}
	return v
}

// header reports whether l itself is to be taken away.
func (v vanished) header(l located) bool { return v.slots[l.slot] }

// covered reports whether l goes with something that goes as a whole: its node,
// or the neighbour that it belongs to.
func (v vanished) covered(l located) bool {
	for i := range l.Node {
		if v.slots[slotID(l.Node[:i], l.Node[i])] {
			return true
		}
	}
	words := strings.Fields(l.Text)
	if len(words) < 3 || words[0] != "neighbor" || len(l.Node) == 0 {
		return false
	}
	for _, form := range []string{" remote-as", " interface"} {
		id := slotID(l.Node[:1], "neighbor "+words[1]+form)
		if v.slots[id] && id != l.slot {
			return true
		}
	}
	return false
}

// softOut lists the neighbours whose out map changed while they stayed.
func (d *differ) softOut(new *Document, oldBase map[string]*Fragment) []SoftClear {
	changed := map[string]bool{}
	note := func(order []located, other map[string]located) {
		for _, l := range order {
			name, ok := routeMapOf(l.Line)
			if o, there := other[l.slot]; ok && (!there || o.Text != l.Text) {
				changed[name] = true
			}
		}
	}
	note(d.had, d.is)
	note(d.has, d.was)
	var clears []SoftClear
	for _, f := range new.Base {
		if f.OutMap != "" && changed[f.OutMap] && (oldBase["running"] != nil || f.stayed(oldBase[f.Key])) {
			clears = append(clears, f.Clear)
		}
	}
	return clears
}

// stayed reports whether f is was, perhaps changed, in the same router.
func (f *Fragment) stayed(was *Fragment) bool {
	return was != nil && len(was.Lines) > 0 && len(f.Lines) > 0 && slices.Equal(was.Lines[0].Node, f.Lines[0].Node)
}

// routeMapOf returns the name of the route-map that a line opens or stands in.
func routeMapOf(l Line) (string, bool) {
	header := l.Text
	if len(l.Node) > 0 {
		header = l.Node[0]
	}
	rest, ok := strings.CutPrefix(header, "route-map ")
	name, _, _ := strings.Cut(rest, " ")
	return name, ok
}

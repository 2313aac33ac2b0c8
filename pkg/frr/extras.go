// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"maps"
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/intent"
)

// overlay is what a user adds to a Document: lines in FRR's canonical form. One
// that sets what a line of ours sets replaces it, and a route-map entry replaces
// ours of the same name and number with all that is in it.
type overlay struct {
	source   *intent.Extras
	lines    []extraLine
	entries  map[string][]Line // route-map entries, header first, by slot
	networks map[NetworkKey]*Fragment
}

// extraLine is a line outside of route-maps.
type extraLine struct {
	Line
	slot string
}

// newOverlay reads extras; nil: there are none.
func newOverlay(x *intent.Extras) *overlay {
	if x == nil {
		return nil
	}
	o := &overlay{source: x, entries: map[string][]Line{}, networks: map[NetworkKey]*Fragment{}}
	numbers := &numbering{last: map[string]int{}, seen: map[string]bool{}}
	at := map[string]int{} // the slots that have been set
	for _, l := range x.Lines {
		node, text := canonical(l.Node, l.Text)
		if len(node) == 0 {
			text = numbers.entry(text)
		}
		if text == "" {
			continue
		}
		line := Line{Node: node, Text: text, Opens: l.Opens, Extra: true}
		if key, ok := networkOf(line); ok {
			o.networks[key] = &Fragment{Key: "network " + key.Prefix.String(), Origins: extrasOrigins, Lines: []Line{line}}
			// It stands in an address family that is to be in frr.conf.
			line = Line{Node: node[:1], Text: node[1], Opens: true, Extra: true}
		}
		id := slot(line)
		if entry, ok := entrySlot(line); ok {
			o.entries[entry] = setLine(o.entries[entry], line)
			continue
		}
		if i, set := at[id]; !set {
			at[id] = len(o.lines)
			o.lines = append(o.lines, extraLine{line, id})
		} else if !line.Opens {
			o.lines[i].Line = line // the last one counts
		}
	}
	return o
}

var extrasOrigins = []intent.Ref{intent.ExtrasRef}

// setLine adds a line to a route-map entry, or replaces the value of one there.
func setLine(entry []Line, line Line) []Line {
	id := slot(line)
	if i := slices.IndexFunc(entry, func(l Line) bool { return slot(l) == id }); i >= 0 {
		entry[i] = line
	} else {
		entry = append(entry, line)
	}
	if line.Opens {
		for i := range entry[1:] {
			entry[1+i].Node = []string{line.Text} // permit may have become deny
		}
	}
	return entry
}

// entrySlot returns the slot of the route-map entry that a line opens or stands
// in.
func entrySlot(l Line) (string, bool) {
	header := l.Text
	if len(l.Node) > 0 {
		header = l.Node[0]
	} else if !l.Opens {
		return "", false
	}
	return slotID(nil, header), strings.HasPrefix(header, "route-map ")
}

// onto lays o over doc, whose networks are not made yet.
func (o *overlay) onto(doc *Document) {
	p := placing{overlay: o, used: map[string]bool{}, extra: map[string]Line{}, known: map[string]bool{}}
	for _, l := range o.lines {
		p.extra[l.slot] = l.Line
	}
	for i, f := range doc.Base {
		doc.Base[i] = p.over(f)
	}
	p.neighbors(doc)
	doc.Base = p.insert(doc.Base)
}

// placing finds the place for each line of an overlay.
type placing struct {
	*overlay
	extra map[string]Line // the lines, by slot
	used  map[string]bool // slots whose line or entry has its place
	known map[string]bool // neighbours, by router and name
}

// over returns f with what o replaces in it.
func (p *placing) over(f *Fragment) *Fragment {
	touched := slices.ContainsFunc(f.Lines, func(l Line) bool {
		entry, isEntry := entrySlot(l)
		_, set := p.extra[slot(l)]
		return set || isEntry && p.entries[entry] != nil
	})
	if !touched {
		return f
	}
	g := *f
	g.Lines = nil
	for _, l := range f.Lines {
		if entry, ok := entrySlot(l); ok && !l.Comment() && p.entries[entry] != nil {
			if !p.used[entry] {
				p.used[entry] = true
				if n := len(g.Lines); n > 0 && g.Lines[n-1].Comment() {
					g.Lines = g.Lines[:n-1] // it is about ours
				}
				g.Lines = append(append(g.Lines, extrasNote), p.entries[entry]...)
			}
			continue
		}
		id := slot(l)
		with, ok := p.extra[id]
		if ok && !l.Comment() {
			p.used[id] = true
			if with.Text != l.Text {
				l = with
			}
		}
		g.Lines = append(g.Lines, l)
	}
	return &g
}

// neighbors notes which neighbours there are.
func (p *placing) neighbors(doc *Document) {
	note := func(l Line) {
		words := strings.Fields(l.Text)
		if len(l.Node) > 0 && len(words) > 2 && words[0] == "neighbor" && slices.Contains([]string{"remote-as", "interface", "peer-group"}, words[2]) {
			p.known[l.Node[0]+"\n"+words[1]] = true
		}
	}
	for _, f := range doc.Base {
		for _, l := range f.Lines {
			note(l)
		}
	}
	for _, l := range p.lines {
		note(l.Line)
	}
}

// strange reports whether a line is about a neighbour that is not there. FRR
// would refuse it; on a node that the BGPPeer does not select that is no fault.
func (p *placing) strange(l Line) bool {
	words := strings.Fields(strings.TrimPrefix(l.Text, "no "))
	return len(l.Node) > 0 && len(words) > 2 && words[0] == "neighbor" && !p.known[l.Node[0]+"\n"+words[1]]
}

// insert returns base with fragments of the lines that have no place yet: what
// others refer to at the start, route-map entries behind ours, lines of a router
// behind ours, and at the end what refers to route-maps.
func (p *placing) insert(base []*Fragment) []*Fragment {
	first := &Fragment{Key: "extras", Origins: extrasOrigins}
	last := &Fragment{Key: "extras end", Origins: extrasOrigins}
	routers := map[string]*Fragment{}
	var order []string
	for _, l := range p.lines {
		if p.used[l.slot] || p.strange(l.Line) {
			continue
		}
		top := l.Text
		if len(l.Node) > 0 {
			top = l.Node[0]
		}
		f := first
		switch {
		case strings.HasPrefix(top, "router "):
			if f = routers[top]; f == nil {
				f = &Fragment{Key: "extras " + top, Origins: extrasOrigins}
				routers[top] = f
				order = append(order, top)
			}
		case strings.HasPrefix(top, "ip protocol "), strings.HasPrefix(top, "ipv6 protocol "):
			f = last
		}
		f.Lines = append(f.Lines, l.Line)
	}
	entries := p.entryFragments()
	var out []*Fragment
	before := slices.IndexFunc(base, func(f *Fragment) bool { return strings.HasPrefix(f.Key, "router ") })
	if before < 0 {
		before = len(base)
	}
	start := min(1, len(base)) // behind what is of the node itself
	out = append(out, base[:start]...)
	out = append(out, first.unlessEmpty()...)
	out = append(append(append(out, base[start:before]...), entries...), base[before:]...)
	for _, top := range order {
		i := len(out)
		for j, f := range out {
			if slices.ContainsFunc(f.Lines, func(l Line) bool { return l.Text == top || len(l.Node) > 0 && l.Node[0] == top }) {
				i = j + 1
			}
		}
		out = slices.Insert(out, i, routers[top])
	}
	return append(out, last.unlessEmpty()...)
}

// entryFragments returns the route-map entries that replace none of ours.
func (p *placing) entryFragments() []*Fragment {
	var out []*Fragment
	for _, id := range slices.Sorted(maps.Keys(p.entries)) {
		if !p.used[id] {
			out = append(out, &Fragment{Key: "extras " + strings.TrimSpace(id), Origins: extrasOrigins, Lines: append([]Line{extrasNote}, p.entries[id]...)})
		}
	}
	return out
}

// extrasNote stands in frr.conf above what a user added.
var extrasNote = Line{Text: "! From the ConfigMap " + intent.ExtrasName}

func (f *Fragment) unlessEmpty() []*Fragment {
	if len(f.Lines) == 0 {
		return nil
	}
	f.Lines = append([]Line{extrasNote}, f.Lines...)
	return []*Fragment{f}
}

// overlay lays what a user adds over the Document, whose networks are not made
// yet. It returns prev unless that one's networks are those of other extras.
func (b *builder) overlay(prev *Document, x *intent.Extras) *Document {
	if prev != nil && prev.extras.is(x) {
		b.doc.extras = prev.extras
	} else {
		b.doc.extras, prev = newOverlay(x), nil
	}
	if b.doc.extras != nil {
		b.doc.extras.onto(b.doc)
	}
	return prev
}

func (o *overlay) is(x *intent.Extras) bool {
	if o == nil {
		return x == nil
	}
	return o.source == x
}

// extraNetworks lays the overlay's networks over those of the Document. shared:
// the map is still that of the Document before.
func (b *builder) extraNetworks(shared bool) {
	o := b.doc.extras
	if o == nil {
		return
	}
	for key, f := range o.networks {
		if b.doc.Networks[key] == f {
			continue
		}
		if shared {
			b.doc.Networks, shared = maps.Clone(b.doc.Networks), false
		}
		b.doc.Networks[key] = f
	}
}

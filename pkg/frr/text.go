// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Text returns the Document as frr.conf.
func (d *Document) Text() string { return new(Printer).Text(d) }

// Printer writes one Document after another as frr.conf. Where one was made of
// the other it sorts only what changed. The zero value is ready for use.
type Printer struct {
	last *Document
	// networks are the network lines of each address family, by its node,
	// sorted by key.
	networks map[string][]printed
	size     int // of the last text
}

// printed is a network's line.
type printed struct {
	key  NetworkKey
	text string
}

// Text returns d as frr.conf.
func (p *Printer) Text(d *Document) string {
	p.read(d)
	w := &writer{networks: maps.Clone(p.networks)} // what is printed is taken out
	w.out.Grow(p.size + p.size/16)
	for _, f := range d.Base {
		for _, l := range f.Lines {
			w.line(l)
		}
	}
	w.enter(nil)
	w.out.WriteString("end\n")
	p.size = w.out.Len()
	return w.out.String()
}

// read brings networks to those of d.
func (p *Printer) read(d *Document) {
	last := p.last
	p.last = d
	if last != nil {
		if keys, known := d.touchedSince(last); known {
			for _, key := range keys {
				p.replace(key, d.Networks[key])
			}
			return
		}
	}
	p.networks = map[string][]printed{}
	for key, f := range d.Networks {
		for _, l := range f.Lines {
			id := nodeID(l.Node)
			p.networks[id] = append(p.networks[id], printed{key, l.Text})
		}
	}
	for _, list := range p.networks {
		slices.SortFunc(list, func(a, b printed) int { return a.key.compare(b.key) })
	}
}

// replace puts one network in its place; nil: there is none of that key.
func (p *Printer) replace(key NetworkKey, f *Fragment) {
	find := func(list []printed) (int, bool) {
		return slices.BinarySearchFunc(list, key, func(at printed, key NetworkKey) int { return at.key.compare(key) })
	}
	for id, list := range p.networks {
		if at, found := find(list); found {
			p.networks[id] = slices.Delete(list, at, at+1)
		}
	}
	if f == nil {
		return
	}
	for _, l := range f.Lines {
		id := nodeID(l.Node)
		at, _ := find(p.networks[id])
		p.networks[id] = slices.Insert(p.networks[id], at, printed{key, l.Text})
	}
}

// compare orders by VRF, then by prefix.
func (k NetworkKey) compare(o NetworkKey) int {
	return cmp.Or(cmp.Compare(k.VRF, o.VRF), k.Prefix.Addr().Compare(o.Prefix.Addr()), cmp.Compare(k.Prefix.Bits(), o.Prefix.Bits()))
}

// writer prints lines, entering and leaving nodes as they ask.
type writer struct {
	out      strings.Builder
	node     []string // where the writer is
	networks map[string][]printed
	settings bool // the last line was a setting of the node itself
}

func (w *writer) line(l Line) {
	if l.Opens && w.within(l) {
		w.enter(append(slices.Clip(l.Node), l.Text))
		return
	}
	w.enter(l.Node)
	if w.settings && (l.Opens || l.Comment()) {
		w.print("!")
	}
	w.settings = len(l.Node) == 0 && !l.Opens && !l.Comment()
	w.print(l.Text)
	if l.Opens {
		w.node = append(slices.Clip(l.Node), l.Text)
	}
}

// within reports whether the writer is in the node that l opens already.
func (w *writer) within(l Line) bool {
	depth := len(l.Node)
	return len(w.node) > depth && slices.Equal(w.node[:depth], l.Node) && w.node[depth] == l.Text
}

func (w *writer) print(text string) {
	w.out.WriteString(strings.Repeat(" ", len(w.node)))
	w.out.WriteString(text)
	w.out.WriteByte('\n')
}

// enter leaves and opens nodes until the writer is in node.
func (w *writer) enter(node []string) {
	same := 0
	for same < len(node) && same < len(w.node) && node[same] == w.node[same] {
		same++
	}
	for len(w.node) > same {
		w.leave()
	}
	for _, header := range node[same:] {
		w.print(header)
		w.node = append(slices.Clip(w.node), header)
	}
}

// leave closes the innermost node; an address family prints its networks first.
func (w *writer) leave() {
	id := nodeID(w.node)
	for _, l := range w.networks[id] {
		w.print(l.text)
	}
	delete(w.networks, id) // a node may be entered again
	exit := "exit"
	if strings.HasPrefix(w.node[len(w.node)-1], "address-family ") {
		exit = "exit-address-family"
	}
	w.node = w.node[:len(w.node)-1]
	w.print(exit)
	if len(w.node) == 0 {
		w.print("!")
	}
}

func nodeID(node []string) string { return strings.Join(node, "\n") }

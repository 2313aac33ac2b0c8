// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"cmp"
	"slices"
	"strings"
)

// Text returns the Document as frr.conf.
func (d *Document) Text() string {
	w := &writer{networks: d.networksByNode()}
	for _, f := range d.Base {
		for _, l := range f.Lines {
			w.line(l)
		}
	}
	w.enter(nil)
	w.out.WriteString("end\n")
	return w.out.String()
}

// networksByNode groups the network lines by the address family that they stand
// in, sorted by prefix.
func (d *Document) networksByNode() map[string][]Line {
	keys := make([]NetworkKey, 0, len(d.Networks))
	for k := range d.Networks {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, NetworkKey.compare)
	byNode := map[string][]Line{}
	for _, k := range keys {
		for _, l := range d.Networks[k].Lines {
			id := nodeID(l.Node)
			byNode[id] = append(byNode[id], l)
		}
	}
	return byNode
}

// compare orders by VRF, then by prefix.
func (k NetworkKey) compare(o NetworkKey) int {
	return cmp.Or(cmp.Compare(k.VRF, o.VRF), k.Prefix.Addr().Compare(o.Prefix.Addr()), cmp.Compare(k.Prefix.Bits(), o.Prefix.Bits()))
}

// writer prints lines, entering and leaving nodes as they ask.
type writer struct {
	out      strings.Builder
	node     []string // where the writer is
	networks map[string][]Line
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
		w.print(l.Text)
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

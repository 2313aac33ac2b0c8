// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"iter"
	"net/netip"
	"strings"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// Document is a whole FRR configuration as fragments. It is immutable; Build
// shares with the previous Document what did not change.
type Document struct {
	// Base are all fragments but the networks, in the order of frr.conf.
	Base []*Fragment
	// Networks hold one fragment per announced prefix and VRF. They stand at
	// the end of their address family in frr.conf.
	Networks map[NetworkKey]*Fragment
	// Unrendered are the user's own templates that failed, at most 100; their
	// fragments were made by the built-in ones.
	Unrendered []Refusal

	running bool // read from FRR, which hides what is default

	// How it came to be, if Build made it of another one: what the routers
	// were, what users add, and which networks may differ. self tells a copy, of which none of
	// this is true.
	self       *Document
	made, from *mark
	routers    []*plan.Router
	extras     *overlay
	touched    []NetworkKey
	failed     map[NetworkKey]*Fragment // the networks among Unrendered
}

// mark tells one Document from another without keeping it alive.
type mark struct{ _ byte }

// touchedSince returns the keys of the networks that may differ from those of
// old, and whether that is known.
func (d *Document) touchedSince(old *Document) (keys []NetworkKey, known bool) {
	return d.touched, d.self == d && old.self == old && d.from != nil && d.from == old.made
}

// NetworkKey identifies the announcement of a prefix.
type NetworkKey struct {
	VRF    string
	Prefix netip.Prefix
}

// Fragment is the configuration of one element: what one template rendered.
type Fragment struct {
	// Key is the fragment's identity in its Document, such as
	// "neighbor 192.0.2.1".
	Key string
	// Origins are the objects to mend when FRR refuses one of the lines.
	Origins []intent.Ref
	// Lines are the configuration lines and comments, in order.
	Lines []Line
	// OutMap is set on a fragment that applies an out map to a neighbour: the
	// map's name, and whom to clear when the map changes.
	OutMap string
	Clear  SoftClear

	route  *plan.Route // of a network
	failed *Refusal    // why it was made by a built-in template; nil: it was not replaced
}

// Line is one configuration command and the node that it is typed in.
type Line struct {
	// Node are the commands that lead there from the top of the configuration,
	// outermost first, such as "router bgp 65100", "address-family ipv4
	// unicast"; nil at the top.
	Node []string
	// Text is the command without indentation. One that begins with "!" is a
	// comment: it stands in the file and is never sent.
	Text string
	// Opens: the command enters a node of its own.
	Opens bool
	// Extra: a user wrote it, in the ConfigMap bgpextras.
	Extra bool
}

// Comment reports whether the line is one.
func (l Line) Comment() bool { return strings.HasPrefix(l.Text, "!") }

// Command is one step of a delta.
type Command struct {
	Line
	// Origins are those of the fragment that the line comes, or came, from.
	Origins []intent.Ref
	// Undo: the command takes something away.
	Undo bool
}

// Delta leads from one Document to another.
type Delta struct {
	// Commands in the order to type them.
	Commands []Command
	// SoftOut are the neighbours whose out map changed, as arguments of
	// "clear bgp": FRR re-evaluates what it sent them only on request.
	SoftOut []SoftClear
}

// SoftClear asks FRR to evaluate a neighbour's out map again.
type SoftClear struct{ VRF, Family, Neighbor string }

// Refusal is a line that FRR did not accept.
type Refusal struct {
	Line    Line
	Origins []intent.Ref
	// Message is what FRR said, without the leading "% ".
	Message string
}

// Applied is what became of a Document.
type Applied struct {
	// Commands is the number of lines that were sent.
	Commands int
	// Refused are the lines of the Document that FRR does not accept; all
	// others are in force.
	Refused []Refusal
}

// Lines returns the Document's commands, the networks last.
func (d *Document) Lines() iter.Seq[Line] {
	return func(yield func(Line) bool) {
		for _, f := range d.Base {
			for _, l := range f.Lines {
				if !l.Comment() && !yield(l) {
					return
				}
			}
		}
		for _, f := range d.Networks {
			for _, l := range f.Lines {
				if !yield(l) {
					return
				}
			}
		}
	}
}

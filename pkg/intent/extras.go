// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"slices"
	"strings"
)

// ExtrasName is the name of the ConfigMap in the product's namespace with which
// users add to FRR's configuration, and ExtrasKey the key that holds the text.
const (
	ExtrasName = "bgpextras"
	ExtrasKey  = "extras"
)

// ExtrasRef is that ConfigMap as an object reference.
var ExtrasRef = Ref{Kind: "ConfigMap", Name: ExtrasName}

// Extras are the lines that users add to FRR's configuration on every node.
type Extras struct {
	Lines []ExtraLine
}

// ExtraLine is one configuration command of Extras.
type ExtraLine struct {
	// Number of the line in the text, from 1.
	Number int
	// Node are the commands that open the configuration nodes that the line
	// stands in, outermost first; nil at the top.
	Node []string
	// Text is the command, its words separated by single blanks.
	Text string
	// Opens: the command opens a node of its own.
	Opens bool
}

func (r *resolver) extras() {
	o := r.s.Extras
	if o == nil {
		return
	}
	text, has := o.Data[ExtrasKey]
	if !has {
		r.find(Finding{Object: ExtrasRef, Severity: Warning, Reason: ExtrasEmpty, Field: "data",
			Message: fmt.Sprintf("there is no key %q, so nothing is added to FRR's configuration", ExtrasKey)})
		return
	}
	x, findings := ReadExtras(text)
	r.c.findings = append(r.c.findings, findings...)
	if len(x.Lines) > 0 {
		r.c.Extras = x
	}
}

// maxExtraLine is the longest line that vtysh takes, in bytes.
const maxExtraLine = 4000

// ReadExtras reads configuration text as people write it and as FRR prints it:
// what stands in a node is indented, or follows the line that opens the node
// until "exit" or a command that cannot stand in it. Lines that are no
// configuration are left out and are Findings; all others are returned.
func ReadExtras(text string) (*Extras, []Finding) {
	r := extrasReader{out: &Extras{}}
	number := 0
	for raw := range strings.Lines(text) {
		number++
		raw = strings.TrimRight(strings.ReplaceAll(raw, "\t", "        "), " \r\n")
		trimmed := strings.TrimLeft(raw, " ")
		if trimmed == "" || trimmed[0] == '!' || trimmed[0] == '#' {
			continue
		}
		r.line(number, len(raw)-len(trimmed), strings.Join(strings.Fields(trimmed), " "))
	}
	return r.out, r.findings
}

// extrasReader knows where in the text it is.
type extrasReader struct {
	out      *Extras
	findings []Finding
	stack    []openNode
}

// openNode is a node that following lines may stand in.
type openNode struct {
	header string
	kind   nodeKind
	indent int // of the header
	inner  int // of the lines in it; -1: none was indented deeper yet
}

func (r *extrasReader) line(number, indent int, text string) {
	word, _, _ := strings.Cut(text, " ")
	switch {
	case word == "end":
		r.stack = nil
		return
	case word == "exit", strings.HasPrefix(word, "exit-"):
		r.exit(indent, word)
		return
	case strings.HasPrefix(text, "frr version "):
		return // what "show running-config" says of itself
	}
	if why := unusable(word, text); why != "" {
		r.find(number, text, why)
		return
	}
	r.settle(indent, text)
	kind := topNode
	if n := len(r.stack); n > 0 {
		kind = r.stack[n-1].kind
	} else if indent > 0 && !topLevel(text) {
		r.find(number, text, "it is indented, and no line above opens a node that it could stand in; write the line that does (router bgp, route-map, address-family, interface, ...) above it")
		return
	}
	child := kind.opened(text)
	r.out.Lines = append(r.out.Lines, ExtraLine{Number: number, Node: r.node(), Text: text, Opens: child != nil})
	if child != nil {
		r.stack = append(r.stack, openNode{text, child, indent, -1})
	}
}

// settle leaves the nodes that a line cannot stand in.
func (r *extrasReader) settle(indent int, text string) {
	for n := len(r.stack); n > 0; n = len(r.stack) {
		top := &r.stack[n-1]
		if indent > top.indent && (top.inner < 0 || indent >= top.inner || top.kind.holds(text)) {
			top.inner = indent
			return
		}
		if top.inner < 0 && indent == top.indent && top.kind.holds(text) {
			return // a text without indentation
		}
		r.stack = r.stack[:n-1]
	}
}

// exit leaves the node that an exit at this indentation ends.
func (r *extrasReader) exit(indent int, word string) {
	left := false
	for n := len(r.stack); n > 0 && r.stack[n-1].indent > indent; n = len(r.stack) {
		r.stack, left = r.stack[:n-1], true
	}
	n := len(r.stack)
	switch {
	case n == 0, left && r.stack[n-1].indent < indent:
	case word == "exit-address-family" && !strings.HasPrefix(r.stack[n-1].header, "address-family "):
	case word == "exit-vrf" && !strings.HasPrefix(r.stack[n-1].header, "vrf "):
	default:
		r.stack = r.stack[:n-1]
	}
}

func (r *extrasReader) node() []string {
	var node []string
	for _, open := range r.stack {
		node = append(node, open.header)
	}
	return node
}

func (r *extrasReader) find(number int, text, why string) {
	r.findings = append(r.findings, Finding{
		Object: ExtrasRef, Severity: Invalid, Reason: ExtrasUnreadable, Field: "data." + ExtrasKey, Value: short(Masked(text)),
		Message: fmt.Sprintf("line %d is left out: %s", number, why),
	})
}

// Masked returns a line of FRR's configuration without the password in it.
func Masked(line string) string {
	for _, word := range []string{"password ", "key-string "} {
		if i := strings.Index(" "+line, " "+word); i >= 0 {
			return line[:i] + word + "[redacted]"
		}
	}
	return line
}

// short returns a line not longer than one reads.
func short(line string) string {
	if len(line) > 200 {
		return strings.ToValidUTF8(line[:200], "") + " ..."
	}
	return line
}

// unusable says why a line is no configuration command, or returns "".
func unusable(word, text string) string {
	switch word {
	case "configure", "conf", "enable", "disable", "show", "do", "write", "copy", "clear", "vtysh", "quit", "terminal", "ping", "traceroute":
		return "it is a command to vtysh, not configuration; remove it"
	case "Building", "Current":
		return "it is what vtysh prints above a configuration; remove it"
	case "XFRR_start_configuration", "XFRR_end_configuration":
		return "it is internal to FRR; remove it"
	}
	if len(text) > maxExtraLine {
		return fmt.Sprintf("it has %d bytes; FRR takes %d", len(text), maxExtraLine)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }); i >= 0 {
		return fmt.Sprintf("it has a control character at position %d; remove it", i+1)
	}
	return ""
}

// In returns the lines of x but for those in which keep is false, with
// everything that stands in them.
func (x *Extras) In(keep func(header ExtraLine) bool) *Extras {
	out := &Extras{}
	gone := map[string]bool{}
	for _, l := range x.Lines {
		top := l.Text
		if len(l.Node) > 0 {
			top = l.Node[0]
		} else if l.Opens && !gone[top] && !keep(l) {
			gone[top] = true
		}
		if !gone[top] {
			out.Lines = append(out.Lines, l)
		}
	}
	if len(out.Lines) == len(x.Lines) {
		return x
	}
	return out
}

func sameExtras(a, b *Snapshot) bool {
	if a.Extras == nil || b.Extras == nil {
		return a.Extras == b.Extras
	}
	x, inX := a.Extras.Data[ExtrasKey]
	y, inY := b.Extras.Data[ExtrasKey]
	return x == y && inX == inY
}

func firstOf(text string, words ...string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(text, "no "), " ")
	return slices.Contains(words, first)
}

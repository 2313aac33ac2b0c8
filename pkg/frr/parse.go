// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"net/netip"
	"slices"
	"strings"
)

// parseLines reads configuration text, in which a line that is indented deeper
// than the one above it belongs to the node that the latter opens, into Lines.
// Their nodes begin with base. "exit" lines and empty comments are dropped: the
// structure says what they say.
func parseLines(base []string, text string) []Line {
	type level struct {
		indent int
		node   []string
	}
	var lines []Line
	stack := []level{{-1, base}}
	for raw := range strings.Lines(text) {
		raw = strings.TrimRight(raw, " \r\n\t")
		trimmed := strings.TrimLeft(raw, " ")
		if trimmed == "" || trimmed == "!" || trimmed == "end" || trimmed == "exit" || strings.HasPrefix(trimmed, "exit-") {
			continue
		}
		indent := len(raw) - len(trimmed)
		for len(stack) > 1 && stack[len(stack)-1].indent >= indent {
			stack = stack[:len(stack)-1]
		}
		line := Line{Node: stack[len(stack)-1].node, Text: trimmed, Opens: opens(stack[len(stack)-1].node, trimmed)}
		lines = append(lines, line)
		if line.Opens {
			stack = append(stack, level{indent, append(slices.Clip(line.Node), trimmed)})
		}
	}
	return lines
}

// opens reports whether a command enters a configuration node of its own.
func opens(node []string, text string) bool {
	prefixes := openers["top"]
	if len(node) > 0 {
		word, _, _ := strings.Cut(node[len(node)-1], " ")
		prefixes = openers[word]
	}
	for _, p := range prefixes {
		if strings.HasPrefix(text, p) {
			return true
		}
	}
	return len(node) == 0 && text == "bfd"
}

// openers are the beginnings of commands that open nodes, by the first word of
// the node that they stand in.
var openers = map[string][]string{
	"top":            {"router ", "route-map ", "vrf ", "interface ", "key chain ", "line vty", "segment-routing", "pbr-map ", "nexthop-group "},
	"router":         {"address-family ", "bmp targets ", "segment-routing "},
	"address-family": {"vni "},
	"bfd":            {"profile ", "peer "},
	"key":            {"key "},
}

// ParseConf reads a frr.conf. Diff takes all of it for wanted.
func ParseConf(text string) *Document {
	doc := ParseRunning(text)
	doc.running = false
	return doc
}

// ParseRunning reads what "show running-config" printed. Of the result only the
// parts that the product owns are ever taken away by a Diff: BGP routers, BFD
// profiles, route-maps and the lists that they use, and what else a user may have
// added.
func ParseRunning(text string) *Document {
	if i := strings.Index(text, "Current configuration:"); i >= 0 {
		text = text[i+len("Current configuration:"):]
	}
	doc := &Document{Networks: map[NetworkKey]*Fragment{}, running: true}
	rest := &Fragment{Key: "running"}
	for _, line := range parseLines(nil, text) {
		if key, ok := networkOf(line); ok {
			doc.Networks[key] = &Fragment{Key: "network " + key.Prefix.String(), Lines: []Line{line}}
			continue
		}
		if strings.HasPrefix(line.Text, "address-family ") {
			continue // a place, not a setting
		}
		rest.Lines = append(rest.Lines, line)
	}
	doc.Base = []*Fragment{rest}
	return doc
}

// networkOf reads a network line inside an address family.
func networkOf(l Line) (NetworkKey, bool) {
	rest, ok := strings.CutPrefix(l.Text, "network ")
	if !ok || len(l.Node) != 2 {
		return NetworkKey{}, false
	}
	text, _, _ := strings.Cut(rest, " ")
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return NetworkKey{}, false
	}
	_, vrf, _ := strings.Cut(l.Node[0], " vrf ")
	return NetworkKey{VRF: vrf, Prefix: prefix}, true
}

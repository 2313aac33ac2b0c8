// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/frr"
)

// model is a configuration as a set of lines, which takes commands as FRR does
// and refuses those that FRR would, and those that would leave traffic or routes
// open for a moment.
type model map[modelLine]bool

type modelLine struct{ node, text string }

func modelOf(doc *frr.Document) model {
	m := model{}
	for l := range doc.Lines() {
		m[modelLine{strings.Join(l.Node, "\n"), l.Text}] = true
	}
	return m
}

// sameValue are the commands that hold one value: what the expression finds in
// both, in the same node, is one setting.
var sameValue = []*regexp.Regexp{
	regexp.MustCompile(`^neighbor \S+ (timers connect|bfd profile|remote-as|description|password|port|update-source|local-as|ebgp-multihop)\b`),
	regexp.MustCompile(`^neighbor \S+ timers \d`),
	regexp.MustCompile(`^neighbor \S+ interface remote-as`),
	regexp.MustCompile(`^(network \S+|bgp router-id|match tag|set (tag|community|large-community|local-preference)|echo (transmit|receive)-interval) `),
	regexp.MustCompile(`^(detect-multiplier|transmit-interval|receive-interval|minimum-ttl|coalesce-time|hostname) `),
}

func replaces(a, b string) bool {
	for _, r := range sameValue {
		if x, y := r.FindString(a), r.FindString(b); x != "" && strings.TrimRight(x, "0123456789") == strings.TrimRight(y, "0123456789") && (x == y || strings.HasSuffix(r.String(), `\d`)) {
			return true
		}
	}
	return false
}

// apply executes one command.
func (m model) apply(c frr.Command) error {
	node := strings.Join(c.Node, "\n")
	if len(c.Node) > 0 && !m.has(c.Node) {
		return fmt.Errorf("the node is not there")
	}
	if c.Undo {
		return m.undo(node, c.Text)
	}
	for l := range m {
		if l.node == node && replaces(l.text, c.Text) {
			delete(m, l)
		}
	}
	if m[modelLine{node, c.Text}] && c.Text != "bfd" {
		return fmt.Errorf("it is there already")
	}
	if err := m.admits(c); err != nil {
		return err
	}
	m[modelLine{node, c.Text}] = true
	return nil
}

// has reports whether a node's header is there. Address families need none.
func (m model) has(node []string) bool {
	at := slices.DeleteFunc(slices.Clone(node), func(s string) bool { return strings.HasPrefix(s, "address-family ") })
	return m[modelLine{strings.Join(at[:len(at)-1], "\n"), at[len(at)-1]}]
}

// admits says what FRR would refuse, or what must not be for a moment either.
func (m model) admits(c frr.Command) error {
	words := strings.Fields(c.Text)
	router := ""
	if len(c.Node) > 0 {
		router = c.Node[0]
	}
	switch {
	case words[0] == "router":
		for l := range m {
			_, vrf, _ := strings.Cut(l.text, " vrf ")
			_, wanted, _ := strings.Cut(c.Text, " vrf ")
			if l.node == "" && strings.HasPrefix(l.text, "router bgp ") && vrf == wanted {
				return fmt.Errorf("%q is there", l.text)
			}
		}
	case words[0] == "neighbor" && words[2] != "remote-as" && words[2] != "interface" && !m.any(router, "neighbor "+words[1]+" remote-as") && !m.any(router, "neighbor "+words[1]+" interface"):
		return fmt.Errorf("no such neighbour")
	case words[0] == "neighbor" && words[2] == "activate":
		for _, direction := range []string{"in", "out"} {
			if !m[modelLine{strings.Join(c.Node, "\n"), fmt.Sprintf("neighbor %s route-map %s %s", words[1], mapName(router, words[1], direction), direction)}] {
				return fmt.Errorf("the neighbour has no route-map %s", direction)
			}
		}
	case words[0] == "neighbor" && words[2] == "route-map", words[0] == "network":
		if name := words[3]; !m.any("", "route-map "+name+" ") {
			return fmt.Errorf("no route-map %s", name)
		}
	}
	return nil
}

func mapName(router, neighbor, direction string) string {
	if _, vrf, ok := strings.Cut(router, " vrf "); ok {
		neighbor += "-" + vrf
	}
	return neighbor + "-" + direction
}

func (m model) any(node, prefix string) bool {
	for l := range m {
		if l.node == node && strings.HasPrefix(l.text, prefix) {
			return true
		}
	}
	return false
}

// undo takes away what "no ..." names; there must be something.
func (m model) undo(node, text string) error {
	rest, ok := strings.CutPrefix(text, "no ")
	if !ok {
		rest = "no " + text
	}
	gone := 0
	remove := func(l modelLine) {
		delete(m, l)
		gone++
	}
	words := strings.Fields(rest)
	wholeNeighbor := len(words) == 2 && words[0] == "neighbor"
	for l := range m {
		header := l.node
		switch {
		case l.node == node && (l.text == rest || strings.HasPrefix(l.text, rest+" ") && words[0] != "router"): // not its VRFs
			remove(l)
		case wholeNeighbor && (header == node || strings.HasPrefix(header, node+"\n")) && strings.HasPrefix(l.text, rest+" "):
			remove(l)
		case strings.HasPrefix(strings.TrimPrefix(header+"\n", node+"\n"), rest+"\n") || node == "" && strings.HasPrefix(header+"\n", rest+"\n"):
			remove(l)
		}
	}
	if gone == 0 {
		return fmt.Errorf("nothing to take away")
	}
	if words[0] == "route-map" {
		for l := range m {
			if strings.HasSuffix(l.text, " route-map "+words[1]) || strings.Contains(l.text, " route-map "+words[1]+" ") {
				if !m.any("", "route-map "+words[1]+" ") {
					return fmt.Errorf("%q still uses it", l.text)
				}
			}
		}
	}
	if words[0] == "neighbor" && len(words) > 3 && words[2] == "route-map" && m[modelLine{node, "neighbor " + words[1] + " activate"}] {
		return fmt.Errorf("the neighbour is active")
	}
	return nil
}

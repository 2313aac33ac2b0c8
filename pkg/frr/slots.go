// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"slices"
	"strings"
)

// A slot is a place of FRR's configuration that holds one value: setting it
// again replaces the value. slotWords says how many leading words of a command
// name its slot, for the commands of which that is not the whole line. Longer
// patterns stand first; "*" is any one word.
var slotWords = []struct {
	pattern string
	words   int
}{
	{"neighbor * timers connect", 4},
	{"neighbor * bfd profile", 4},
	{"neighbor * bfd", 0},
	{"neighbor * route-map", -4}, // and the direction behind the map's name
	{"neighbor * graceful-restart", 0},
	{"neighbor * activate", 0},
	{"neighbor * *", 3},
	{"network *", 2},
	{"bgp router-id", 2},
	{"bgp route-map delay-timer", 3},
	{"bmp connect", 0},
	{"set *", 2},
	{"match *", 2},
	{"echo *", 2},
	{"coalesce-time", 1},
	{"detect-multiplier", 1},
	{"transmit-interval", 1},
	{"receive-interval", 1},
	{"minimum-ttl", 1},
	{"hostname", 1},
	{"log stdout", 2},
	{"log timestamp precision", 3},
	{"frr defaults", 2},
}

// slot returns the identity of the slot that a line sets, its node included.
func slot(l Line) string { return slotID(l.Node, l.Text) }

func slotID(node []string, text string) string {
	return nodeID(node) + "\n" + slotText(text)
}

func slotText(text string) string {
	words := strings.Fields(text)
	for _, s := range slotWords {
		if !matches(words, s.pattern) {
			continue
		}
		switch {
		case s.words == 0:
			return text
		case s.words < 0:
			return strings.Join(append(words[:3:3], words[-s.words:]...), " ")
		}
		return strings.Join(words[:s.words], " ")
	}
	return strings.TrimPrefix(text, "no ")
}

func matches(words []string, pattern string) bool {
	want := strings.Fields(pattern)
	if len(words) < len(want) {
		return false
	}
	for i, w := range want {
		if w != "*" && w != words[i] {
			return false
		}
	}
	return true
}

// undoText returns the command that takes away what text set. Where FRR has no
// "no" form it returns the command that sets the default.
func undoText(text string) string {
	if rest, ok := strings.CutPrefix(text, "no "); ok {
		return rest
	}
	words := strings.Fields(text)
	switch {
	case matches(words, "neighbor * remote-as"), matches(words, "neighbor * interface"):
		return "no neighbor " + words[1]
	case matches(words, "network *"):
		return "no network " + words[1]
	case matches(words, "bgp route-map delay-timer"):
		return "no bgp route-map delay-timer"
	case matches(words, "neighbor * password"):
		return "no neighbor " + words[1] + " password"
	case matches(words, "neighbor * description"):
		return "no neighbor " + words[1] + " description"
	}
	return "no " + text
}

// owned reports whether a line is the product's to take away when a running
// configuration holds it and the Document does not.
func owned(l Line) bool {
	top := l.Text
	if len(l.Node) > 0 {
		top = l.Node[0]
	}
	switch {
	case strings.HasPrefix(top, "router bgp "), strings.HasPrefix(top, "route-map "):
		return true
	case top == "bfd":
		// sessions below "bfd" come from neighbours; the node itself stays
		inside := append(slices.Clip(l.Node), l.Text)[1:]
		return len(inside) > 0 && strings.HasPrefix(inside[0], "profile ")
	}
	return false
}

// hidden reports whether FRR 10 leaves a line out of its running configuration
// because it says the default, or because no daemon keeps it.
func hidden(text string) bool {
	switch text {
	case "service integrated-vtysh-config", "ip nht resolve-via-default", "ipv6 nht resolve-via-default",
		"detect-multiplier 3", "transmit-interval 300", "receive-interval 300",
		"echo transmit-interval 50", "echo receive-interval 50", "minimum-ttl 254":
		return true
	}
	return false
}

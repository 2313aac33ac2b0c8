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
	{"neighbor * timers delayopen", 4},
	{"neighbor * bfd profile", 4},
	{"neighbor * bfd", 0},
	{"neighbor * route-map", -4}, // and the direction behind the map's name
	{"neighbor * prefix-list", -4},
	{"neighbor * filter-list", -4},
	{"neighbor * distribute-list", -4},
	{"neighbor * graceful-restart", 0},
	{"neighbor * activate", 0},
	{"neighbor * capability", 0},
	{"neighbor * send-community", 0},
	{"neighbor * soft-reconfiguration", 0},
	{"neighbor * *", 3},
	{"network *", 2},
	{"aggregate-address *", 2},
	{"redistribute *", 2},
	{"maximum-paths ibgp", 2},
	{"maximum-paths", 1},
	{"timers bgp", 2},
	{"bgp router-id", 2},
	{"bgp cluster-id", 2},
	{"bgp confederation identifier", 3},
	{"bgp default local-preference", 3},
	{"bgp graceful-restart restart-time", 3},
	{"bgp graceful-restart stalepath-time", 3},
	{"bgp route-map delay-timer", 3},
	{"bmp connect", 0},
	{"set as-path *", 3},
	{"set extcommunity *", 3},
	{"set ip next-hop", 3},
	{"set ipv6 next-hop *", 4},
	{"set evpn *", 4},
	{"set *", 2},
	{"match ip * prefix-list", 4},
	{"match ip * prefix-len", 4},
	{"match ip * type", 4},
	{"match ip *", 3},
	{"match ipv6 * prefix-list", 4},
	{"match ipv6 * prefix-len", 4},
	{"match ipv6 * type", 4},
	{"match ipv6 *", 3},
	{"match evpn *", 3},
	{"match *", 2},
	{"on-match", 1},
	{"call", 1},
	{"description", 1},
	{"echo *", 2},
	{"coalesce-time", 1},
	{"detect-multiplier", 1},
	{"transmit-interval", 1},
	{"receive-interval", 1},
	{"minimum-ttl", 1},
	{"hostname", 1},
	{"ip prefix-list * seq", 5},
	{"ipv6 prefix-list * seq", 5},
	{"ip prefix-list * description", 4},
	{"ipv6 prefix-list * description", 4},
	{"access-list * seq", 4},
	{"access-list * remark", 3},
	{"ipv6 access-list * seq", 5},
	{"ipv6 access-list * remark", 4},
	{"bgp as-path access-list * seq", 6},
	{"bgp community-list * * seq", 6},
	{"bgp community-list * seq", 5},
	{"bgp large-community-list * * seq", 6},
	{"bgp large-community-list * seq", 5},
	{"bgp extcommunity-list * * seq", 6},
	{"bgp extcommunity-list * seq", 5},
	{"ip protocol *", 3},
	{"ipv6 protocol *", 3},
	{"ip router-id", 2},
	{"log stdout", 2},
	{"log syslog", 2},
	{"log timestamp precision", 3},
	{"frr defaults", 2},
}

// slot returns the identity of the slot that a line sets, its node included.
func slot(l Line) string { return slotID(l.Node, l.Text) }

func slotID(node []string, text string) string {
	for i, header := range node {
		if strings.HasPrefix(header, "route-map ") {
			node = slices.Clone(node)
			node[i] = slotText(header)
		}
	}
	return nodeID(node) + "\n" + slotText(text)
}

func slotText(text string) string {
	text = strings.TrimPrefix(text, "no ")
	words := strings.Fields(text)
	if len(words) == 4 && words[0] == "route-map" {
		return words[0] + " " + words[1] + " " + words[3] // permit or deny is its value
	}
	for _, s := range slotWords {
		if !matches(words, s.pattern) {
			continue
		}
		switch {
		case s.words == 0, len(words) <= s.words, len(words) <= -s.words:
			return text
		case s.words < 0:
			return strings.Join(append(words[:3:3], words[-s.words:]...), " ")
		}
		return strings.Join(words[:s.words], " ")
	}
	return text
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
	case matches(words, "description"):
		return "no description"
	case matches(words, "ip prefix-list * description"), matches(words, "ipv6 prefix-list * description"):
		return "no " + strings.Join(words[:4], " ")
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
// configuration holds it and the Document does not. FRR in the pod serves nobody
// else; what it prints by itself (its version, how it logs, who may log in) stays.
func owned(l Line) bool {
	top := l.Text
	if len(l.Node) > 0 {
		top = l.Node[0]
	}
	if top == "bfd" {
		// The node itself stays. Sessions of neighbours are not printed in it.
		inside := append(slices.Clip(l.Node), l.Text)[1:]
		return len(inside) > 0 && (strings.HasPrefix(inside[0], "profile ") || strings.HasPrefix(inside[0], "peer "))
	}
	if place(l) {
		return false
	}
	for _, p := range ownedPrefixes {
		if strings.HasPrefix(top, p) {
			return true
		}
	}
	return false
}

var ownedPrefixes = []string{
	"router bgp ", "route-map ", "ip prefix-list ", "ipv6 prefix-list ", "access-list ", "ipv6 access-list ", "mac access-list ",
	"bgp as-path ", "bgp community-list ", "bgp large-community-list ", "bgp extcommunity-list ", "ip route ", "ipv6 route ",
	"ip protocol ", "ipv6 protocol ", "interface ", "vrf ", "key chain ", "debug ",
}

// place reports whether a line opens a node that is a place and no setting: it is
// there as long as something stands in it, or whatever is configured.
func place(l Line) bool {
	if !l.Opens {
		return false
	}
	for _, p := range []string{"address-family ", "interface ", "vrf ", "line vty"} {
		if strings.HasPrefix(l.Text, p) {
			return true
		}
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

// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"slices"
	"strconv"
	"strings"
)

// listKinds are the numbered lists of FRR. The entries of one that are written
// without a number get one: the highest so far and five, or the next multiple of
// five where round is set.
var listKinds = []struct {
	words string
	style bool // a word "standard" or "expanded" may follow
	round bool
	twice bool // FRR takes the same rule under two numbers
}{
	{words: "ip prefix-list", twice: true},
	{words: "ipv6 prefix-list", twice: true},
	{words: "access-list"},
	{words: "ipv6 access-list"},
	{words: "mac access-list"},
	{words: "bgp as-path access-list", round: true},
	{words: "bgp community-list", style: true, round: true},
	{words: "bgp large-community-list", style: true, round: true},
	{words: "bgp extcommunity-list", style: true, round: true},
}

// listEntry is an entry of a numbered list.
type listEntry struct {
	head         string // the list, such as "ip prefix-list A"
	seq          int    // 0: not said
	rule         string // such as "permit 10.0.0.0/8 le 32"
	round, twice bool
}

// listOf reads a list entry.
func listOf(text string) (listEntry, bool) {
	words := strings.Fields(text)
	for _, k := range listKinds {
		if !matches(words, k.words) {
			continue
		}
		n := len(strings.Fields(k.words))
		if k.style && n < len(words) && (words[n] == "standard" || words[n] == "expanded") {
			n++
		}
		n++ // the name
		e := listEntry{round: k.round, twice: k.twice}
		if n >= len(words) {
			return e, false
		}
		e.head = strings.Join(words[:n], " ")
		rest := words[n:]
		if rest[0] == "seq" && len(rest) > 2 {
			e.seq, _ = strconv.Atoi(rest[1])
			rest = rest[2:]
		}
		e.rule = strings.Join(rest, " ")
		return e, len(rest) > 1 && (rest[0] == "permit" || rest[0] == "deny")
	}
	return listEntry{}, false
}

func (e listEntry) text() string {
	return e.head + " seq " + strconv.Itoa(e.seq) + " " + e.rule
}

// numbering gives list entries their numbers, in the order that they are typed.
type numbering struct {
	last map[string]int  // by list
	seen map[string]bool // list and rule
}

// entry returns the command with its number and in FRR's form, or "" where FRR
// ignores it because the list has the rule already.
func (n *numbering) entry(text string) string {
	e, ok := listOf(text)
	if !ok {
		return text
	}
	e.rule = canonicalRule(e.head, e.rule)
	if id := e.head + "\n" + e.rule; !e.twice {
		if n.seen[id] {
			return ""
		}
		n.seen[id] = true
	}
	if e.seq == 0 {
		e.seq = n.last[e.head] + 5
		if e.round {
			e.seq = n.last[e.head]/5*5 + 5
		}
	}
	n.last[e.head] = max(n.last[e.head], e.seq)
	return e.text()
}

// canonicalRule returns what follows a list entry's number as FRR prints it.
func canonicalRule(head, rule string) string {
	words := strings.Fields(rule)
	switch {
	case strings.Contains(head, "prefix-list "):
		words[1] = masked(words[1])
		if len(words) == 6 && words[2] == "le" && words[4] == "ge" {
			words[2], words[3], words[4], words[5] = "ge", words[5], "le", words[3]
		}
	case strings.HasPrefix(head, "bgp community-list "):
		if !strings.HasPrefix(head, "bgp community-list expanded ") && !expandedNumber(head) {
			words = append(words[:1:1], sortedCommunities(words[1:])...)
		}
	case strings.HasPrefix(head, "bgp large-community-list standard "):
		slices.SortFunc(words[1:], compareLarge)
	case strings.Contains(head, "access-list ") && !strings.HasPrefix(head, "bgp "):
		if len(words) == 3 && words[1] == "host" {
			words = []string{words[0], words[2]}
		}
		words[1] = masked(words[1])
	}
	return strings.Join(words, " ")
}

// expandedNumber reports whether a community-list has one of the numbers of
// expanded lists, 100 to 500.
func expandedNumber(head string) bool {
	n, err := strconv.Atoi(head[strings.LastIndexByte(head, ' ')+1:])
	return err == nil && n >= 100
}

// compareLarge orders large communities by value.
func compareLarge(a, b string) int {
	x, y := strings.Split(a, ":"), strings.Split(b, ":")
	return slices.CompareFunc(x, y, func(p, q string) int {
		n, _ := strconv.ParseUint(p, 10, 32)
		m, _ := strconv.ParseUint(q, 10, 32)
		switch {
		case n < m:
			return -1
		case n > m:
			return 1
		}
		return 0
	})
}

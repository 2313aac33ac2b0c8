// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// canonical returns a command that a user wrote, and the node it stands in, as
// FRR 10 prints them. What it does not know it leaves as it is.
func canonical(node []string, text string) ([]string, string) {
	words := strings.Fields(text)
	if !freeText(words) {
		for i := range words {
			words[i] = canonicalAddr(words[i])
		}
	}
	node = slices.Clone(node)
	for i := range node {
		node[i] = canonicalHeader(node[i])
	}
	if len(node) == 1 && strings.HasPrefix(node[0], "router bgp ") && ofFamily(words) {
		node = append(node, "address-family ipv4 unicast")
	}
	switch {
	case len(node) == 2 && matches(words, "network *"), len(node) == 2 && matches(words, "aggregate-address *"):
		words[1] = masked(words[1])
	case matches(words, "ip route *"), matches(words, "ipv6 route *"):
		words[2] = masked(words[2])
	case matches(words, "neighbor * ebgp-multihop 255"):
		words = words[:3]
	case matches(words, "set community"):
		words = append(words[:2:2], sortedCommunities(words[2:])...)
	}
	return node, canonicalHeader(strings.Join(words, " "))
}

// canonicalHeader is canonical for the commands that open nodes.
func canonicalHeader(text string) string {
	if text == "address-family ipv4" || text == "address-family ipv6" {
		return text + " unicast"
	}
	return text
}

// freeText reports whether a command holds words that are not FRR's to read.
func freeText(words []string) bool {
	for _, w := range words {
		if slices.Contains([]string{"description", "remark", "password", "key-string", "message"}, w) {
			return true
		}
	}
	return false
}

// canonicalAddr returns an IPv6 address or prefix as FRR prints it.
func canonicalAddr(word string) string {
	if !strings.Contains(word, ":") {
		return word
	}
	if a, err := netip.ParseAddr(word); err == nil && a.Zone() == "" {
		return a.String()
	}
	if p, err := netip.ParsePrefix(word); err == nil {
		return p.String()
	}
	return word
}

// masked returns a prefix without the bits behind its length.
func masked(word string) string {
	if p, err := netip.ParsePrefix(word); err == nil {
		return p.Masked().String()
	}
	return word
}

// ofFamily reports whether a command in a BGP router is one of its address
// families; FRR takes such for IPv4's.
func ofFamily(words []string) bool {
	if words[0] == "no" {
		words = words[1:]
	}
	if len(words) > 2 && words[0] == "neighbor" {
		return slices.Contains([]string{
			"activate", "route-map", "prefix-list", "filter-list", "distribute-list", "next-hop-self", "soft-reconfiguration",
			"maximum-prefix", "maximum-prefix-out", "allowas-in", "send-community", "default-originate", "route-reflector-client",
			"route-server-client", "as-override", "remove-private-AS", "weight", "unsuppress-map", "advertise-map",
			"addpath-tx-all-paths", "addpath-tx-bestpath-per-AS", "attribute-unchanged", "nexthop-local",
		}, words[2])
	}
	return len(words) > 1 && slices.Contains([]string{"network", "redistribute", "aggregate-address", "maximum-paths", "table-map"}, words[0])
}

// sortedCommunities orders communities as FRR prints them: by value, well-known
// ones by name, "additive" last.
func sortedCommunities(words []string) []string {
	var values []uint32
	var last []string
	for _, w := range words {
		v, ok := communityValue(w)
		switch {
		case ok:
			values = append(values, v)
		case w == "additive":
			last = []string{w}
		default:
			return words
		}
	}
	slices.Sort(values)
	var out []string
	for _, v := range slices.Compact(values) {
		text := strconv.Itoa(int(v>>16)) + ":" + strconv.Itoa(int(v&0xffff))
		out = append(out, cmp.Or(communityNames[text], text))
	}
	return append(out, last...)
}

func communityValue(word string) (uint32, bool) {
	for text, name := range communityNames {
		if name == word {
			word = text
		}
	}
	high, low, ok := strings.Cut(word, ":")
	if !ok {
		v, err := strconv.ParseUint(word, 10, 32)
		return uint32(v), err == nil
	}
	a, errA := strconv.ParseUint(high, 10, 16)
	b, errB := strconv.ParseUint(low, 10, 16)
	return uint32(a<<16 | b), errA == nil && errB == nil
}

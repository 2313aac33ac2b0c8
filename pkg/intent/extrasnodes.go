// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"slices"
	"strings"
)

// nodeKind is a kind of FRR's configuration nodes, as far as it takes to read a
// text that is not indented.
type nodeKind interface {
	// holds reports whether the command can stand in the node.
	holds(text string) bool
	// opened returns the kind of the node that the command opens in this one,
	// or nil.
	opened(text string) nodeKind
}

// node is a nodeKind made of two functions; nil: no command.
type node struct {
	has   func(text string) bool
	opens func(text string) nodeKind
}

func (n *node) holds(text string) bool { return n.has != nil && n.has(text) }

func (n *node) opened(text string) nodeKind {
	if n.opens == nil {
		return nil
	}
	return n.opens(text)
}

var (
	topNode      nodeKind = &node{has: func(string) bool { return true }, opens: openedAtTop}
	bgpNode      nodeKind = &node{has: func(t string) bool { return !topLevel(t) }, opens: openedInBGP}
	familyNode   nodeKind = &node{has: inFamily, opens: byPrefix(map[string]nodeKind{"vni ": leaf("rd", "route-target", "advertise-svi-ip", "advertise-default-gw")})}
	routeMapNode          = leaf("match", "set", "on-match", "call", "continue", "description")
	bfdNode      nodeKind = &node{has: func(t string) bool { return firstOf(t, "peer", "profile") }, opens: byPrefix(map[string]nodeKind{
		"peer ":    leaf(append([]string{"profile", "label", "log-session-changes"}, bfdTimers...)...),
		"profile ": leaf(bfdTimers...),
	})}
	interfaceNode nodeKind = &node{has: inInterface, opens: byPrefix(map[string]nodeKind{"link-params": otherNode})}
	vrfNode       nodeKind = &node{has: inVRF}
	keyChainNode  nodeKind = &node{has: func(t string) bool { return firstOf(t, "key") }, opens: byPrefix(map[string]nodeKind{
		"key ": leaf("key-string", "cryptographic-algorithm", "accept-lifetime", "send-lifetime"),
	})}
	lineNode           = leaf("exec-timeout", "login", "access-class")
	otherNode nodeKind = &node{has: func(t string) bool { return !topLevel(t) }}
)

var bfdTimers = []string{
	"detect-multiplier", "receive-interval", "transmit-interval", "echo-mode", "echo", "passive-mode", "minimum-ttl", "shutdown",
}

// leaf is a node of the commands that begin with one of words.
func leaf(words ...string) nodeKind {
	return &node{has: func(t string) bool { return firstOf(t, words...) }}
}

func byPrefix(kinds map[string]nodeKind) func(string) nodeKind {
	return func(text string) nodeKind {
		for prefix, kind := range kinds {
			if strings.HasPrefix(text, prefix) {
				return kind
			}
		}
		return nil
	}
}

func openedAtTop(text string) nodeKind {
	words := strings.Fields(text)
	switch {
	case words[0] == "route-map":
		if len(words) == 4 {
			return routeMapNode
		}
		return nil
	case text == "bfd":
		return bfdNode
	case strings.HasPrefix(text, "router bgp"):
		return bgpNode
	case strings.HasPrefix(text, "key chain "):
		return keyChainNode
	case text == "line vty":
		return lineNode
	case len(words) > 1 && words[0] == "interface":
		return interfaceNode
	case len(words) > 1 && words[0] == "vrf":
		return vrfNode
	case slices.Contains([]string{"router", "segment-routing", "pbr-map", "nexthop-group", "rpki"}, words[0]), strings.HasPrefix(text, "mpls ldp"):
		return otherNode
	}
	return nil
}

func openedInBGP(text string) nodeKind {
	switch {
	case strings.HasPrefix(text, "address-family "):
		return familyNode
	case strings.HasPrefix(text, "bmp targets "):
		return &node{has: func(t string) bool { return firstOf(t, "bmp") && !strings.HasPrefix(t, "bmp targets ") }}
	case strings.HasPrefix(text, "segment-routing "):
		return leaf("locator")
	}
	return nil
}

// topLevel reports whether a command stands at the top of a configuration, and
// not in a router or another node with commands of many kinds.
func topLevel(text string) bool {
	words := strings.Fields(strings.TrimPrefix(text, "no "))
	if len(words) == 0 {
		return false
	}
	switch words[0] {
	case "router", "route-map", "interface", "vrf", "bfd", "key", "line", "access-list", "ip", "ipv6", "mac", "debug", "log",
		"hostname", "domainname", "frr", "service", "password", "enable", "banner", "username", "agentx", "pbr-map",
		"nexthop-group", "mpls", "rpki", "zebra", "fpm", "allow-external-route-update", "mgmt":
		return true
	case "bgp":
		return len(words) > 1 && slices.Contains([]string{"as-path", "community-list", "large-community-list", "extcommunity-list", "community", "route-map"}, words[1])
	}
	return false
}

// ofNeighbor are the settings of a neighbour that are not those of one of its
// address families.
var ofNeighbor = []string{
	"remote-as", "description", "timers", "bfd", "password", "update-source", "ebgp-multihop", "port", "local-as", "shutdown",
	"ttl-security", "interface", "graceful-restart", "graceful-restart-helper", "graceful-restart-disable", "capability",
	"disable-connected-check", "passive", "advertisement-interval", "local-role", "tcp-mss", "solo", "strict-capability-match",
	"dont-capability-negotiate", "override-capability", "enforce-first-as", "graceful-shutdown", "path-attribute", "oad",
}

func inFamily(text string) bool {
	words := strings.Fields(strings.TrimPrefix(text, "no "))
	switch words[0] {
	case "neighbor":
		return len(words) < 3 || !slices.Contains(ofNeighbor, words[2])
	case "bgp":
		return len(words) > 1 && words[1] == "dampening"
	}
	return firstOf(text, "network", "redistribute", "aggregate-address", "maximum-paths", "distance", "table-map", "import", "export",
		"rd", "rt", "route-target", "label", "nexthop", "sid", "advertise", "advertise-all-vni", "advertise-default-gw",
		"advertise-svi-ip", "vni", "flooding", "dup-addr-detection", "default-originate", "autort", "ead-es-frag")
}

func inInterface(text string) bool {
	words := strings.Fields(strings.TrimPrefix(text, "no "))
	if words[0] == "ip" || words[0] == "ipv6" {
		return len(words) > 1 && slices.Contains([]string{"address", "nd", "ospf", "ospf6", "pim", "igmp", "mld", "router", "rip", "ripng", "eigrp", "nhrp", "mtu"}, words[1])
	}
	return !topLevel(text) || words[0] == "mpls"
}

func inVRF(text string) bool {
	words := strings.Fields(strings.TrimPrefix(text, "no "))
	if words[0] == "ip" || words[0] == "ipv6" {
		return len(words) > 1 && slices.Contains([]string{"route", "protocol", "nht", "router-id", "mroute", "pim"}, words[1])
	}
	return words[0] == "vni" || words[0] == "rpki"
}

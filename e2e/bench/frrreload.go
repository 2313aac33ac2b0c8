// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// reloadEngine renders the whole configuration in the usual way, a prefix-list
// entry for each neighbour and attribute of a prefix, and gives the file to
// frr-reload.py, as MetalLB's FRR mode does.
type reloadEngine struct{ node *host }

// reloadFile is where the wanted configuration stands on the node.
const reloadFile = "/run/frr-reload.conf"

func (e *reloadEngine) apply(ctx context.Context, services int) (change, error) {
	var c change
	name, err := os.Hostname()
	if err != nil {
		return c, err
	}
	if err := os.WriteFile(e.node.path(reloadFile), []byte(usualRendering(name, services)), 0o600); err != nil {
		return c, err
	}
	const tool = "/usr/lib/frr/frr-reload.py"
	said, took, err := e.node.run(ctx, "python3", tool, "--test", "--stdout", reloadFile)
	if err != nil {
		return c, err
	}
	c.lines, c.tool = differing(said), took
	_, took, err = e.node.run(ctx, "python3", tool, "--reload", "--overwrite", "--stdout", reloadFile)
	c.tool += took
	return c, err
}

func (e *reloadEngine) toolCPU() (time.Duration, error) { return 0, nil } // counted when it ends

// differing counts the lines that frr-reload.py --test found to be added or taken
// away, without those that only lead to where they stand. A line that opens a
// node which is not there yet does not count either.
func differing(said string) int {
	at := strings.Index(said, "\nLines To ")
	if at < 0 {
		return 0
	}
	n := 0
	for line := range strings.Lines(said[at:]) {
		line = strings.TrimSpace(line)
		switch word, _, _ := strings.Cut(line, " "); {
		case word == "", strings.HasPrefix(line, "==="), strings.HasPrefix(line, "Lines To "), strings.HasPrefix(word, "exit"):
		case word == "router", word == "address-family", word == "route-map":
		default:
			n++
		}
	}
	return n
}

// usualRendering is frr.conf with the routes of so many Services: for each
// neighbour a prefix-list of what it may have, one for each community and one for
// each local preference, of one entry for each prefix.
func usualRendering(hostname string, services int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `log stdout informational
log timestamp precision 3
hostname %s
ip nht resolve-via-default
ipv6 nht resolve-via-default
`, hostname)
	for i := range neighbours {
		id := neighbourAddr(i).String()
		fmt.Fprintf(&b, "route-map %s-in deny 20\n", id)
		usualList(&b, fmt.Sprintf("%s-%d-ip-localpref-prefixes", id, localPref), services)
		fmt.Fprintf(&b, "route-map %s-out permit 1\n match ip address prefix-list %[1]s-%[2]d-ip-localpref-prefixes\n set local-preference %[2]d\n on-match next\nexit\n", id, localPref)
		usualList(&b, fmt.Sprintf("%s-%s-ip-community-prefixes", id, community), services)
		fmt.Fprintf(&b, "route-map %s-out permit 2\n match ip address prefix-list %[1]s-%[2]s-ip-community-prefixes\n set community %[2]s additive\n on-match next\nexit\n", id, community)
		usualList(&b, id+"-allowed-ipv4", services)
		fmt.Fprintf(&b, "ipv6 prefix-list %s-allowed-ipv6 seq 1 deny any\n", id)
		fmt.Fprintf(&b, "route-map %s-out permit 3\n match ip address prefix-list %[1]s-allowed-ipv4\nexit\n", id)
		fmt.Fprintf(&b, "route-map %s-out permit 4\n match ipv6 address prefix-list %[1]s-allowed-ipv6\nexit\n", id)
	}
	fmt.Fprintf(&b, "router bgp %d\n no bgp ebgp-requires-policy\n no bgp network import-check\n no bgp default ipv4-unicast\n bgp graceful-restart preserve-fw-state\n", nodeASN)
	for i := range neighbours {
		fmt.Fprintf(&b, " neighbor %s remote-as %d\n neighbor %[1]s timers connect 1\n", neighbourAddr(i), routerASN)
	}
	for i := range neighbours {
		fmt.Fprintf(&b, " address-family ipv4 unicast\n  neighbor %s activate\n  neighbor %[1]s route-map %[1]s-in in\n  neighbor %[1]s route-map %[1]s-out out\n exit-address-family\n", neighbourAddr(i))
	}
	b.WriteString(" address-family ipv4 unicast\n")
	for i := range services {
		fmt.Fprintf(&b, "  network %s\n", servicePrefix(i))
	}
	b.WriteString(" exit-address-family\nexit\n")
	return b.String()
}

func usualList(b *strings.Builder, name string, services int) {
	for i := range services {
		fmt.Fprintf(b, "ip prefix-list %s seq %d permit %s\n", name, i+1, servicePrefix(i))
	}
}

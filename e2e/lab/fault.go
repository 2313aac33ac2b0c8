// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"

	"metallb.io/metallb-frr/e2e/wire"
)

// Partition makes nodes of different groups lose what they send each other to or
// from a TCP or UDP port, in silence, while all else between them goes on. Nodes in
// no group still reach all. It replaces the partition before; with no groups there
// is none. A node that comes back from a power cut has forgotten it.
func (l *Lab) Partition(ctx context.Context, port uint16, groups ...[]*Node) error {
	group := map[string]int{}
	for i, g := range groups {
		for _, n := range g {
			group[n.Name] = i + 1
		}
	}
	return l.eachRunning(func(n *Node) error {
		var rules []string
		for _, other := range l.Nodes() {
			own, its := group[n.Name], group[other.Name]
			if own == 0 || its == 0 || own == its {
				continue
			}
			for _, dir := range []string{"dport", "sport"} {
				for _, from := range []netip.Addr{other.Addr4, other.Addr6} {
					rules = append(rules, fmt.Sprintf("%s meta l4proto { tcp, udp } th %s %d drop", source(from), dir, port))
				}
			}
		}
		return n.lose(ctx, "lab_partition", rules)
	})
}

// CutAPIServer makes the given nodes, or all without any, lose every answer of the
// API server, in silence, for what runs on them and in their pods. All else on the
// network goes on, and the API server still reaches kubelets and webhooks; but a
// kubelet asks it whether it may answer, so that kubectl exec and logs fail after
// half a minute. [Lab.HealAPIServer] undoes it, and so does a power cut.
func (l *Lab) CutAPIServer(ctx context.Context, nodes ...*Node) error {
	var rules []string
	for _, a := range []netip.Addr{host(LAN4, cpHost), host(LAN6, cpHost)} {
		rules = append(rules, source(a)+" tcp sport 6443 drop")
	}
	return l.apiServerRules(ctx, rules, nodes)
}

// HealAPIServer undoes [Lab.CutAPIServer] for the given nodes, or all without any.
func (l *Lab) HealAPIServer(ctx context.Context, nodes ...*Node) error {
	return l.apiServerRules(ctx, nil, nodes)
}

func (l *Lab) apiServerRules(ctx context.Context, rules []string, nodes []*Node) error {
	if len(nodes) == 0 {
		nodes = l.Nodes()
	}
	return each(len(nodes), func(i int) error { return nodes[i].lose(ctx, "lab_api", rules) })
}

// eachRunning calls f for all nodes that have power, at the same time.
func (l *Lab) eachRunning(f func(n *Node) error) error {
	return each(l.Spec.Nodes, func(i int) error {
		if n := l.Node(i); n.ns.exists() {
			return f(n)
		}
		return nil
	})
}

func source(a netip.Addr) string {
	if a.Is4() {
		return "ip saddr " + a.String()
	}
	return "ip6 saddr " + a.String()
}

// lose puts rules in force for what comes into the node, before connection tracking
// and kube-proxy see it, in place of those that the table had.
func (n *Node) lose(ctx context.Context, table string, rules []string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "table inet %s\ndelete table inet %[1]s\n", table)
	if len(rules) > 0 {
		fmt.Fprintf(&b, "table inet %s { chain in { type filter hook prerouting priority -310;\n%s\n}\n}\n", table, strings.Join(rules, "\n"))
	}
	cmd := exec.CommandContext(ctx, "nsenter", "--net="+n.ns.path(), "--", "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(b.String())
	if _, err := output(cmd); err != nil {
		return fmt.Errorf("setting what %s loses: %w", n.Name, err)
	}
	return nil
}

// ChangeMAC gives the node's first interface a new MAC, which the node's kernel
// tells the network for its own addresses, and returns it. Those that the lab knows
// the node by are its fourth byte's values; a node that comes back from a power cut
// has its first.
func (n *Node) ChangeMAC() (wire.MAC, error) {
	dev := n.lan.ifname
	mac, err := n.MAC()
	if err == nil {
		err = n.ns.sysctl("net/ipv4/conf/"+dev+"/arp_notify=1", "net/ipv6/conf/"+dev+"/ndisc_notify=1")
	}
	if err == nil {
		mac[3]++
		err = n.lan.onMember(func(h *netlink.Handle, l netlink.Link) error {
			return h.LinkSetHardwareAddr(l, net.HardwareAddr(mac[:]))
		})
	}
	if err != nil {
		return mac, fmt.Errorf("changing the MAC of %s: %w", n.Name, err)
	}
	return mac, nil
}

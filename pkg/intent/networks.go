// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"net/netip"
	"slices"

	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"
)

// nodeNetworks reports the pools that hold addresses of nodes or of their Pods. A
// Service that got one would take the node's, or a Pod's, traffic, or get none
// itself.
func (r *resolver) nodeNetworks() {
	if len(r.c.held) == 0 {
		return
	}
	seen := map[heldBy]bool{}
	for _, n := range r.c.Nodes {
		for _, addr := range slices.Concat(n.Addresses, n.ExternalAddresses) {
			r.meets(seen, PoolHoldsNodeAddress, netipx.IPRangeFrom(addr, addr), addr.String(), "the address of Node "+n.Name)
		}
		for _, cidr := range n.PodCIDRs {
			r.meets(seen, PoolHoldsPodNetwork, netipx.RangeOfPrefix(cidr), cidr.String(), "the network of the Pods of Node "+n.Name)
		}
	}
}

// heldBy is what a pool has got one Finding for.
type heldBy struct {
	pool   string
	reason Reason
}

// meets reports the pools that hold some of rng, each once for a reason: of many
// nodes the first one is named.
func (r *resolver) meets(seen map[heldBy]bool, reason Reason, rng netipx.IPRange, network, whose string) {
	for _, c := range r.c.held.overlapping(rng) {
		if id := (heldBy{c.pool.Name, reason}); !seen[id] {
			seen[id] = true
			r.find(inNetwork(c, reason, network, whose))
		}
	}
}

func inNetwork(c claim, reason Reason, network, whose string) Finding {
	return Finding{Object: c.pool.Ref(), Severity: Warning, Reason: reason, Field: "spec.addresses", Value: rangeText(c.rng),
		Message: fmt.Sprintf("holds %s, %s; Services with such an address are not reached, or take what is meant for it: take it out of the pool", network, whose)}
}

// inCluster is a Service of any type with a ClusterIP that a pool holds.
type inCluster struct {
	key  Key
	held claim
	addr netip.Addr
}

// clusterIPs returns the Services whose ClusterIPs are addresses of pools.
func (c *Config) clusterIPs(services []*corev1.Service) []inCluster {
	var out []inCluster
	if len(c.held) == 0 {
		return nil
	}
	for _, o := range services {
		for _, text := range o.Spec.ClusterIPs {
			addr, ok := parseAddr(text)
			if !ok {
				continue
			}
			for _, held := range c.held.overlapping(netipx.IPRangeFrom(addr, addr)) {
				out = append(out, inCluster{serviceKey(o), held, addr})
			}
		}
	}
	return out
}

// resolveClusterIPs finds the pools that hold ClusterIPs. What did not change since
// prev is taken from it.
func (in *Intent) resolveClusterIPs(prev *Intent, s *Snapshot) {
	if prev == nil || prev.Config != in.Config {
		in.clustered = in.clusterIPs(s.Services)
		return
	}
	w := windowOf(prev.source, s)
	services, _ := w.within(s)
	head, _, tail := split(w, prev.clustered, func(c inCluster) Key { return c.key })
	in.clustered = slices.Concat(head, in.clusterIPs(services), tail)
}

// clusterFindings are those of in.clustered: one for each pool, which names the
// first of its Services only, so that it does not change with every Service.
func (in *Intent) clusterFindings() []Finding {
	var out []Finding
	seen := map[*Pool]bool{}
	for _, c := range in.clustered {
		if !seen[c.held.pool] {
			seen[c.held.pool] = true
			out = append(out, inNetwork(c.held, PoolHoldsClusterIP, c.addr.String(), "the ClusterIP of Service "+c.key.String()))
		}
	}
	return out
}

// podCIDRs reads the networks of the node's Pods.
func podCIDRs(n *corev1.Node) []netip.Prefix {
	texts := n.Spec.PodCIDRs
	if len(texts) == 0 && n.Spec.PodCIDR != "" {
		texts = []string{n.Spec.PodCIDR}
	}
	var out []netip.Prefix
	for _, text := range texts {
		if cidr, err := netip.ParsePrefix(text); err == nil {
			out = append(out, cidr.Masked())
		}
	}
	return out
}

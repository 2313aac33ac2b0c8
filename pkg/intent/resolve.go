// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
)

// Resolve says what a Snapshot means. prev, which may be nil, is the Intent made
// before: what depends on nothing that changed is taken from it, pointers
// included, so a pass in which one of many Services changed costs little.
func Resolve(prev *Intent, s *Snapshot) *Intent {
	in := &Intent{source: s}
	if prev != nil && sameConfig(prev.source, s) {
		in.Config = prev.Config
	} else {
		in.Config = resolveConfig(s)
		if prev != nil {
			in.Config.reuseNodes(prev.Config)
		}
	}
	in.resolveClusterIPs(prev, s)
	in.resolveServices(prev, s)
	return in
}

// resolver collects what is resolved of one Snapshot's configuration.
type resolver struct {
	s *Snapshot
	c *Config
}

func resolveConfig(s *Snapshot) *Config {
	r := &resolver{s: s, c: &Config{Namespace: s.Namespace}}
	for _, n := range s.Nodes {
		r.c.Nodes = append(r.c.Nodes, nodeOf(s, n))
	}
	r.weighNodes()
	r.linkNodes()
	r.pools()
	r.nodeNetworks()
	r.profiles()
	r.peers()
	aliases := r.communities()
	r.bgpAdvertisements(aliases)
	r.l2Advertisements()
	r.extras()
	slices.SortStableFunc(r.c.findings, func(a, b Finding) int { return a.Object.Compare(b.Object) })
	return r.c
}

func (r *resolver) find(f Finding) { r.c.findings = append(r.c.findings, f) }

// sameConfig reports whether everything that Config is made of is the same in
// both Snapshots. Status does not count, but for the last accepted spec and the
// links of the nodes.
func sameConfig(a, b *Snapshot) bool {
	return a.Namespace == b.Namespace && a.IgnoreExcludeLabel == b.IgnoreExcludeLabel && a.DrainOn == b.DrainOn && sameExtras(a, b) && sameLinks(a.States, b.States) &&
		sameObjects(a.Pools, b.Pools, func(o *v1beta1.IPAddressPool) *v1beta1.AcceptedSpec { return o.Status.LastAccepted }) &&
		sameObjects(a.Peers, b.Peers, func(o *v1beta2.BGPPeer) *v1beta1.AcceptedSpec { return o.Status.LastAccepted }) &&
		sameObjects(a.BGPAds, b.BGPAds, func(o *v1beta1.BGPAdvertisement) *v1beta1.AcceptedSpec { return o.Status.LastAccepted }) &&
		sameObjects(a.L2Ads, b.L2Ads, func(o *v1beta1.L2Advertisement) *v1beta1.AcceptedSpec { return o.Status.LastAccepted }) &&
		sameObjects(a.BFDProfiles, b.BFDProfiles, func(o *v1beta1.BFDProfile) *v1beta1.AcceptedSpec { return o.Status.LastAccepted }) &&
		sameObjects(a.Communities, b.Communities, func(o *v1beta1.Community) *v1beta1.AcceptedSpec { return o.Status.LastAccepted }) &&
		maps.Equal(a.PeerPasswords, b.PeerPasswords) && maps.Equal(a.Secrets, b.Secrets) &&
		slices.EqualFunc(a.Nodes, b.Nodes, b.sameNode) &&
		slices.EqualFunc(a.Namespaces, b.Namespaces, func(x, y *corev1.Namespace) bool {
			return x == y || x.Name == y.Name && maps.Equal(x.Labels, y.Labels)
		})
}

func sameObjects[T interface {
	comparable
	metav1.Object
}](a, b []T, accepted func(T) *v1beta1.AcceptedSpec) bool {
	return slices.EqualFunc(a, b, func(x, y T) bool {
		return x == y || x.GetName() == y.GetName() && x.GetUID() == y.GetUID() &&
			x.GetGeneration() == y.GetGeneration() && x.GetGeneration() != 0 &&
			maps.Equal(x.GetLabels(), y.GetLabels()) && sameAccepted(accepted(x), accepted(y))
	})
}

func sameAccepted(a, b *v1beta1.AcceptedSpec) bool {
	return a == b || a != nil && b != nil && a.Generation == b.Generation && string(a.Spec.Raw) == string(b.Spec.Raw)
}

// sameNode reports whether two versions of a Node mean the same in s.
func (s *Snapshot) sameNode(a, b *corev1.Node) bool {
	return a == b || a.Annotations[v1beta1.AnnotationL2Weight] == b.Annotations[v1beta1.AnnotationL2Weight] && nodeOf(s, a).equal(nodeOf(s, b))
}

// reuseNodes keeps the pointers of nodes that did not change.
func (c *Config) reuseNodes(prev *Config) {
	for i, n := range c.Nodes {
		if old := prev.Node(n.Name); old != nil && old.equal(n) {
			c.Nodes[i] = old
		}
	}
}

// nodeOf reads a Node. Its links are published elsewhere.
func nodeOf(s *Snapshot, n *corev1.Node) *Node {
	out := &Node{Name: n.Name, Labels: n.Labels, Leaving: s.leaving(n), PodCIDRs: podCIDRs(n)}
	out.L2Weight, _ = l2Weight(n)
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			out.Ready = c.Status == corev1.ConditionTrue
		}
	}
	for _, a := range n.Status.Addresses {
		addr, ok := parseAddr(a.Address)
		switch {
		case !ok:
		case a.Type == corev1.NodeInternalIP:
			out.Addresses = append(out.Addresses, addr)
		case a.Type == corev1.NodeExternalIP:
			out.ExternalAddresses = append(out.ExternalAddresses, addr)
		}
	}
	return out
}

func (n *Node) equal(o *Node) bool {
	return n.Name == o.Name && n.Ready == o.Ready && n.Leaving.equal(o.Leaving) && n.L2Weight == o.L2Weight &&
		maps.Equal(n.Labels, o.Labels) && slices.Equal(n.Addresses, o.Addresses) &&
		slices.Equal(n.ExternalAddresses, o.ExternalAddresses) && slices.Equal(n.PodCIDRs, o.PodCIDRs) &&
		(n.Links == nil) == (o.Links == nil) && slices.EqualFunc(n.Links, o.Links, Link.equal)
}

// older orders objects by age: the one that was created first stands first, and
// of two of the same second the one whose name does.
func older[T metav1.Object](a, b T) int {
	x, y := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if c := x.Time.Compare(y.Time); c != 0 {
		return c
	}
	return compareNames(a.GetName(), b.GetName())
}

func created(o metav1.Object) time.Time { return o.GetCreationTimestamp().Time }

// selectors compiles label selectors. The first bad one becomes the error.
func selectors(list []metav1.LabelSelector, field string) ([]labels.Selector, *Finding) {
	out := make([]labels.Selector, 0, len(list))
	for i := range list {
		s, err := metav1.LabelSelectorAsSelector(&list[i])
		if err != nil {
			return nil, &Finding{Severity: Invalid, Reason: InvalidSelector, Field: index(field, i), Message: err.Error() + "; write a label selector with matchLabels or matchExpressions (In, NotIn, Exists, DoesNotExist)"}
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

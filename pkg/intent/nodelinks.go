// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// MaxL2Weight is the greatest value of the annotation metallb.io/l2-weight, and
// its negative the least.
const MaxL2Weight = 100

// Link is an interface of a node that can announce addresses in layer 2.
type Link struct {
	Name string
	// MAC is its hardware address as text; empty: it has none.
	MAC string
	// Prefixes are the addresses on it with their prefix lengths. They are not
	// masked.
	Prefixes []netip.Prefix
}

func (l Link) equal(o Link) bool {
	return l.Name == o.Name && l.MAC == o.MAC && slices.Equal(l.Prefixes, o.Prefixes)
}

// l2Weight reads a node's annotation metallb.io/l2-weight. Where it is not there,
// or no weight, the weight is 0.
func l2Weight(n *corev1.Node) (int, *Finding) {
	text, has := n.Annotations[v1beta1.AnnotationL2Weight]
	if !has {
		return 0, nil
	}
	weight, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || weight < -MaxL2Weight || weight > MaxL2Weight {
		return 0, &Finding{Object: Ref{Kind: "Node", Name: n.Name}, Severity: Warning, Reason: InvalidL2Weight,
			Field: "metadata.annotations[" + v1beta1.AnnotationL2Weight + "]", Value: text,
			Message: "is no weight and counts as 0; write a whole number from -100 to 100: the node with the highest sum of it and of the matching preferredNodeSelectors of L2Advertisements announces"}
	}
	return weight, nil
}

// weighNodes reports the annotations that are no weights.
func (r *resolver) weighNodes() {
	for _, n := range r.s.Nodes {
		if _, bad := l2Weight(n); bad != nil {
			r.find(*bad)
		}
	}
}

// linkNodes gives the nodes the links that their speakers published.
func (r *resolver) linkNodes() {
	for _, n := range r.c.Nodes {
		at, found := slices.BinarySearchFunc(r.s.States, v1beta1.SpeakerStatePrefix+n.Name, func(s *v1beta1.ConfigurationState, name string) int {
			return strings.Compare(s.Name, name)
		})
		if found {
			n.Links = linksOf(r.s.States[at])
		}
	}
}

// linksOf reads what a speaker published; nil: nothing about links.
func linksOf(state *v1beta1.ConfigurationState) []Link {
	if state.Status.Links == nil {
		return nil
	}
	links := make([]Link, 0, len(state.Status.Links))
	for _, l := range state.Status.Links {
		link := Link{Name: l.Name, MAC: l.MAC}
		for _, text := range l.Prefixes {
			if prefix, err := netip.ParsePrefix(text); err == nil {
				link.Prefixes = append(link.Prefixes, prefix)
			}
		}
		links = append(links, link)
	}
	slices.SortStableFunc(links, func(a, b Link) int { return strings.Compare(a.Name, b.Name) })
	return links
}

// sameLinks reports whether the speakers published the same about their links.
// The rest of what they publish does not count.
func sameLinks(a, b []*v1beta1.ConfigurationState) bool {
	return slices.Equal(a, b) || slices.EqualFunc(linked(a), linked(b), func(x, y *v1beta1.ConfigurationState) bool {
		return x == y || x.Name == y.Name && slices.EqualFunc(x.Status.Links, y.Status.Links, func(k, l v1beta1.Link) bool {
			return k.Name == l.Name && k.MAC == l.MAC && slices.Equal(k.Prefixes, l.Prefixes)
		})
	})
}

// linked returns those that say something about links.
func linked(states []*v1beta1.ConfigurationState) []*v1beta1.ConfigurationState {
	var out []*v1beta1.ConfigurationState
	for _, s := range states {
		if s.Status.Links != nil && strings.HasPrefix(s.Name, v1beta1.SpeakerStatePrefix) {
			out = append(out, s)
		}
	}
	return out
}

// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"metallb.io/metallb-frr/pkg/intent"
)

// Checked is what is wrong between the objects of a cluster, which shows only
// where they meet: on a node, in a prefix.
type Checked struct {
	// Findings are about BGPPeers, BGPAdvertisements, IPAddressPools and the
	// ConfigMap bgpextras, at most one for each object, reason, field and value, whatever the number
	// of nodes.
	Findings []intent.Finding

	in     *intent.Intent
	config []intent.Finding // those that hold whatever Services there are
	field  *field
	uses   uses
}

// Check looks for contradictions. prev, which may be nil, is what was found
// before: the cost is that of the Services that changed, beside one look at each.
func Check(prev *Checked, in *intent.Intent) *Checked {
	c := &Checked{in: in}
	if prev != nil && prev.in.Config == in.Config {
		c.config, c.field = prev.config, prev.field
	} else {
		prev = nil
		c.field = newField(in.Config)
		c.config = c.field.conflicts()
	}
	var changed bool
	if c.uses, changed = c.field.services(prev, in); !changed && prev != nil {
		c.Findings = prev.Findings
		return c
	}
	c.Findings = unique(slices.Concat(c.config, c.field.combinations(c.uses.list()), c.uses.aggregates()))
	return c
}

// unique leaves one Finding for each object, reason, field and value, in the order
// of the objects.
func unique(findings []intent.Finding) []intent.Finding {
	type about struct {
		object intent.Ref
		reason intent.Reason
		field  string
		value  string
	}
	seen := map[about]bool{}
	var out []intent.Finding
	for _, f := range findings {
		if id := (about{f.Object, f.Reason, f.Field, f.Value}); !seen[id] {
			seen[id] = true
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b intent.Finding) int { return a.Object.Compare(b.Object) })
	return out
}

// field is what of a Config matters between objects.
type field struct {
	config *intent.Config
	meets  []*meeting
	found  []intent.Finding // of RoutersFor and of the nodes together
	// byService: some advertisement selects Services or makes aggregates, so
	// that each Service is worth a look.
	byService bool
}

// meeting is a set of peers and advertisements that some node has.
type meeting struct {
	peers []*intent.Peer // with a session
	ads   map[*intent.BGPAdvertisement]bool
}

func newField(c *intent.Config) *field {
	f := &field{config: c}
	for _, ad := range c.BGPAds {
		f.byService = f.byService || len(ad.ServiceSelectors) > 0 || ad.Aggregation < 32 || ad.AggregationV6 < 128
	}
	ids := routerIDs{}
	known := map[string]bool{}
	for _, n := range c.Nodes {
		routers, findings := RoutersFor(c, n)
		_, added := extrasFor(c, routers, n)
		f.found = slices.Concat(f.found, findings, added)
		ids.add(routers, n)
		m := &meeting{ads: map[*intent.BGPAdvertisement]bool{}}
		var key strings.Builder
		for _, r := range routers {
			for _, s := range r.Sessions {
				m.peers = append(m.peers, s.Peer)
				key.WriteString(s.Peer.Name + "\n")
			}
		}
		for _, ad := range c.BGPAds {
			if intent.AnySelects(ad.NodeSelectors, n.Labels) {
				m.ads[ad] = true
				key.WriteString("\n" + ad.Name)
			}
		}
		if !known[key.String()] {
			known[key.String()] = true
			f.meets = append(f.meets, m)
		}
	}
	f.found = slices.Concat(f.found, ids.findings(c), outside(c))
	return f
}

// conflicts are the findings that hold whatever Services there are.
func (f *field) conflicts() []intent.Finding {
	var combos []combo
	known := map[string]bool{} // pools of the same families with the same advertisements say the same
	for _, p := range f.config.Pools {
		var ads []*intent.BGPAdvertisement
		key := make([]byte, 2, 2+len(f.config.BGPAds))
		for _, r := range p.Ranges {
			key[r.From().BitLen()/128] = 1
		}
		for _, ad := range f.config.BGPAds {
			covers := len(ad.ServiceSelectors) == 0 && (ad.Pools == nil || ad.Pools[p.Name])
			if key = append(key, 0); covers {
				ads, key[len(key)-1] = append(ads, ad), 1
			}
		}
		if !known[string(key)] {
			known[string(key)] = true
			combos = append(combos, combo{p, ads})
		}
	}
	return unique(slices.Concat(f.found, f.localPrefs(), f.combinations(combos)))
}

// localPrefs finds the advertisements whose localPref an eBGP peer would get.
func (f *field) localPrefs() []intent.Finding {
	var out []intent.Finding
	for _, ad := range f.config.BGPAds {
		if ad.LocalPref == 0 {
			continue
		}
		names := map[string]bool{}
		for _, m := range f.meets {
			for _, p := range m.peers {
				if m.ads[ad] && !p.Internal() && (ad.Peers == nil || ad.Peers[p.Name]) {
					names[p.Name] = true
				}
			}
		}
		if len(names) > 0 {
			out = append(out, intent.Finding{Object: ad.Ref(), Severity: intent.Warning, Reason: LocalPrefNotSent, Field: "spec.localPref", Value: asnText(ad.LocalPref),
				Message: fmt.Sprintf("is not sent to %s: LOCAL_PREF does not leave an AS (RFC 4271); name only iBGP peers in spec.peers, or use a community that the router turns into a preference", listed("BGPPeer", slices.Sorted(maps.Keys(names))))})
		}
	}
	return out
}

// combo is a set of advertisements that make prefixes of one pool together.
type combo struct {
	pool *intent.Pool
	ads  []*intent.BGPAdvertisement // sorted by name
}

// combinations finds what advertisements contradict each other in.
func (f *field) combinations(combos []combo) []intent.Finding {
	var out []intent.Finding
	for _, c := range combos {
		if len(c.ads) < 2 && (len(c.ads) == 0 || fit(c.ads[0].Communities)) {
			continue
		}
		for _, m := range f.meets {
			for _, same := range c.alike(m) {
				for _, p := range m.peers {
					out = append(out, c.about(p, offerOf(p, same))...)
				}
			}
		}
	}
	return out
}

// alike groups those of the combo's advertisements that a node has by the length
// of the prefixes that they make.
func (c combo) alike(m *meeting) [][]*intent.BGPAdvertisement {
	var groups [][]*intent.BGPAdvertisement
	for _, v6 := range []bool{false, true} {
		if !slices.ContainsFunc(c.pool.Ranges, func(r netipx.IPRange) bool { return r.From().Is6() == v6 }) {
			continue
		}
		by := map[int][]*intent.BGPAdvertisement{}
		for _, ad := range c.ads {
			length := ad.Aggregation
			if v6 {
				length = ad.AggregationV6
			}
			if m.ads[ad] {
				by[length] = append(by[length], ad)
			}
		}
		for _, length := range slices.Sorted(maps.Keys(by)) {
			groups = append(groups, by[length])
		}
	}
	return groups
}

func (c combo) about(p *intent.Peer, o offer) []intent.Finding {
	var out []intent.Finding
	for _, ad := range o.lost {
		out = append(out, intent.Finding{Object: ad.Ref(), Severity: intent.Warning, Reason: LocalPrefConflict, Field: "spec.localPref", Value: asnText(ad.LocalPref),
			Message: fmt.Sprintf("BGPAdvertisement %s makes the same prefixes of IPAddressPool %s for BGPPeer %s with localPref %d: the highest wins, which is not this one; give both the same, or let them select other pools, nodes, peers or Services", o.winner.Name, c.pool.Name, p.Name, o.localPref)})
	}
	for _, ad := range o.over {
		var others []string
		for _, other := range c.ads {
			if other != ad {
				others = append(others, other.Name)
			}
		}
		out = append(out, intent.Finding{Object: ad.Ref(), Severity: intent.Warning, Reason: intent.TooManyCommunities, Field: "spec.communities",
			Message: fmt.Sprintf("its %d communities, with those of %s, are more than one route of IPAddressPool %s can carry, and BGPPeer %s does not get them: 253 of each kind and 3900 bytes (4 each, 12 each large one) are the limit; remove some", len(ad.Communities), listed("BGPAdvertisement", others), c.pool.Name, p.Name)})
	}
	return out
}

// maxListed is how many objects a message names.
const maxListed = 10

// listed names objects of a kind.
func listed(kind string, names []string) string {
	return counting(kind, names[:min(len(names), maxListed)], len(names))
}

// counting names the first of n objects of a kind and counts the rest.
func counting(kind string, first []string, n int) string {
	text := kind + " " + strings.Join(first, ", ")
	if n > len(first) {
		text += fmt.Sprintf(" and %d more", n-len(first))
	}
	return text
}

// routerIDs are the router IDs that peers give to nodes.
type routerIDs map[netip.Addr]map[string]bool

func (ids routerIDs) add(routers []*Router, n *intent.Node) {
	for _, r := range routers {
		if r.RouterID.IsValid() {
			if ids[r.RouterID] == nil {
				ids[r.RouterID] = map[string]bool{}
			}
			ids[r.RouterID][n.Name] = true
		}
	}
}

func (ids routerIDs) findings(c *intent.Config) []intent.Finding {
	var out []intent.Finding
	for _, p := range c.Peers {
		nodes := slices.Sorted(maps.Keys(ids[p.RouterID]))
		if !p.RouterID.IsValid() || len(nodes) < 2 {
			continue
		}
		out = append(out, intent.Finding{Object: p.Ref(), Severity: intent.Warning, Reason: RouterIDShared, Field: "spec.routerID", Value: p.RouterID.String(),
			Message: fmt.Sprintf("is the router ID of %d nodes (%s): a router takes them for one and may refuse or mix up their sessions; remove routerID, so that each node has its own, or write one BGPPeer per node with nodeSelectors", len(nodes), listed("Node", nodes))})
	}
	return out
}

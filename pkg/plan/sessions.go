// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// RoutersFor returns the BGP instances of one node, with their sessions and
// without routes, and what is wrong between the peers that meet on it. FRR has
// one AS number and one router ID per VRF, and one session per neighbour: where
// peers contradict each other the oldest stands and the others are Findings. The
// AS number is that of the oldest; other peers show theirs by "local-as".
func RoutersFor(c *intent.Config, node *intent.Node) ([]*Router, []intent.Finding) {
	var findings []intent.Finding
	routers := map[string]*Router{}
	taken := map[string]*intent.Peer{}
	for _, p := range oldestFirst(c.Peers) {
		if !intent.AnySelects(p.NodeSelectors, node.Labels) {
			continue
		}
		r := routers[p.VRF]
		if r == nil {
			r = &Router{VRF: p.VRF, ASN: p.MyASN}
		}
		s := sessionOf(p)
		s.speak(r.ASN)
		if f := conflict(r, taken[s.ID], s, node); f != nil {
			findings = append(findings, *f)
			continue
		}
		for _, f := range []*intent.Finding{s.limits(r, node), r.takeID(p, node)} {
			if f != nil {
				findings = append(findings, *f)
			}
		}
		taken[s.ID], routers[p.VRF] = p, r
		r.Sessions = append(r.Sessions, s)
	}
	return finish(routers, node), findings
}

func oldestFirst(peers []*intent.Peer) []*intent.Peer {
	peers = slices.Clone(peers)
	slices.SortStableFunc(peers, func(a, b *intent.Peer) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
	return peers
}

func sessionOf(p *intent.Peer) *Session {
	s := &Session{Peer: p, BFD: profileOf(p)}
	s.ID = s.Neighbor()
	if p.VRF != "" {
		s.ID += "-" + p.VRF
	}
	for _, f := range []bgp.Family{bgp.IPv4, bgp.IPv6} {
		if p.Carries(f) {
			s.Families = append(s.Families, f)
		}
	}
	return s
}

// multihop marks the variant of a profile; "~" is in no object's name.
const multihop = "~multihop"

// profileOf returns the profile for the peer's session. With echo mode FRR makes
// no BFD session over several hops, and then never the BGP session either: such a
// peer has a variant of its profile without.
func profileOf(p *intent.Peer) *intent.BFDProfile {
	if p.BFD == nil || !p.BFD.EchoMode || !p.EBGPMultiHop {
		return p.BFD
	}
	variant := *p.BFD
	variant.Of = variant.Name
	variant.Name = Shorten(variant.Name, maxProfileName-len(multihop)) + multihop
	variant.EchoMode, variant.EchoInterval = false, nil
	return &variant
}

// maxProfileName is the length of the longest name of a BFD profile in FRR.
const maxProfileName = 64

// conflict says why s cannot be a session beside the older ones in r.
func conflict(r *Router, same *intent.Peer, s *Session, node *intent.Node) *intent.Finding {
	f := intent.Finding{Object: s.Peer.Ref(), Severity: intent.Invalid}
	switch {
	case same != nil:
		f.Reason, f.Field, f.Value = DuplicateNeighbor, "spec.peerAddress", s.ID
		f.Message = fmt.Sprintf("peer %s already exists, FRR mode doesn't support duplicate BGPPeers selecting the same node: BGPPeer %s has it on node %s; give one of them another neighbour, or node selectors that do not meet", s.ID, same.Name, node.Name)
	case s.LocalASN != 0 && s.ASN == r.ASN:
		f.Reason, f.Field, f.Value = ASNConflict, "spec.myASN", asnText(s.Peer.MyASN)
		f.Message = fmt.Sprintf("node %s runs AS %d for %s, which is the router's AS too: FRR has one AS per VRF and cannot be outside it towards this router; use the same myASN, another VRF, or node selectors that do not meet", node.Name, r.ASN, r.Origins[0])
	default:
		return nil
	}
	return &f
}

// takeID records what of the router comes from p; the first routerID counts.
func (r *Router) takeID(p *intent.Peer, node *intent.Node) *intent.Finding {
	r.Origins = append(r.Origins, p.Ref())
	switch {
	case !p.RouterID.IsValid() || p.RouterID == r.RouterID:
		return nil
	case !r.RouterID.IsValid():
		r.RouterID = p.RouterID
		return nil
	}
	return &intent.Finding{
		Object: p.Ref(), Severity: intent.Warning, Reason: RouterIDConflict, Field: "spec.routerID", Value: p.RouterID.String(),
		Message: fmt.Sprintf("node %s already has the router ID %s from an older BGPPeer, which stays; a node has one per VRF", node.Name, r.RouterID),
	}
}

func finish(byVRF map[string]*Router, node *intent.Node) []*Router {
	var routers []*Router
	for _, r := range byVRF {
		if !r.RouterID.IsValid() && !slices.ContainsFunc(node.Addresses, netip.Addr.Is4) && len(node.Addresses) > 0 {
			r.RouterID = routerIDOf(node.Name)
		}
		slices.SortFunc(r.Sessions, func(a, b *Session) int { return cmp.Compare(a.ID, b.ID) })
		routers = append(routers, r)
	}
	slices.SortFunc(routers, func(a, b *Router) int { return cmp.Compare(a.VRF, b.VRF) })
	return routers
}

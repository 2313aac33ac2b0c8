// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// offer is what advertisements of one prefix make of it for one neighbour.
type offer struct {
	goes        bool // at least one of them goes there
	localPref   uint32
	communities []bgp.Community
	// lost are those whose localPref is lower than that of winner; over are
	// those that count for nothing here, since one route cannot carry their
	// communities beside those of the older ones.
	winner     *intent.BGPAdvertisement
	lost, over []*intent.BGPAdvertisement
}

// offerOf unites advertisements towards a peer: the communities of all, the
// numerically highest localPref.
func offerOf(p *intent.Peer, ads []*intent.BGPAdvertisement) offer {
	var o offer
	var to []*intent.BGPAdvertisement
	total := 0
	for _, ad := range ads {
		if ad.Peers == nil || ad.Peers[p.Name] {
			to = append(to, ad)
			total += len(ad.Communities)
		}
	}
	if total > 0 && !fit(united(to)) {
		to = o.leaveOut(to)
	}
	o.goes = len(to) > 0
	o.communities = united(to)
	if p.Internal() {
		o.prefer(to)
	}
	return o
}

// leaveOut returns those of ads, the oldest first, whose communities one route
// can carry together.
func (o *offer) leaveOut(ads []*intent.BGPAdvertisement) []*intent.BGPAdvertisement {
	ads = slices.Clone(ads)
	slices.SortStableFunc(ads, func(a, b *intent.BGPAdvertisement) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
	var in []*intent.BGPAdvertisement
	for _, ad := range ads {
		if fit(united(append(slices.Clip(in), ad))) {
			in = append(in, ad)
		} else {
			o.over = append(o.over, ad)
		}
	}
	return in
}

// prefer sets the localPref. Of several ads with the highest the first by name
// is the winner.
func (o *offer) prefer(ads []*intent.BGPAdvertisement) {
	for _, ad := range ads {
		if ad.LocalPref > o.localPref {
			o.winner, o.localPref = ad, ad.LocalPref
		}
	}
	for _, ad := range ads {
		if ad.LocalPref != 0 && ad.LocalPref < o.localPref {
			o.lost = append(o.lost, ad)
		}
	}
}

func united(ads []*intent.BGPAdvertisement) []bgp.Community {
	var all []bgp.Community
	for _, ad := range ads {
		all = append(all, ad.Communities...)
	}
	slices.SortFunc(all, bgp.Community.Compare)
	return slices.Compact(all)
}

func fit(communities []bgp.Community) bool {
	large := 0
	for _, c := range communities {
		if c.IsLarge() {
			large++
		}
	}
	return bgp.CommunitiesFit(len(communities)-large, large)
}

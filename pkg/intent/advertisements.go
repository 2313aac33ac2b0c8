// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/bgp"
)

// communities resolves the aliases. One that two objects define is the older's.
func (r *resolver) communities() map[string]bgp.Community {
	aliases := map[string]bgp.Community{}
	owner := map[string]string{}
	objects := slices.Clone(r.s.Communities)
	slices.SortStableFunc(objects, older[*v1beta1.Community])
	for _, o := range objects {
		ref := Ref{Kind: v1beta1.KindCommunity, Name: o.Name}
		list := accept(r, ref, &o.Spec, o.Status.LastAccepted, parseAliases)
		if list == nil {
			continue
		}
		for i, a := range *list {
			field := index("spec.communities", i) + ".name"
			if first, taken := owner[a.name]; taken {
				f := fault(DuplicateCommunity, field, a.name, "duplicate definition of community %q: Community %s defines it, which stays; rename one of them", a.name, first)
				f.Object = ref
				r.find(f)
				continue
			}
			owner[a.name], aliases[a.name] = o.Name, a.value
		}
	}
	return aliases
}

type alias struct {
	name  string
	value bgp.Community
}

func parseAliases(s *v1beta1.CommunitySpec) (*[]alias, []Finding) {
	list := []alias{}
	var findings []Finding
	for i, c := range s.Communities {
		value, err := bgp.ParseCommunity(c.Value)
		switch {
		case c.Name == "":
			findings = append(findings, fault(InvalidCommunity, index("spec.communities", i)+".name", "", "missing; write the name that advertisements use"))
		case err != nil:
			findings = append(findings, fault(InvalidCommunity, index("spec.communities", i)+".value", c.Value, "%v", err))
		default:
			list = append(list, alias{c.Name, value})
		}
	}
	if len(findings) > 0 {
		return nil, findings
	}
	return &list, nil
}

func (r *resolver) bgpAdvertisements(aliases map[string]bgp.Community) {
	for _, o := range r.s.BGPAds {
		ref := Ref{Kind: v1beta1.KindBGPAdvertisement, Name: o.Name}
		spec := &o.Spec
		ad := accept(r, ref, spec, o.Status.LastAccepted, func(s *v1beta1.BGPAdvertisementSpec) (*BGPAdvertisement, []Finding) {
			spec = s
			return r.parseBGPAd(s)
		})
		if ad == nil {
			continue
		}
		ad.Name, ad.Created = o.Name, created(o)
		ad.Pools = r.poolsOf(ref, spec.IPAddressPools, spec.IPAddressPoolSelectors)
		ad.Peers = r.peersOf(ref, spec.Peers)
		r.communitiesOf(ref, ad, spec.Communities, aliases)
		r.fitAggregation(ref, ad)
		r.c.BGPAds = append(r.c.BGPAds, ad)
	}
	r.sameAdvertisements()
}

// parseBGPAd reads what the advertisement says by itself.
func (r *resolver) parseBGPAd(s *v1beta1.BGPAdvertisementSpec) (*BGPAdvertisement, []Finding) {
	ad := &BGPAdvertisement{Aggregation: 32, AggregationV6: 128, LocalPref: s.LocalPref}
	var findings []Finding
	length := func(field string, from *int32, to *int) {
		if from == nil {
			return
		}
		if *from < 1 || int(*from) > *to {
			findings = append(findings, fault(InvalidAggregation, field, strconv.Itoa(int(*from)), "write a prefix length of 1 to %d", *to))
			return
		}
		*to = int(*from)
	}
	length("spec.aggregationLength", s.AggregationLength, &ad.Aggregation)
	length("spec.aggregationLengthV6", s.AggregationLengthV6, &ad.AggregationV6)
	if len(s.ServiceSelectors) > 0 && (ad.Aggregation != 32 || ad.AggregationV6 != 128) {
		findings = append(findings, fault(InvalidAggregation, "spec.serviceSelectors", "", "serviceSelectors and aggregationLength are mutually exclusive: an aggregate covers other Services too; remove one of them"))
	}
	var bad *Finding
	if ad.NodeSelectors, bad = selectors(s.NodeSelectors, "spec.nodeSelectors"); bad != nil {
		findings = append(findings, *bad)
	}
	if ad.ServiceSelectors, bad = selectors(s.ServiceSelectors, "spec.serviceSelectors"); bad != nil {
		findings = append(findings, *bad)
	}
	if _, bad = selectors(s.IPAddressPoolSelectors, "spec.ipAddressPoolSelectors"); bad != nil {
		findings = append(findings, *bad)
	}
	for i, text := range s.Communities {
		if strings.Contains(text, ":") {
			if _, err := bgp.ParseCommunity(text); err != nil {
				findings = append(findings, fault(InvalidCommunity, index("spec.communities", i), text, "%v", err))
			}
		}
	}
	findings = append(findings, repeated("spec.communities", s.Communities)...)
	findings = append(findings, tooMany(s.Communities)...)
	findings = append(findings, repeated("spec.ipAddressPools", s.IPAddressPools)...)
	findings = append(findings, repeated("spec.peers", s.Peers)...)
	findings = append(findings, repeatedSelectors("spec.ipAddressPoolSelectors", s.IPAddressPoolSelectors)...)
	findings = append(findings, repeatedSelectors("spec.nodeSelectors", s.NodeSelectors)...)
	findings = append(findings, repeatedSelectors("spec.serviceSelectors", s.ServiceSelectors)...)
	if len(findings) > 0 {
		return nil, findings
	}
	return ad, nil
}

// poolsOf resolves the pools that an advertisement covers; nil: all.
func (r *resolver) poolsOf(ref Ref, names []string, bySelector []metav1.LabelSelector) map[string]bool {
	if len(names) == 0 && len(bySelector) == 0 {
		return nil
	}
	pools := map[string]bool{}
	for i, name := range names {
		if !slices.ContainsFunc(r.c.Pools, func(p *Pool) bool { return p.Name == name }) {
			r.find(Finding{Object: ref, Severity: Unresolved, Reason: PoolNotFound, Field: index("spec.ipAddressPools", i), Value: name,
				Message: "there is no such IPAddressPool, or it is not accepted; create it or correct the name"})
			continue
		}
		pools[name] = true
	}
	compiled, _ := selectors(bySelector, "")
	for _, p := range r.c.Pools {
		if len(compiled) > 0 && AnySelects(compiled, p.Labels) {
			pools[p.Name] = true
		}
	}
	return pools
}

// peersOf resolves the peers that an advertisement goes to; nil: all. A peer
// that is there but not in force counts as named: it is its own Finding.
func (r *resolver) peersOf(ref Ref, names []string) map[string]bool {
	if len(names) == 0 {
		return nil
	}
	peers := map[string]bool{}
	for i, name := range names {
		peers[name] = true
		if _, there := slices.BinarySearchFunc(r.s.Peers, name, func(p peerObject, n string) int { return compareNames(p.Name, n) }); !there {
			r.find(Finding{Object: ref, Severity: Unresolved, Reason: PeerNotFound, Field: index("spec.peers", i), Value: name,
				Message: "there is no such BGPPeer; create it or correct the name"})
		}
	}
	return peers
}

func (r *resolver) communitiesOf(ref Ref, ad *BGPAdvertisement, texts []string, aliases map[string]bgp.Community) {
	for i, text := range texts {
		field := index("spec.communities", i)
		value, known := aliases[text]
		if strings.Contains(text, ":") {
			value, _ = bgp.ParseCommunity(text)
		} else if !known {
			r.find(Finding{Object: ref, Severity: Unresolved, Reason: CommunityNotFound, Field: field, Value: text,
				Message: "invalid community format: no Community object defines this alias; define it, or write a:b or large:a:b:c"})
			continue
		}
		if value == bgp.NoAdvertise {
			r.find(Finding{Object: ref, Severity: Warning, Reason: NoAdvertise, Field: field, Value: text,
				Message: "is no-advertise: the router that receives the route passes it on to nobody; no-export, which keeps it inside the router's AS, is 65535:65281"})
		}
		ad.Communities = append(ad.Communities, value)
	}
	slices.SortFunc(ad.Communities, bgp.Community.Compare)
	ad.Communities = slices.Compact(ad.Communities)
}

// fitAggregation takes out of the advertisement the pools that its aggregates
// would not stay inside of.
func (r *resolver) fitAggregation(ref Ref, ad *BGPAdvertisement) {
	if ad.Aggregation == 32 && ad.AggregationV6 == 128 {
		return
	}
	fits := map[string]bool{}
	bad := false
	for _, p := range r.c.Pools {
		if ad.Pools != nil && !ad.Pools[p.Name] {
			continue
		}
		fits[p.Name] = true
		for _, rng := range p.Ranges {
			field, length := "spec.aggregationLength", ad.Aggregation
			if !rng.From().Is4() {
				field, length = "spec.aggregationLengthV6", ad.AggregationV6
			}
			shortest := rng.Prefixes()[0].Bits()
			for _, prefix := range rng.Prefixes() {
				shortest = min(shortest, prefix.Bits())
			}
			if length < shortest {
				f := fault(InvalidAggregation, field, strconv.Itoa(length), "invalid aggregation length %d: prefix %d in this pool is more specific than the aggregation length for addresses %s of IPAddressPool %s, which is not announced; write at least %d", length, shortest, rangeText(rng), p.Name, shortest)
				f.Object = ref
				r.find(f)
				fits[p.Name], bad = false, true
			}
		}
	}
	if bad {
		ad.Pools = fits
	}
}

func (r *resolver) l2Advertisements() {
	for _, o := range r.s.L2Ads {
		ref := Ref{Kind: v1beta1.KindL2Advertisement, Name: o.Name}
		spec := &o.Spec
		ad := accept(r, ref, spec, o.Status.LastAccepted, func(s *v1beta1.L2AdvertisementSpec) (*L2Advertisement, []Finding) {
			spec = s
			return parseL2Ad(s)
		})
		if ad == nil {
			continue
		}
		ad.Name = o.Name
		ad.Pools = r.poolsOf(ref, spec.IPAddressPools, spec.IPAddressPoolSelectors)
		r.c.L2Ads = append(r.c.L2Ads, ad)
	}
}

func parseL2Ad(s *v1beta1.L2AdvertisementSpec) (*L2Advertisement, []Finding) {
	ad := &L2Advertisement{Interfaces: s.Interfaces}
	var findings []Finding
	compile := func(list []metav1.LabelSelector, field string) []labels.Selector {
		out, bad := selectors(list, field)
		if bad != nil {
			findings = append(findings, *bad)
		}
		return out
	}
	ad.NodeSelectors = compile(s.NodeSelectors, "spec.nodeSelectors")
	ad.ServiceSelectors = compile(s.ServiceSelectors, "spec.serviceSelectors")
	compile(s.IPAddressPoolSelectors, "spec.ipAddressPoolSelectors")
	for i, p := range s.PreferredNodeSelectors {
		one, bad := selectors([]metav1.LabelSelector{p.Preference}, "")
		if bad != nil {
			bad.Field = index("spec.preferredNodeSelectors", i) + ".preference"
			findings = append(findings, *bad)
			continue
		}
		ad.Preferred = append(ad.Preferred, Preference{Weight: p.Weight, Selector: one[0]})
	}
	findings = append(findings, repeated("spec.ipAddressPools", s.IPAddressPools)...)
	findings = append(findings, repeatedSelectors("spec.ipAddressPoolSelectors", s.IPAddressPoolSelectors)...)
	findings = append(findings, repeatedSelectors("spec.nodeSelectors", s.NodeSelectors)...)
	findings = append(findings, repeatedSelectors("spec.serviceSelectors", s.ServiceSelectors)...)
	if len(findings) > 0 {
		return nil, findings
	}
	return ad, nil
}

// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// sample is what a template may be given.
type sample struct {
	name string // of the template
	data map[string]any
}

// samples are made by Build itself of plans that use every template, once with
// everything that may be missing and once without.
var samples = sync.OnceValue(func() []sample {
	var all []sample
	for _, p := range []*plan.NodePlan{samplePlan(fullPeer, fullProfile, "red"), samplePlan(barePeer, &intent.BFDProfile{Name: "bare"}, ""), samplePlan(linkPeer, fullProfile, "")} {
		b := &builder{o: Options{}.withDefaults(), doc: &Document{made: new(mark), routers: p.Routers}}
		b.seen = func(name string, data map[string]any) { all = append(all, sample{name, data}) }
		b.build(nil, p)
	}
	return all
})

var (
	interval    = uint32(100)
	multiplier  = uint32(3)
	fullProfile = &intent.BFDProfile{
		Name: "full", ReceiveInterval: &interval, TransmitInterval: &interval, EchoInterval: &interval,
		DetectMultiplier: &multiplier, MinimumTTL: &interval, EchoMode: true, PassiveMode: true,
	}
	fullPeer = &intent.Peer{
		Name: "full", MyASN: 64512, ASN: 64512, LocalASN: 64999, Addr: netip.MustParseAddr("2001:db8::1"), Source: netip.MustParseAddr("2001:db8::2"),
		Port: 1179, Timers: &intent.Timers{Hold: 90 * time.Second, Keepalive: 30 * time.Second}, Connect: 5 * time.Second,
		RouterID: netip.MustParseAddr("192.0.2.1"), Password: bgp.NewPassword("secret"), BFD: fullProfile, GracefulRestart: true, EBGPMultiHop: true,
	}
	barePeer = &intent.Peer{Name: "bare", MyASN: 64512, ASN: 64600, Addr: netip.MustParseAddr("192.0.2.1"), Port: 179}
	linkPeer = &intent.Peer{Name: "link", MyASN: 64512, Dynamic: "external", Interface: "eth1", Port: 179, Timers: &intent.Timers{}}
)

// samplePlan is a plan with one session, one class and one route.
func samplePlan(p *intent.Peer, profile *intent.BFDProfile, vrf string) *plan.NodePlan {
	class := &plan.Class{Name: "sample.v4", Family: bgp.IPv4, Ads: []*intent.BGPAdvertisement{{Name: "sample"}}, Tag: 7, Seq: 7}
	export := plan.Export{Class: class}
	if p == fullPeer {
		export.LocalPref = 100
		for _, text := range []string{"64512:100", "65535:65281", "large:64512:1:2"} {
			if c, err := bgp.ParseCommunity(text); err == nil {
				export.Communities = append(export.Communities, c)
			}
		}
	}
	s := &plan.Session{Peer: p, ASN: p.ASN, LocalASN: p.LocalASN, BFD: p.BFD, Families: []bgp.Family{bgp.IPv4, bgp.IPv6}, Exports: []plan.Export{export}}
	s.ID = s.Neighbor()
	if vrf != "" {
		s.ID += "-" + vrf
	}
	prefix := netip.MustParsePrefix("198.51.100.0/24")
	return &plan.NodePlan{
		Node: "sample", BFDProfiles: slices.Clone([]*intent.BFDProfile{profile}),
		Routers: []*plan.Router{{
			VRF: vrf, ASN: p.MyASN, RouterID: p.RouterID, Sessions: []*plan.Session{s}, Classes: []*plan.Class{class},
			Routes: map[netip.Prefix]*plan.Route{prefix: {Prefix: prefix, Class: class}},
		}},
	}
}

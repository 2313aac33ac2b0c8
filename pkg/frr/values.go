// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"net/netip"
	"strconv"
	"time"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// defaultConnect is the connect-retry time where a peer does not say: a router
// that comes back is greeted within seconds. FRR's own is 120 s.
const defaultConnect = time.Second

func neighborData(s *plan.Session) map[string]any {
	p := s.Peer
	data := map[string]any{
		"ID": s.Neighbor(), "Interface": p.Interface, "RemoteAS": remoteAS(s), "LocalAS": s.LocalASN,
		"Description": shorten(p.Name, 80), "Source": addrText(p.Source), "Password": p.Password.Reveal(),
		"Port": uint16(0), "HasTimers": p.Timers != nil, "Hold": 0, "Keepalive": 0,
		"Connect": seconds(defaultConnect), "BFD": "", "GracefulRestart": p.GracefulRestart,
		"MultiHop": p.EBGPMultiHop, "DisableConnectedCheck": connectedCheckOff(p),
	}
	if p.Port != 179 {
		data["Port"] = p.Port
	}
	if p.Timers != nil {
		data["Hold"], data["Keepalive"] = seconds(p.Timers.Hold), seconds(p.Timers.Keepalive)
	}
	if p.Connect != 0 {
		data["Connect"] = seconds(p.Connect)
	}
	if s.BFD != nil {
		data["BFD"] = shorten(s.BFD.Name, 64)
	}
	return data
}

// connectedCheckOff: FRR refuses a single-hop eBGP session over IPv6 unless the
// neighbour is on a connected subnet by its own reckoning, which fails for
// link-local and some global addresses.
func connectedCheckOff(p *intent.Peer) bool {
	return bgp.FamilyOf(p.Addr) == bgp.IPv6 && !p.Internal() && !p.EBGPMultiHop
}

func remoteAS(s *plan.Session) string {
	if s.ASN == 0 {
		return s.Peer.Dynamic
	}
	return strconv.FormatUint(uint64(s.ASN), 10)
}

func bfdData(p *intent.BFDProfile) map[string]any {
	return map[string]any{
		"Name": shorten(p.Name, 64), "ReceiveInterval": value(p.ReceiveInterval), "TransmitInterval": value(p.TransmitInterval),
		"DetectMultiplier": value(p.DetectMultiplier), "EchoInterval": value(p.EchoInterval), "MinimumTTL": value(p.MinimumTTL),
		"EchoMode": p.EchoMode, "PassiveMode": p.PassiveMode,
	}
}

// value returns what p points to, 0 for nil: templates omit zeros.
func value(p *uint32) uint32 {
	if p == nil {
		return 0
	}
	return *p
}

func seconds(d time.Duration) int { return int(d / time.Second) }

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func familyName(f bgp.Family) string {
	if f == bgp.IPv6 {
		return "IPv6"
	}
	return "IPv4"
}

// shorten fits a name into FRR's limits.
func shorten(name string, limit int) string { return plan.Shorten(name, limit) }

// communityNames are the well-known communities as FRR prints them.
var communityNames = map[string]string{
	"65535:0": "graceful-shutdown", "65535:1": "accept-own", "65535:2": "route-filter-translated-v4",
	"65535:3": "route-filter-v4", "65535:4": "route-filter-translated-v6", "65535:5": "route-filter-v6",
	"65535:6": "llgr-stale", "65535:7": "no-llgr", "65535:8": "accept-own-nexthop", "65535:666": "blackhole",
	"65535:65281": "no-export", "65535:65282": "no-advertise", "65535:65283": "local-AS", "65535:65284": "no-peer",
}

func communityName(c bgp.Community) string {
	if name, ok := communityNames[c.String()]; ok {
		return name
	}
	return c.String()
}

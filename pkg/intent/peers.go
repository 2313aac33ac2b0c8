// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/bgp"
)

// maxPassword is the longest TCP MD5 key, in bytes (Linux TCP_MD5SIG_MAXKEYLEN).
const maxPassword = 80

// peers resolves the BGPPeers. One whose BFDProfile or secret is missing is not
// in force: a session without its BFD or password is not what was asked for.
func (r *resolver) peers() {
	for _, o := range r.s.Peers {
		ref := Ref{Kind: v1beta1.KindBGPPeer, Name: o.Name}
		spec := &o.Spec
		p := accept(r, ref, spec, o.Status.LastAccepted, func(s *v1beta2.BGPPeerSpec) (*Peer, []Finding) {
			password := r.s.PeerPasswords[o.Name]
			if s != spec && s.PasswordSecret.Name != "" {
				password = bgp.Password{} // it came with the spec that is not accepted
			}
			spec = s
			return parsePeer(s, password)
		})
		if p == nil {
			continue
		}
		p.Name, p.Created = o.Name, created(o)
		if r.refs(ref, p, spec) {
			r.c.Peers = append(r.c.Peers, p)
			r.warnOfPeer(p)
		}
	}
}

func parsePeer(s *v1beta2.BGPPeerSpec, password bgp.Password) (*Peer, []Finding) {
	p := &Peer{
		MyASN: s.MyASN, ASN: s.PeerASN, Dynamic: string(s.DynamicASN), LocalASN: s.LocalASN,
		Interface: s.Interface, Port: 179, Password: password,
		GracefulRestart: s.EnableGracefulRestart, EBGPMultiHop: s.EBGPMultiHop, VRF: s.VRF, DualStack: s.DualStackAddressFamily,
	}
	if s.PeerPort != 0 {
		p.Port = s.PeerPort
	}
	var findings []Finding
	for _, check := range []func(*Peer, *v1beta2.BGPPeerSpec) *Finding{
		checkASN, readNeighbor, checkVRF, readSource, readRouterID, readTimers, checkPassword, readPeerSelectors,
	} {
		if f := check(p, s); f != nil {
			findings = append(findings, *f)
		}
	}
	findings = append(findings, repeatedValues("spec.nodeSelectors", s.NodeSelectors)...)
	if len(findings) > 0 {
		return nil, findings
	}
	if s.DisableMP {
		findings = append(findings, Finding{Severity: Warning, Reason: DisableMPIgnored, Field: "spec.disableMP", Value: "true",
			Message: "has no effect; remove it: an IPv4 session carries IPv4 routes and an IPv6 session IPv6 routes unless dualStackAddressFamily is set"})
	}
	return p, findings
}

func one(reason Reason, field, value, format string, args ...any) *Finding {
	f := fault(reason, field, value, format, args...)
	return &f
}

func asn(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func checkASN(p *Peer, s *v1beta2.BGPPeerSpec) *Finding {
	switch {
	case p.MyASN == 0:
		return one(InvalidASN, "spec.myASN", "0", "is reserved; write the cluster's AS number, 1 to 4294967295 (private: 64512 to 65534)")
	case p.ASN == 0 && p.Dynamic == "":
		return one(InvalidASN, "spec.peerASN", "0", "missing; write the router's AS number, 1 to 4294967295, or set dynamicASN to internal or external")
	case p.ASN != 0 && p.Dynamic != "":
		return one(InvalidASN, "spec.dynamicASN", p.Dynamic, "excludes peerASN (%d); keep one of the two", p.ASN)
	case p.Dynamic != "" && p.Dynamic != "internal" && p.Dynamic != "external":
		return one(InvalidASN, "spec.dynamicASN", p.Dynamic, "write internal or external")
	case p.EBGPMultiHop && p.Dynamic == "" && p.ASN == p.MyASN:
		return one(InvalidMultiHop, "spec.ebgpMultiHop", "true", "is for eBGP, and peerASN and myASN are both %d; remove it: iBGP sessions may span hops anyway", p.ASN)
	case p.EBGPMultiHop && p.Dynamic == "" && p.ASN == p.LocalASN:
		return one(InvalidMultiHop, "spec.ebgpMultiHop", "true", "is for eBGP, and peerASN and localASN are both %d; remove it", p.ASN)
	case p.EBGPMultiHop && p.Interface != "":
		return one(InvalidMultiHop, "spec.ebgpMultiHop", "true", "is not for an unnumbered session, whose router is on the link of interface %s; remove it, or write peerAddress", p.Interface)
	case p.LocalASN != 0 && (p.LocalASN == p.MyASN || p.ASN == p.MyASN || p.Dynamic == "internal"):
		return one(InvalidASN, "spec.localASN", asn(p.LocalASN), "must differ from myASN (%d), on an eBGP session; remove it or change one of them", p.MyASN)
	}
	return nil
}

func readNeighbor(p *Peer, s *v1beta2.BGPPeerSpec) *Finding {
	switch {
	case s.PeerAddress == "" && s.Interface == "":
		return one(InvalidPeerAddress, "spec.peerAddress", "", "invalid BGPPeer address: missing; write the router's IPv4 or IPv6 address, or the interface of an unnumbered session")
	case s.PeerAddress != "" && s.Interface != "":
		return one(InvalidPeerAddress, "spec.interface", s.Interface, "excludes peerAddress (%s); keep one of the two", s.PeerAddress)
	case s.PeerAddress == "" && !linkName(s.Interface):
		return one(InvalidPeerAddress, "spec.interface", s.Interface, "is no name that an interface can have; write one of 1 to 15 bytes, such as eth0")
	case s.PeerAddress == "":
		return nil
	}
	addr, ok := parseAddr(s.PeerAddress)
	if !ok {
		return one(InvalidPeerAddress, "spec.peerAddress", s.PeerAddress, "invalid BGPPeer address; write one IPv4 or IPv6 address, such as 192.0.2.1 or 2001:db8::1")
	}
	if addr.IsUnspecified() || addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return one(InvalidPeerAddress, "spec.peerAddress", s.PeerAddress, "invalid BGPPeer address: no router can have it; write the router's own, such as 192.0.2.1 or 2001:db8::1")
	}
	p.Addr = addr
	return nil
}

func checkVRF(_ *Peer, s *v1beta2.BGPPeerSpec) *Finding {
	if s.VRF == "" || linkName(s.VRF) {
		return nil
	}
	return one(InvalidVRF, "spec.vrf", s.VRF, "is no name that a VRF can have; write one of 1 to 15 bytes, such as red")
}

// linkName reports whether Linux takes name for an interface (dev_valid_name in
// net/core/dev.c) and FRR for one word.
func linkName(name string) bool {
	return len(name) > 0 && len(name) < 16 && name != "." && name != ".." &&
		!strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '/' || r == ':' || r >= 0x7f })
}

func readSource(p *Peer, s *v1beta2.BGPPeerSpec) *Finding {
	if s.SourceAddress == "" {
		return nil
	}
	if s.Interface != "" {
		return one(InvalidSourceAddress, "spec.sourceAddress", s.SourceAddress, "is not for an unnumbered session, which uses the link-local address of interface %s; remove it, or write peerAddress", s.Interface)
	}
	addr, ok := parseAddr(s.SourceAddress)
	if !ok || p.Addr.IsValid() && bgp.FamilyOf(addr) != bgp.FamilyOf(p.Addr) {
		return one(InvalidSourceAddress, "spec.sourceAddress", s.SourceAddress, "write an address of the node, of the same family as peerAddress (%s)", s.PeerAddress)
	}
	p.Source = addr
	return nil
}

func readRouterID(p *Peer, s *v1beta2.BGPPeerSpec) *Finding {
	if s.RouterID == "" {
		return nil
	}
	addr, err := netip.ParseAddr(s.RouterID)
	if err != nil || !addr.Is4() || addr.IsUnspecified() {
		return one(InvalidRouterID, "spec.routerID", s.RouterID, "write it as an IPv4 address other than 0.0.0.0, such as 192.0.2.1; it identifies the node and need not be reachable")
	}
	p.RouterID = addr
	return nil
}

func readTimers(p *Peer, s *v1beta2.BGPPeerSpec) *Finding {
	if s.ConnectTime != nil {
		p.Connect = s.ConnectTime.Duration
		if p.Connect < time.Second || p.Connect > 65535*time.Second || p.Connect%time.Second != 0 {
			return one(InvalidTimers, "spec.connectTime", p.Connect.String(), "write whole seconds, 1s to 65535s")
		}
	}
	if s.HoldTime == nil && s.KeepaliveTime == nil {
		return nil
	}
	hold, keepalive := duration(s.HoldTime), duration(s.KeepaliveTime)
	if s.HoldTime == nil {
		hold = 3 * keepalive
	}
	if s.KeepaliveTime == nil {
		keepalive = (hold / 3).Truncate(time.Second)
	}
	switch {
	case s.HoldTime == nil && (hold%(3*time.Second) != 0 || hold < 0 || hold > 65535*time.Second):
		return one(InvalidTimers, "spec.keepaliveTime", keepalive.String(), "write whole seconds, at most 21845s: without holdTime the hold time is three times as long")
	case hold%time.Second != 0 || hold < 0 || hold > 65535*time.Second || hold > 0 && hold < 3*time.Second:
		return one(InvalidTimers, "spec.holdTime", hold.String(), "write whole seconds: 0s (never expires), or 3s to 65535s (RFC 4271)")
	case keepalive%time.Second != 0 || keepalive < 0 || keepalive > hold:
		return one(InvalidTimers, "spec.keepaliveTime", keepalive.String(), "write whole seconds, at most the hold time (%s); a third of it is usual", hold)
	}
	p.Timers = &Timers{Hold: hold, Keepalive: keepalive}
	return nil
}

func duration(d *metav1.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return d.Duration
}

func checkPassword(p *Peer, s *v1beta2.BGPPeerSpec) *Finding {
	if !p.Password.IsZero() && s.PasswordSecret.Name != "" {
		return one(InvalidPassword, "spec.password", "", "excludes passwordSecret (%s); keep the secret and remove the password", s.PasswordSecret.Name)
	}
	return passwordFits(p.Password, "spec.password")
}

// passwordFits checks what FRR's configuration and TCP MD5 can carry.
func passwordFits(password bgp.Password, field string) *Finding {
	text := password.Reveal()
	if len(text) > maxPassword {
		return one(InvalidPassword, field, "", "has %d bytes; TCP MD5 carries at most %d", len(text), maxPassword)
	}
	for _, c := range text {
		if c <= ' ' || c == 0x7f || c == '?' {
			return one(InvalidPassword, field, "", "holds a blank, a control character or a question mark, which FRR's configuration cannot carry; use printable characters")
		}
	}
	return nil
}

func readPeerSelectors(p *Peer, s *v1beta2.BGPPeerSpec) (f *Finding) {
	p.NodeSelectors, f = selectors(s.NodeSelectors, "spec.nodeSelectors")
	return f
}

// refs fills in what the peer names, and reports whether all of it is there.
func (r *resolver) refs(ref Ref, p *Peer, s *v1beta2.BGPPeerSpec) bool {
	ok := true
	unresolved := func(reason Reason, field, value, format string, args ...any) {
		ok = false
		f := fault(reason, field, value, format, args...)
		f.Object, f.Severity = ref, Unresolved
		r.find(f)
	}
	if s.BFDProfile != "" {
		if p.BFD = r.profile(s.BFDProfile); p.BFD == nil {
			unresolved(BFDProfileNotFound, "spec.bfdProfile", s.BFDProfile, "peer %s referencing non existing bfd profile %s; the session is not opened without it: create the BFDProfile or correct the name", p.Name, s.BFDProfile)
		}
	}
	name := s.PasswordSecret.Name
	if name == "" {
		return ok
	}
	field := "spec.passwordSecret.name"
	secret, found := r.s.Secrets[name]
	where := fmt.Sprintf("%q/%q", r.s.Namespace, name)
	switch {
	case !found:
		unresolved(SecretNotFound, field, name, "secret ref not found for peer config %s; create a Secret of type %s with the key password", where, corev1.SecretTypeBasicAuth)
	case secret.Type != corev1.SecretTypeBasicAuth:
		unresolved(SecretInvalid, field, name, "secret type mismatch on %s, type %q is expected", where, corev1.SecretTypeBasicAuth)
	case !secret.HasPassword:
		unresolved(SecretInvalid, field, name, "secret %s has no key password; add it", where)
	default:
		if f := passwordFits(secret.Password, field); f != nil {
			unresolved(SecretInvalid, field, name, "%s", f.Message)
		}
		p.Password = secret.Password
	}
	return ok
}

func (r *resolver) profile(name string) *BFDProfile {
	for _, p := range r.c.BFDProfiles {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// parseAddr reads an address without zone; an IPv4-mapped one becomes IPv4.
func parseAddr(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err == nil && addr.Zone() == ""
}

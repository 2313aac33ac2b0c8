// SPDX-License-Identifier: Apache-2.0

package links

import (
	"fmt"
	"net/netip"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// maxPrefixes bounds the prefixes of a Link in a ConfigurationState, as its
// schema does.
const maxPrefixes = 1000

// linkLocalBits is the prefix length of IPv6 link-local addresses (RFC 4291 section
// 2.5.6).
const linkLocalBits = 64

// Refusal says why a question is not answered on an interface. The zero value
// says that it is.
type Refusal struct {
	Reason intent.Reason
	// Message names the interface, and what would have to be different.
	Message string
}

// Answers says what is answered on an interface.
type Answers struct {
	// ARP is about IPv4, NDP about IPv6. Where neither is answered for the same
	// reason both say so.
	ARP, NDP Refusal
}

// Any reports whether ARP or NDP is answered.
func (a Answers) Any() bool { return a.ARP.Reason == "" || a.NDP.Reason == "" }

// For returns what is said for an address: of ARP or of NDP.
func (a Answers) For(addr netip.Addr) Refusal {
	if addr.Unmap().Is4() {
		return a.ARP
	}
	return a.NDP
}

// Answers returns what can be answered on the interface where those of x are left
// alone. What stays as it is, whatever the cable does, is named first.
func (l *Link) Answers(x *Exclusion) Answers {
	if no := l.refuse(x); no.Reason != "" {
		return Answers{ARP: no, NDP: no}
	}
	var a Answers
	if !l.Broadcast {
		a.ARP = Refusal{LinkNoBroadcast, fmt.Sprintf("interface %s has no broadcast address, which ARP needs", l.Name)}
	}
	if !l.LinkLocal.IsValid() {
		a.NDP = Refusal{LinkNoLinkLocal, fmt.Sprintf("interface %s has no IPv6 link-local address (fe80::/10) in use, which NDP needs; IPv6 is off on it, or duplicate address detection has not passed", l.Name)}
	}
	return a
}

// refuse says why nothing is answered at all.
func (l *Link) refuse(x *Exclusion) Refusal {
	if pattern, ok := x.Match(l.Name); ok {
		return Refusal{LinkExcluded, fmt.Sprintf("interface %s matches %q of %s", l.Name, pattern, excludeKey)}
	}
	switch {
	case l.Master != 0:
		return Refusal{LinkHasMaster, fmt.Sprintf("interface %s is a port of interface %d (a bridge, bond or VRF), which can answer instead", l.Name, l.Master)}
	case !l.Ethernet:
		return Refusal{LinkNotEthernet, fmt.Sprintf("interface %s is not an Ethernet interface", l.Name)}
	case l.NoARP:
		return Refusal{LinkNoARP, fmt.Sprintf("interface %s has the flag NOARP set; ip link set dev %s arp on clears it", l.Name, l.Name)}
	case !l.Up:
		return Refusal{LinkDown, fmt.Sprintf("interface %s is down, or has no carrier", l.Name)}
	}
	return Refusal{}
}

// Published returns the interfaces on which something is answered, as a speaker's
// ConfigurationState tells the other nodes: sorted by name, each with its prefixes
// of the families that are answered. So a prefix in fe80::/10 says that NDP is; it
// is the only one of these, and says nothing of where an address belongs. links are
// as Watch reports them. Nil: there is none.
func Published(links []Link, x *Exclusion) []v1beta1.Link {
	var out []v1beta1.Link
	for i := range links {
		l := &links[i]
		a := l.Answers(x)
		if !a.Any() {
			continue
		}
		p := v1beta1.Link{Name: l.Name, MAC: l.MAC.String()}
		if a.NDP.Reason == "" { // first: it is not cut off
			p.Prefixes = append(p.Prefixes, netip.PrefixFrom(l.LinkLocal, linkLocalBits).String())
		}
		for _, prefix := range l.Addrs {
			addr := prefix.Addr()
			if addr.Is6() && addr.IsLinkLocalUnicast() || a.For(addr).Reason != "" || len(p.Prefixes) == maxPrefixes {
				continue
			}
			p.Prefixes = append(p.Prefixes, prefix.String())
		}
		out = append(out, p)
	}
	return out
}

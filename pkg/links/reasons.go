// SPDX-License-Identifier: Apache-2.0

package links

import "metallb.io/metallb-frr/pkg/intent"

// Why neither ARP nor NDP is answered on an interface.
const (
	// LinkExcluded: announcedInterfacesToExclude has an expression that matches
	// its name.
	LinkExcluded intent.Reason = "LinkExcluded"
	// LinkHasMaster: it is a port of a bridge, a bond or a VRF, which answers
	// in its place.
	LinkHasMaster intent.Reason = "LinkHasMaster"
	// LinkNotEthernet: its frames are not Ethernet frames.
	LinkNotEthernet intent.Reason = "LinkNotEthernet"
	// LinkNoARP: its flag NOARP is set: nobody resolves neighbours on it.
	LinkNoARP intent.Reason = "LinkNoARP"
	// LinkDown: it is switched off, or without a carrier.
	LinkDown intent.Reason = "LinkDown"
)

// Why one of both is not answered on an interface.
const (
	// LinkNoBroadcast: no ARP, for there is no broadcast address.
	LinkNoBroadcast intent.Reason = "LinkNoBroadcast"
	// LinkNoLinkLocal: no NDP, for there is no IPv6 link-local address to speak
	// from.
	LinkNoLinkLocal intent.Reason = "LinkNoLinkLocal"
)

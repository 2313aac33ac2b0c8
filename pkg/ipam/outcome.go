// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"net/netip"

	"metallb.io/metallb-frr/pkg/intent"
)

// Outcome is what Assign decided for one Service. It shares its slices with the
// arguments of Assign and is read-only.
type Outcome struct {
	Service intent.Key
	// Addresses the Service is to hold, IPv4 first; empty: none.
	Addresses []netip.Addr
	// Pool is the name of the pool they come from; empty without addresses.
	Pool string
	// Remember are the sets of addresses that the Service lost to edits of the pools
	// and is to have again, for the annotation metallb.io/last-ips, in its order.
	Remember [][]netip.Addr
	// SharedAs is for the annotation metallb.io/shared-as; empty: none.
	SharedAs string
	// Changed: the fields above differ from what the Service's status and
	// annotations say, whatever has been assumed.
	Changed bool
	// Cleared says why an address that the Service had is taken away; empty
	// where none is.
	Cleared string
	// Reason and Message say why the Service has no address, why it has not
	// both (AdditionalFamilyFailed), or why it keeps what it has although it
	// asks for something else (a Blocked Service, with its Finding's Reason).
	// Empty where all is well.
	Reason  intent.Reason
	Message string
}

// Usage counts a pool's addresses; both families saturate at the largest int64.
type Usage struct {
	AssignedIPv4, AssignedIPv6   int64
	AvailableIPv4, AvailableIPv6 int64
}

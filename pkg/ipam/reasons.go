// SPDX-License-Identifier: Apache-2.0

package ipam

import "metallb.io/metallb-frr/pkg/intent"

// Why a Service cannot have an address, whatever the pools hold.
const (
	// NoClusterIP: the Service has no ClusterIP, whose families its addresses
	// must have.
	NoClusterIP intent.Reason = "NoClusterIP"
	// NotDualStack: ipFamilyPolicy is RequireDualStack, and the Service has
	// ClusterIPs of one family only.
	NotDualStack intent.Reason = "NotDualStack"
)

// Why a Service that asks for no particular address gets none.
const (
	// NoPool: there is no accepted IPAddressPool, or none that gives this
	// Service an address unasked (autoAssign, serviceAllocation).
	NoPool intent.Reason = "NoPool"
	// FamilyNotInPool: no pool that the Service may use has addresses of the
	// families that it needs.
	FamilyNotInPool intent.Reason = "FamilyNotInPool"
	// NoFreeAddress: all addresses of the pools that the Service may use are
	// assigned.
	NoFreeAddress intent.Reason = "NoFreeAddress"
)

// Why a Service does not get the pool or the addresses that it asks for.
const (
	// PoolNotFound: the pool asked for does not exist or is not accepted.
	PoolNotFound intent.Reason = "PoolNotFound"
	// PoolNotAllowed: the serviceAllocation of the pool asked for, or of the
	// pool of the address asked for, leaves this Service out.
	PoolNotAllowed intent.Reason = "PoolNotAllowed"
	// PoolMismatch: the address asked for is not in the pool asked for.
	PoolMismatch intent.Reason = "PoolMismatch"
	// FamilyMismatch: the addresses asked for are not of the families of the
	// Service's ClusterIPs, one of each.
	FamilyMismatch intent.Reason = "FamilyMismatch"
	// AddressNotInPool: the address asked for is in no pool, or its pool leaves
	// it out (avoidBuggyIPs).
	AddressNotInPool intent.Reason = "AddressNotInPool"
	// AddressesInTwoPools: the two addresses asked for are in different pools.
	AddressesInTwoPools intent.Reason = "AddressesInTwoPools"
	// AddressInUse: another Service holds the address asked for, and one of the
	// two has no sharing key (metallb.io/allow-shared-ip).
	AddressInUse intent.Reason = "AddressInUse"
	// SharingKeyDiffers: another Service holds the address asked for, with another
	// sharing key.
	SharingKeyDiffers intent.Reason = "SharingKeyDiffers"
	// SharingBackendDiffers: another Service holds the address asked for, with the
	// same sharing key, and one of the two has externalTrafficPolicy Local, or
	// both have and select different pods.
	SharingBackendDiffers intent.Reason = "SharingBackendDiffers"
	// PortInUse: another Service holds the address asked for, with the same
	// sharing key, and listens on a port of this one.
	PortInUse intent.Reason = "PortInUse"
)

// AdditionalFamilyFailed: a PreferDualStack Service has an address of one family
// and gets none of the other.
const AdditionalFamilyFailed intent.Reason = "AdditionalFamilyFailed"

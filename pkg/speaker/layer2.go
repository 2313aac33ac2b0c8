// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"
	"time"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/members"
)

// Layer2 says how addresses are announced by ARP and NDP.
type Layer2 struct {
	// Period is the time between two unsolicited announcements of an address
	// after those of its beginning; 0: none.
	Period time.Duration
	// Exclude is the file that lists the interfaces to leave alone, as
	// links.WatchExclusion reads it; empty: none is left alone.
	Exclude string
	// Members starts the membership of the speakers. It is called once the node
	// passes on what arrives, since a member is given addresses. Nil: a node
	// counts as alive while it is Ready.
	Members func() (*members.Members, error)
}

// answered is a Service that the node announces in layer 2, as its engine has it.
type answered struct {
	service intent.Key
	addrs   []netip.Addr // sorted, those that the node owns; at least one
	links   []string     // sorted; nil: all that can
}

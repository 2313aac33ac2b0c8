// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"net/netip"
	"sync/atomic"
)

// Counts are what happened to one address since the start. They stay when it is
// announced no more.
type Counts struct {
	// Requests are the ARP requests and Neighbor Solicitations for the address
	// while it was answered.
	Requests atomic.Uint64
	// Responses are the answers sent to them.
	Responses atomic.Uint64
	// Gratuitous are the unsolicited frames sent: two a round and link for IPv4,
	// one for IPv6.
	Gratuitous atomic.Uint64
	// TakeOvers are how often this node took it over from another, TakeBacks
	// from one that it had yielded to.
	TakeOvers, TakeBacks atomic.Uint64
	// Conflicts are how often another claimed it while it was ours; frames of one
	// quarrel count once.
	Conflicts atomic.Uint64
}

// Each calls f with the counts of each address that was ever in the set, in no
// order, until f returns false. It waits for nobody and allocates nothing.
func (e *Engine) Each(f func(netip.Addr, *Counts) bool) {
	for addr, a := range *e.index.Load() {
		if !f(addr, &a.counts) {
			return
		}
	}
}

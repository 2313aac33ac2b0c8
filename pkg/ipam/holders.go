// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"iter"
	"net/netip"
)

// holders says which Services, by index, hold an address. It can hold several of
// one address, in the order in which they were added; it has no pointers in it,
// which spares the garbage collector 16,000 of them in every pass.
type holders struct {
	first map[[16]byte]int32 // index in chain, plus 1
	chain []holder
}

type holder struct {
	service int32
	next    int32 // index in chain, plus 1; 0: the last
}

func newHolders(n int) *holders {
	return &holders{first: make(map[[16]byte]int32, n), chain: make([]holder, 0, n)}
}

// add makes a Service a holder of addr and returns how many there were before:
// 0, 1, or 2 for more.
func (h *holders) add(addr netip.Addr, service int32) int {
	h.chain = append(h.chain, holder{service: service})
	n := int32(len(h.chain))
	key := addr.As16()
	at := h.first[key]
	if at == 0 {
		h.first[key] = n
		return 0
	}
	first := &h.chain[at-1]
	before := 1 + min(first.next, 1)
	h.chain[n-1].next, first.next = first.next, n
	return int(before)
}

// of yields the holders of addr.
func (h *holders) of(addr netip.Addr) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for at := h.first[addr.As16()]; at != 0; at = h.chain[at-1].next {
			if !yield(h.chain[at-1].service) {
				return
			}
		}
	}
}

// one returns the first holder of addr.
func (h *holders) one(addr netip.Addr) (int32, bool) {
	if at := h.first[addr.As16()]; at != 0 {
		return h.chain[at-1].service, true
	}
	return 0, false
}

// drop makes addr one that nobody holds.
func (h *holders) drop(addr netip.Addr) { delete(h.first, addr.As16()) }

// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"iter"
	"net/netip"

	"metallb.io/metallb-frr/pkg/intent"
)

// holders says which Services, by index, hold an address. It can hold several of
// one address, in the order in which they were added; it has no pointers in it,
// which spares the garbage collector 16,000 of them in every pass.
type holders struct {
	services []*intent.Service
	first    map[[16]byte]int32 // index in chain, plus 1
	chain    []holder
	// crowds are the ports of addresses that many hold, and who has each.
	crowds map[netip.Addr]map[intent.Port]int32
}

type holder struct {
	service int32
	next    int32 // index in chain, plus 1; 0: the last
}

func newHolders(services []*intent.Service, n int) *holders {
	return &holders{services: services, first: make(map[[16]byte]int32, n), chain: make([]holder, 0, n)}
}

// add makes a Service a holder of addr and reports whether there was one before.
func (h *holders) add(addr netip.Addr, service int32) bool {
	h.chain = append(h.chain, holder{service: service})
	n := int32(len(h.chain))
	key := addr.As16()
	at := h.first[key]
	if at == 0 {
		h.first[key] = n
		return false
	}
	first := &h.chain[at-1]
	h.chain[n-1].next, first.next = first.next, n
	if ports, ok := h.crowds[addr]; ok {
		h.enter(ports, service)
	}
	return true
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

// one returns the first holder of addr, which must have one.
func (h *holders) one(addr netip.Addr) int32 { return h.chain[h.first[addr.As16()]-1].service }

// held reports whether somebody holds addr.
func (h *holders) held(addr netip.Addr) bool { return h.first[addr.As16()] != 0 }

// drop makes addr one that nobody holds.
func (h *holders) drop(addr netip.Addr) {
	delete(h.first, addr.As16())
	delete(h.crowds, addr)
}

// remove ends that a Service holds addr.
func (h *holders) remove(addr netip.Addr, service int32) {
	var others []int32
	for i := range h.of(addr) {
		if i != service {
			others = append(others, i)
		}
	}
	h.drop(addr)
	for _, i := range others {
		h.add(addr, i)
	}
}

// crowded is how many holders of an address are compared one by one.
const crowded = 8

// rival returns why Service i cannot hold addr beside those that do.
func (h *holders) rival(addr netip.Addr, i int32) rivalry {
	s, n := h.services[i], 0
	for j := range h.of(addr) {
		if j == i {
			continue
		}
		r := between(s, h.services[j])
		if n++; n > crowded && r.clash == noClash {
			return h.inCrowd(addr, i)
		}
		if r.clash != noClash {
			r.addr, r.by = addr, j
			return r
		}
	}
	return rivalry{}
}

// inCrowd is rival for one whose key and backend are those of the others.
func (h *holders) inCrowd(addr netip.Addr, i int32) rivalry {
	ports, ok := h.crowds[addr]
	if !ok {
		ports = map[intent.Port]int32{}
		for j := range h.of(addr) {
			h.enter(ports, j)
		}
		if h.crowds == nil {
			h.crowds = map[netip.Addr]map[intent.Port]int32{}
		}
		h.crowds[addr] = ports
	}
	for _, p := range h.services[i].Sharing.Ports {
		if j, taken := ports[p]; taken && j != i {
			return rivalry{clash: samePort, addr: addr, by: j, port: p}
		}
	}
	return rivalry{}
}

// enter notes a Service's ports, but for those that another has already.
func (h *holders) enter(ports map[intent.Port]int32, service int32) {
	s := h.services[service].Sharing
	if s == nil {
		return
	}
	for _, p := range s.Ports {
		if _, taken := ports[p]; !taken {
			ports[p] = service
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// clash is why two Services cannot hold the same address.
type clash uint8

const (
	noClash      clash = iota
	noKey              // one of the two has no sharing key
	otherKey           // they have different ones
	otherBackend       // one is Local, or both are with different selectors
	samePort           // both listen on a port
)

// rivalry is a clash about an address with the Service, by index, that has it.
type rivalry struct {
	clash clash
	addr  netip.Addr
	by    int32
	port  intent.Port
}

// between says why a cannot have an address that b has.
func between(a, b *intent.Service) rivalry {
	x, y := a.Sharing, b.Sharing
	switch {
	case x == nil || y == nil:
		return rivalry{clash: noKey}
	case x.Key != y.Key:
		return rivalry{clash: otherKey}
	case x.Backend != y.Backend:
		return rivalry{clash: otherBackend}
	}
	for i, j := 0, 0; i < len(x.Ports) && j < len(y.Ports); {
		switch c := x.Ports[i].Compare(y.Ports[j]); {
		case c == 0:
			return rivalry{clash: samePort, port: x.Ports[i]}
		case c < 0:
			i++
		default:
			j++
		}
	}
	return rivalry{}
}

// edited reports whether s may share with others than when it was last found to
// agree with those that hold its address.
func edited(s *intent.Service) bool {
	return s.SharedAs != "" && (s.Sharing == nil || s.Sharing.Digest != s.SharedAs)
}

// senior orders Services, by index, that have the same address: whoever shows it is
// before one for which it was only decided, and of those that do, one that has been
// edited so that they clash is last, so that an edit costs nobody else.
func (p *pass) senior(i, j int32) int {
	if a, b := p.shows(i), p.shows(j); a != b {
		if a {
			return -1
		}
		return 1
	}
	a, b := edited(p.services[i]), edited(p.services[j])
	if a != b {
		if a {
			return 1
		}
		return -1
	}
	return p.older(i, j)
}

// shows reports whether the status of Service i says what it has.
func (p *pass) shows(i int32) bool { return len(p.services[i].Addresses) > 0 }

// rival returns why Service i cannot have addr as things are.
func (p *pass) rival(addr netip.Addr, i int32) rivalry {
	if r := p.holders.rival(addr, i); r.clash != noClash || p.reserved == nil {
		return r
	}
	return p.reserved.rival(addr, i)
}

// told says what a rivalry means for Service i.
func (p *pass) told(i int32, r rivalry) *refusal {
	r, all := p.foremost(i, r)
	s, by := p.services[i], p.services[r.by]
	inUse := fmt.Sprintf("%s is in use by %s (can't change sharing key for %q, address also in use by %s)", r.addr, by.Key, s.Key, all)
	elsewhere := "write another address"
	if q := p.poolOf(r.addr); q != nil {
		elsewhere += " of IPAddressPool " + q.Name
	}
	switch r.clash {
	case otherKey:
		return refuse(SharingKeyDiffers, inUse+fmt.Sprintf(": its sharing key is %q and this Service's is %q", by.Sharing.Key, s.Sharing.Key),
			"write the same metallb.io/allow-shared-ip on both, or "+elsewhere)
	case otherBackend:
		return refuse(SharingBackendDiffers, inUse+fmt.Sprintf(": its traffic goes to %s and this Service's to %s", backend(by), backend(s)),
			"to share an address, give both externalTrafficPolicy Cluster, or Local and the same spec.selector; or "+elsewhere)
	case samePort:
		return refuse(PortInUse, fmt.Sprintf("port %s is already in use on %q by %s", r.port, r.addr, by.Key),
			"let one of the two listen on another port, or "+elsewhere)
	}
	return refuse(AddressInUse, inUse, elsewhere+
		", or take it away from that Service; or let the two share it: the same metallb.io/allow-shared-ip on both, and different ports")
}

// foremost returns the rivalry about the same address with the first Service by
// key, so that the order in which they were found does not show, and the keys of
// all that have the address.
func (p *pass) foremost(i int32, r rivalry) (first rivalry, all string) {
	by := slices.Collect(p.holders.of(r.addr))
	if p.reserved != nil {
		by = slices.AppendSeq(by, p.reserved.of(r.addr))
	}
	by = slices.DeleteFunc(by, func(j int32) bool { return j == i })
	slices.SortFunc(by, func(j, k int32) int { return p.services[j].Key.Compare(p.services[k].Key) })
	var keys []string
	for _, j := range by {
		keys = append(keys, p.services[j].Key.String())
		if first.clash == noClash {
			first = between(p.services[i], p.services[j])
			first.addr, first.by = r.addr, j
		}
	}
	return first, list(keys)
}

// backend says where a Service's traffic goes, as far as sharing depends on it.
func backend(s *intent.Service) string {
	if s.Sharing.Backend == "" {
		return "any pod (externalTrafficPolicy Cluster)"
	}
	if _, selector, _ := strings.Cut(s.Sharing.Backend, " "); selector != "" {
		return fmt.Sprintf("pods on the same node (externalTrafficPolicy Local, selector %s)", selector)
	}
	return "pods on the same node (externalTrafficPolicy Local, no selector)"
}

// circle is Services that may share, but for their ports, in one family of a pool.
type circle struct {
	pool         *pool
	family       bgp.Family
	key, backend string
}

// shared are the addresses that a circle holds.
type shared struct {
	addrs []netip.Addr
	// past[port]: all addresses before this index have the port in use. So Services
	// that cannot share do not cost a look at each address every time.
	past map[intent.Port]int
}

// join returns an address that others of its circle hold and Service i may too.
func (p *pass) join(i int32, from *pool, f bgp.Family) (netip.Addr, bool) {
	s := p.services[i].Sharing
	if s == nil {
		return netip.Addr{}, false
	}
	if p.circles == nil {
		p.drawCircles()
	}
	c := p.circles[circle{from, f, s.Key, s.Backend}]
	if c == nil {
		return netip.Addr{}, false
	}
	at := 0
	for _, port := range s.Ports {
		at = max(at, c.past[port])
	}
	for ; at < len(c.addrs); at++ {
		r := p.holders.rival(c.addrs[at], i)
		if r.clash == noClash && p.rival(c.addrs[at], i).clash == noClash {
			return c.addrs[at], true
		}
		if r.clash == samePort && c.past[r.port] == at {
			c.past[r.port] = at + 1
		}
	}
	return netip.Addr{}, false
}

// drawCircles finds out who shares what, in the order of addresses.
func (p *pass) drawCircles() {
	p.circles = map[circle]*shared{}
	for i := range p.states {
		st := &p.states[i]
		for _, a := range st.addrs {
			p.enterCircle(int32(i), st.pool, a)
		}
	}
	for _, c := range p.circles {
		slices.SortFunc(c.addrs, netip.Addr.Compare)
		c.addrs = slices.Compact(c.addrs)
	}
}

func (p *pass) enterCircle(i int32, from *pool, addr netip.Addr) {
	s := p.services[i].Sharing
	if s == nil {
		return
	}
	key := circle{from, bgp.FamilyOf(addr), s.Key, s.Backend}
	c := p.circles[key]
	if c == nil {
		c = &shared{past: map[intent.Port]int{}}
		p.circles[key] = c
	}
	c.addrs = append(c.addrs, addr)
}

// sharedAs is what to remember of with whom s shares its addresses.
func sharedAs(s *intent.Service, addrs []netip.Addr) string {
	if len(addrs) == 0 || s.Sharing == nil {
		return ""
	}
	return s.Sharing.Digest
}

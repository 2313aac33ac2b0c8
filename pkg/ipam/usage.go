// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"encoding/binary"
	"math"
	"math/bits"

	"go4.org/netipx"
)

// huge is the number of addresses from which on an entry counts as unlimited,
// that is, as the largest int64: 62 host bits.
const huge = 1 << 62

// size counts the addresses of the list that can be given out, saturating.
func (l *freeList) size() int64 {
	var n uint64
	for _, r := range l.ranges {
		n += sizeOf(r)
		if l.avoidBuggy && r.From().Is4() {
			n -= buggyIn(r)
		}
		if n >= math.MaxInt64 {
			return math.MaxInt64
		}
	}
	return int64(n)
}

// sizeOf returns the number of addresses of r, at most the largest int64.
func sizeOf(r netipx.IPRange) uint64 {
	from, to := r.From().As16(), r.To().As16()
	low, borrow := bits.Sub64(binary.BigEndian.Uint64(to[8:]), binary.BigEndian.Uint64(from[8:]), 0)
	high, _ := bits.Sub64(binary.BigEndian.Uint64(to[:8]), binary.BigEndian.Uint64(from[:8]), borrow)
	if high > 0 || low >= huge-1 {
		return math.MaxInt64
	}
	return low + 1
}

// buggyIn returns how many addresses of an IPv4 range end in .0 or .255.
func buggyIn(r netipx.IPRange) uint64 {
	below := func(n uint64) uint64 { return n/256*2 + min(n%256, 1) }
	from, to := r.From().As4(), r.To().As4()
	return below(uint64(binary.BigEndian.Uint32(to[:]))+1) - below(uint64(binary.BigEndian.Uint32(from[:])))
}

func (p *pool) usage() Usage {
	v4, v6 := &p.v4, &p.v6
	u := Usage{AssignedIPv4: int64(len(v4.held)), AssignedIPv6: int64(len(v6.held))}
	u.AvailableIPv4 = v4.size() - u.AssignedIPv4
	u.AvailableIPv6 = v6.size() - u.AssignedIPv6
	return u
}

// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/hex"
	"hash/fnv"
	"net/netip"
	"strings"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// maxClassName keeps a class's name, which is a route-map's in FRR, readable on
// one line of a terminal.
const maxClassName = 64

// Shorten fits name into limit bytes: a name that is longer keeps its beginning
// and ends in "~" and eight hexadecimal digits of its hash, so that different
// names stay different.
func Shorten(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	var sum [4]byte
	h := hash(name)
	for i := range sum {
		sum[i] = byte(h >> (24 - 8*i))
	}
	return name[:limit-9] + "~" + hex.EncodeToString(sum[:])
}

func hash(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}

// className is the readable identity of a class: the names of the
// advertisements, joined by "+", and the family.
func className(ads []*intent.BGPAdvertisement, family bgp.Family) string {
	names := make([]string, len(ads))
	for i, ad := range ads {
		names[i] = ad.Name
	}
	suffix := ".v4"
	if family == bgp.IPv6 {
		suffix = ".v6"
	}
	return Shorten(strings.Join(names, "+"), maxClassName-len(suffix)) + suffix
}

// number gives each class its tag and its sequence number: hashes of the name.
// Where two collide the one that comes first by name keeps the number and the
// other takes the next free one, so the numbers depend on nothing but the set.
// The last sequence number is left for the entry that denies everything else.
func number(classes []*Class) {
	tags, seqs := map[uint32]bool{0: true}, map[uint16]bool{}
	for _, c := range classes {
		h := hash(c.Name)
		for c.Tag = h; tags[c.Tag]; {
			c.Tag++
		}
		for c.Seq = uint16(1 + h%65534); seqs[c.Seq]; {
			c.Seq = 1 + c.Seq%65534
		}
		tags[c.Tag], seqs[c.Seq] = true, true
	}
}

// routerIDOf derives a BGP identifier for a node that has no IPv4 address for
// FRR to take it from: a hash of its name, never 0.
func routerIDOf(node string) netip.Addr {
	h := hash(node) | 1
	return netip.AddrFrom4([4]byte{byte(h >> 24), byte(h >> 16), byte(h >> 8), byte(h)})
}

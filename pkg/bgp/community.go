// SPDX-License-Identifier: Apache-2.0

package bgp

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	packet "github.com/osrg/gobgp/v3/pkg/packet/bgp"
)

// Community is a BGP community (RFC 1997) or a large community (RFC 8092).
type Community struct {
	large   bool
	a, b, c uint32 // c only in a large community
}

// NoAdvertise is the well-known community 65535:65282, which forbids the
// receiving router to pass the route on at all (RFC 1997). It is often written
// where no-export, 65535:65281, is meant.
var NoAdvertise = wellKnown(packet.COMMUNITY_NO_ADVERTISE)

// NoExport is the well-known community 65535:65281, which keeps a route inside
// the receiving autonomous system (RFC 1997).
var NoExport = wellKnown(packet.COMMUNITY_NO_EXPORT)

func wellKnown(c packet.WellKnownCommunity) Community {
	return Community{a: uint32(c) >> 16, b: uint32(c) & 0xffff}
}

// ParseCommunity reads "a:b" with two numbers of 0 to 65535, or "large:a:b:c"
// with three numbers of 0 to 4294967295. Names such as no-export are not
// accepted (MetalLB does not either).
func ParseCommunity(s string) (Community, error) {
	parts := strings.Split(s, ":")
	switch {
	case len(parts) == 2:
		a, b, err := section2(parts)
		if err != nil {
			return Community{}, fmt.Errorf("invalid community value: invalid section %w; write two numbers of 0 to 65535, such as 65000:100", err)
		}
		return Community{a: a, b: b}, nil
	case len(parts) == 4 && parts[0] == "large":
		var v [3]uint32
		for i, part := range parts[1:] {
			n, err := strconv.ParseUint(part, 10, 32)
			if err != nil {
				return Community{}, fmt.Errorf("invalid community value: invalid section %q of %q; write large: and three numbers of 0 to 4294967295, such as large:65000:1:100", part, s)
			}
			v[i] = uint32(n)
		}
		return Community{large: true, a: v[0], b: v[1], c: v[2]}, nil
	case len(parts) == 4:
		return Community{}, fmt.Errorf("invalid community value: expected community to be of format large:a:b:c, got %q", s)
	}
	return Community{}, fmt.Errorf("invalid community format %q: write a:b, large:a:b:c, or the name of an alias defined by a Community object", s)
}

func section2(parts []string) (uint32, uint32, error) {
	var v [2]uint32
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil {
			return 0, 0, fmt.Errorf("%q of %q", part, strings.Join(parts, ":"))
		}
		v[i] = uint32(n)
	}
	return v[0], v[1], nil
}

// IsLarge reports whether c is a large community.
func (c Community) IsLarge() bool { return c.large }

// String returns the form that ParseCommunity reads.
func (c Community) String() string {
	if c.large {
		return fmt.Sprintf("large:%d:%d:%d", c.a, c.b, c.c)
	}
	return fmt.Sprintf("%d:%d", c.a, c.b)
}

// What one route can carry. FRR 10 reads 253 values in one "set community" or
// "set large-community" line; a BGP message has 4096 bytes (RFC 4271 section 4.1),
// of which this much is left for communities beside all other attributes.
const (
	MaxCommunities    = 253
	maxCommunityBytes = 3900
)

// CommunitiesFit reports whether one route can carry that many communities (4
// bytes each) and large communities (12 bytes each).
func CommunitiesFit(standard, large int) bool {
	return standard <= MaxCommunities && large <= MaxCommunities && 4*standard+12*large <= maxCommunityBytes
}

// Value returns the community without the word "large": "a:b" or "a:b:c".
func (c Community) Value() string { return strings.TrimPrefix(c.String(), "large:") }

// Compare orders communities before large communities, each by number.
func (c Community) Compare(d Community) int {
	if c.large != d.large {
		if d.large {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(c.a, d.a), cmp.Compare(c.b, d.b), cmp.Compare(c.c, d.c))
}

// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"net/netip"
	"strings"
	"testing"

	"go4.org/netipx"
	"k8s.io/apimachinery/pkg/types"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// at makes the version of a Service with some addresses.
func at(rv uint64, name, addrs string, edits ...func(*version)) version {
	v := version{rv: rv, key: types.NamespacedName{Namespace: "default", Name: name}, uid: types.UID(name), balanced: true}
	for _, text := range strings.Fields(addrs) {
		v.addrs = append(v.addrs, netip.MustParseAddr(text))
	}
	for _, edit := range edits {
		edit(&v)
	}
	return v
}

func poolAt(rv uint64, name, prefix string, assigned int64) version {
	p := &poolVersion{ranges: []netipx.IPRange{netipx.RangeOfPrefix(netip.MustParsePrefix(prefix))}}
	p.counters = v1beta1.IPAddressPoolStatus{AssignedIPv4: assigned}
	return version{rv: rv, key: types.NamespacedName{Name: name}, pool: p}
}

// The judge finds what is wrong in made-up histories, and nothing in good ones:
// what the tests of this package assert can fail.
func TestJudge(t *testing.T) {
	shares := func(port string) func(*version) {
		return func(v *version) { v.wish.sharing, v.wish.ports = "k", port }
	}
	asks := func(a string) func(*version) { return func(v *version) { v.wish.asked = a } }
	remembering := func(last string) func(*version) { return func(v *version) { v.last = last } }
	pending := func(v *version) { v.pending = "NoFreeAddress" }
	gone := func(v *version) { v.deleted = true }
	again := func(v *version) { v.uid = "another" }
	main := poolAt(1, "main", "192.0.2.0/30", 1)
	for name, test := range map[string]struct {
		history    []version
		wrong, end string // part of what is found; empty: nothing
	}{
		"an address each":              {history: []version{poolAt(1, "main", "192.0.2.0/30", 2), at(2, "a", "192.0.2.0"), at(3, "b", "192.0.2.1")}},
		"a double":                     {history: []version{main, at(2, "a", "192.0.2.0"), at(3, "b", "192.0.2.0")}, wrong: "version 3, default/b: has 192.0.2.0, which default/a has"},
		"a double for one write only":  {history: []version{main, at(2, "a", "192.0.2.0"), at(3, "b", "192.0.2.0"), at(4, "a", "", gone)}, wrong: "which default/a has"},
		"a double, seen out of order":  {history: []version{main, at(4, "a", "", gone), at(3, "b", "192.0.2.0"), at(2, "a", "192.0.2.0")}, wrong: "which default/a has"},
		"given on after a deletion":    {history: []version{main, at(2, "a", "192.0.2.0"), at(3, "a", "192.0.2.0", gone), at(4, "b", "192.0.2.0")}},
		"two that share":               {history: []version{main, at(2, "a", "192.0.2.0", shares("TCP/80")), at(3, "b", "192.0.2.0", shares("TCP/81"))}},
		"two that share a port":        {history: []version{main, at(2, "a", "192.0.2.0", shares("TCP/80")), at(3, "b", "192.0.2.0", shares("TCP/80"))}, wrong: "which default/a has"},
		"an edit that makes a double":  {history: []version{main, at(2, "a", "192.0.2.0", shares("TCP/80")), at(3, "b", "192.0.2.0", shares("TCP/81")), at(4, "b", "192.0.2.0")}, wrong: "version 4, default/b"},
		"a loss":                       {history: []version{main, at(2, "a", "192.0.2.0"), at(3, "a", "", pending)}, wrong: "had [192.0.2.0] without anything against it", end: "could have one"},
		"a change":                     {history: []version{main, at(2, "a", "192.0.2.0"), at(3, "a", "192.0.2.1")}, wrong: "and has [192.0.2.1] now"},
		"a change as asked":            {history: []version{main, at(2, "a", "192.0.2.0"), at(3, "a", "192.0.2.0", asks("192.0.2.1")), at(4, "a", "192.0.2.1", asks("192.0.2.1"))}},
		"another of the same name":     {history: []version{main, at(2, "a", "192.0.2.0"), at(3, "a", "192.0.2.1", again)}},
		"a loss by an edit of pools":   {history: []version{main, at(2, "a", "192.0.2.0"), poolAt(3, "main", "192.0.2.4/30", 0), at(4, "a", "", pending), poolAt(5, "main", "192.0.2.0/30", 1), at(6, "a", "192.0.2.0")}},
		"a loss after such an edit":    {history: []version{main, poolAt(2, "main", "192.0.2.4/30", 0), poolAt(3, "main", "192.0.2.0/30", 1), at(4, "a", "192.0.2.0"), at(5, "a", "192.0.2.1")}, wrong: "version 5"},
		"back to what is remembered":   {history: []version{main, at(2, "a", "192.0.2.1", remembering("192.0.2.0")), at(3, "a", "192.0.2.0")}},
		"not to what is remembered":    {history: []version{main, at(2, "a", "192.0.2.1", remembering("192.0.2.0")), at(3, "a", "192.0.2.2")}, wrong: "version 3"},
		"none, and nothing says why":   {history: []version{poolAt(1, "main", "192.0.2.0/30", 0), at(2, "a", "")}, end: "no condition that says why"},
		"none, with one free":          {history: []version{poolAt(1, "main", "192.0.2.0/30", 0), at(2, "a", "", pending)}, end: "could have one"},
		"none, with none free":         {history: []version{poolAt(1, "main", "192.0.2.0/32", 1), at(2, "a", "192.0.2.0"), at(3, "b", "", pending)}},
		"none, the one asked for held": {history: []version{main, at(2, "a", "192.0.2.0"), at(3, "b", "", pending, asks("192.0.2.0"))}},
		"one of two families":          {history: []version{main, at(2, "a", "192.0.2.0", func(v *version) { v.wish.families = "RequireDualStack" })}, end: "has only 192.0.2.0"},
		"one of no pool":               {history: []version{poolAt(1, "main", "192.0.2.0/30", 0), at(2, "a", "192.0.2.9")}, end: "may not have"},
		"counters":                     {history: []version{poolAt(1, "main", "192.0.2.0/30", 2), at(2, "a", "192.0.2.0")}, end: "pool main counts 2 IPv4"},
	} {
		t.Run(name, func(t *testing.T) {
			j := replay(test.history)
			for _, found := range []struct {
				what, want string
				got        []string
			}{{"on the way", test.wrong, j.wrong}, {"at the end", test.end, j.end()}} {
				if got := strings.Join(found.got, "\n"); found.want == "" && got != "" || !strings.Contains(got, found.want) {
					t.Errorf("%s it finds %q, want %q", found.what, got, found.want)
				}
			}
		})
	}
}

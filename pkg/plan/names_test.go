// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

func TestShorten(t *testing.T) {
	long := strings.Repeat("a", 100)
	for _, row := range []struct {
		name  string
		limit int
		want  string
	}{
		{"", 10, ""},
		{"short", 10, "short"},
		{"exactlyten", 10, "exactlyten"},
		{long, 64, strings.Repeat("a", 55) + "~" + Shorten(long, 9)[1:]},
	} {
		if got := Shorten(row.name, row.limit); got != row.want {
			t.Errorf("Shorten(%q, %d) = %q, want %q", row.name, row.limit, got, row.want)
		}
	}
	for limit := 9; limit < 100; limit++ {
		a, b := Shorten(long, limit), Shorten(long[:99]+"b", limit)
		if len(a) != limit || a == b {
			t.Errorf("limit %d: %q and %q", limit, a, b)
		}
	}
}

func TestClassName(t *testing.T) {
	ads := []*intent.BGPAdvertisement{{Name: "one"}, {Name: "two"}}
	if a, b := className(ads, bgp.IPv4), className(ads, bgp.IPv6); a != "one+two.v4" || b != "one+two.v6" {
		t.Errorf("%s, %s", a, b)
	}
	for i := range 40 {
		ads = append(ads, &intent.BGPAdvertisement{Name: fmt.Sprintf("advertisement-%d", i)})
	}
	name := className(ads, bgp.IPv6)
	if len(name) != maxClassName || !strings.HasSuffix(name, ".v6") || name == className(ads[:41], bgp.IPv6) {
		t.Errorf("%q", name)
	}
}

func numbered(names []string) map[string]string {
	classes := []*Class{}
	for _, n := range slices.Sorted(slices.Values(names)) {
		classes = append(classes, &Class{Name: n})
	}
	number(classes)
	all := map[string]string{}
	for _, c := range classes {
		all[c.Name] = fmt.Sprint(c.Tag, " ", c.Seq)
	}
	return all
}

// colliding finds names whose hashes, after f, are the same.
func colliding(n int, f func(uint32) uint32) []string {
	by := map[uint32][]string{}
	for i := 0; ; i++ {
		name := fmt.Sprintf("ad-%d.v4", i)
		key := f(hash(name))
		if by[key] = append(by[key], name); len(by[key]) == n {
			return by[key]
		}
	}
}

// Numbers are unique, in range, and depend on the set of names alone.
func TestNumbers(t *testing.T) {
	seqOf := func(h uint32) uint32 { return 1 + h%65534 }
	sets := map[string][]string{
		"one":                    {"a.v4"},
		"none":                   nil,
		"sequences that collide": colliding(3, seqOf),
		"tags that collide":      colliding(2, func(h uint32) uint32 { return h }),
	}
	var many []string
	for i := range 5000 {
		many = append(many, fmt.Sprintf("class-%d.v6", i))
	}
	sets["many"] = many
	for what, names := range sets {
		tags, seqs := map[uint32]bool{}, map[uint16]bool{}
		classes := []*Class{}
		for _, n := range slices.Sorted(slices.Values(names)) {
			classes = append(classes, &Class{Name: n})
		}
		number(classes)
		for i, c := range classes {
			if c.Tag == 0 || c.Seq == 0 || c.Seq == 65535 || tags[c.Tag] || seqs[c.Seq] {
				t.Errorf("%s: %s has tag %d, sequence %d", what, c.Name, c.Tag, c.Seq)
			}
			tags[c.Tag], seqs[c.Seq] = true, true
			if i == 0 && (c.Tag != hash(c.Name) || uint32(c.Seq) != seqOf(hash(c.Name))) {
				t.Errorf("%s: the first, %s, has tag %d, sequence %d, which is not its hash", what, c.Name, c.Tag, c.Seq)
			}
		}
		want := numbered(names)
		r := rand.New(rand.NewPCG(3, 4))
		for range 3 {
			r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
			if got := numbered(names); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: numbers depend on the order", what)
			}
		}
	}
}

// A collision moves one class; when the other goes it returns to its number.
func TestCollisionMovesOne(t *testing.T) {
	pair := colliding(2, func(h uint32) uint32 { return 1 + h%65534 })
	slices.Sort(pair)
	others := []string{"x.v4", "y.v4", "z.v4"}
	both, second := numbered(append(pair, others...)), numbered(append(pair[1:], others...))
	if both[pair[1]] == second[pair[1]] || both[pair[0]] != numbered(pair[:1])[pair[0]] {
		t.Errorf("with both %v, without the first %v", both, second)
	}
	for _, name := range others {
		if both[name] != second[name] {
			t.Errorf("%s moved from %s to %s", name, both[name], second[name])
		}
	}
}

func TestRouterIDIsNeverZero(t *testing.T) {
	for i := range 1000 {
		if id := routerIDOf(fmt.Sprint(i)); id.IsUnspecified() || !id.Is4() {
			t.Errorf("node %d has router ID %s", i, id)
		}
	}
}

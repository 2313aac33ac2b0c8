// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/intent"
)

const minutesAgo = -rollback

// TestRemember has a row for each thing that a Service remembers or forgets. The
// Service is the first one; want is its addresses, and what it is to remember.
func TestRemember(t *testing.T) {
	for _, row := range []struct {
		name     string
		pools    func(*testing.T) pools
		services services
		want     string
	}{
		{"the pool is gone", none, services{newService("x", "4", has("192.0.2.1", "a"))},
			"[] [[192.0.2.1]]"},
		{"the range is gone, another is there", only("192.0.3.0/24"), services{newService("x", "4", has("192.0.2.1", "a"))},
			"[192.0.3.0] [[192.0.2.1]]"},
		{"one family is gone: the whole set", only("192.0.2.0/24"), services{newService("x", "46", policy(prefer), has("192.0.2.1,2001:db8::1", "a"))},
			"[192.0.2.1] [[192.0.2.1 2001:db8::1]]"},
		{"what stood in is lost too", none, services{newService("x", "4", has("192.0.3.1", "b"), remembers("192.0.2.1"))},
			"[] [[192.0.2.1] [192.0.3.1]]"},
		{"what stood in comes back first", only("192.0.3.0/24"), services{newService("x", "4", remembers("192.0.2.1;192.0.3.1"))},
			"[192.0.3.1] [[192.0.2.1]]"},
		{"the first comes back: what stood in is forgotten", only("192.0.2.0/24"), services{newService("x", "4", remembers("192.0.2.1;192.0.3.1"))},
			"[192.0.2.1] []"},
		{"both come back", two("192.0.3.0/24", "192.0.2.0/24"), services{newService("x", "4", remembers("192.0.2.1;192.0.3.1"))},
			"[192.0.2.1] []"},
		{"a whole set before a part of an older one", two("192.0.2.0/24", "192.0.3.0/24,2001:db8:1::/64"), services{newService("x", "46", policy(prefer), remembers("192.0.2.1,2001:db8::1;192.0.3.1,2001:db8:1::1"))},
			"[192.0.3.1 2001:db8:1::1] [[192.0.2.1 2001:db8::1]]"},
		{"a part of a set, where no whole one is there", only("192.0.2.0/24"), services{newService("x", "46", policy(prefer), remembers("192.0.2.1,2001:db8::1"))},
			"[192.0.2.1] [[192.0.2.1 2001:db8::1]]"},
		{"the other part follows", only("192.0.2.0/24,2001:db8::/64"), services{newService("x", "46", policy(prefer), has("192.0.2.1", "a"), remembers("192.0.2.1,2001:db8::1"))},
			"[192.0.2.1 2001:db8::1] []"},
		{"back within ten minutes", two("192.0.2.0/24", "192.0.3.0/24"), services{newService("x", "4", has("192.0.3.1", "b"), remembers("192.0.2.1"), since(minutesAgo))},
			"[192.0.2.1] []"},
		{"not later, and it is forgotten", two("192.0.2.0/24", "192.0.3.0/24"), services{newService("x", "4", has("192.0.3.1", "b"), remembers("192.0.2.1"), since(minutesAgo-time.Second))},
			"[192.0.3.1] []"},
		{"not where the age is not known", two("192.0.2.0/24", "192.0.3.0/24"), services{newService("x", "4", has("192.0.3.1", "b"), remembers("192.0.2.1"))},
			"[192.0.3.1] []"},
		{"not from two families to one", two("192.0.2.0/24", "192.0.3.0/24,2001:db8::/64"), services{newService("x", "46", policy(require), has("192.0.3.1,2001:db8::1", "b"), remembers("192.0.2.1"), since(0))},
			"[192.0.3.1 2001:db8::1] []"},
		{"somebody else has it", two("192.0.2.0/24", "192.0.3.0/24"), services{newService("x", "4", has("192.0.3.1", "b"), remembers("192.0.2.1"), since(0)), newService("y", "4", has("192.0.2.1", "a"))},
			"[192.0.3.1] []"},
		{"somebody has it whom the Service may share with", two("192.0.2.0/24", "192.0.3.0/24"), services{newService("x", "4", has("192.0.3.1", "b"), remembers("192.0.2.1"), since(0), shares("k", 80)), newService("y", "4", has("192.0.2.1", "a"), shares("k", 81))},
			"[192.0.2.1] []"},
		{"an older one without any asks for it", two("192.0.2.0/24", "192.0.3.0/24"), services{newService("x", "4", has("192.0.3.1", "b"), remembers("192.0.2.1"), since(0), created(1)), newService("y", "4", asks("192.0.2.1"))},
			"[192.0.2.1] []"},
		{"an older claim took it", only("192.0.2.0/24"), services{newService("x", "4", has("192.0.2.1", "a"), since(1)), newService("y", "4", has("192.0.2.1", "a"), since(0))},
			"[192.0.2.0] []"},
		{"the Service asks for another address", only("192.0.2.0/24"), services{newService("x", "4", has("192.0.2.1", "a"), asks("192.0.2.9"), remembers("192.0.3.1"))},
			"[192.0.2.9] []"},
		{"the address that it asks for is gone", only("192.0.3.0/24"), services{newService("x", "4", has("192.0.2.1", "a"), asks("192.0.2.1"))},
			"[] [[192.0.2.1]]"},
		{"the address that it asks for and had is there again", only("192.0.2.0/24"), services{newService("x", "4", asks("192.0.2.1"), remembers("192.0.2.1"), created(1)), newService("y", "4", asks("192.0.2.1"))},
			"[192.0.2.1] []"},
		{"the Service asks for another pool", two("192.0.2.0/24", "192.0.3.0/24"), services{newService("x", "4", has("192.0.2.1", "a"), asksPool("b"))},
			"[192.0.3.0] []"},
		{"the pool that it asks for has another name", only("192.0.2.0/24"), services{newService("x", "4", has("192.0.2.1", "old"), asksPool("old"))},
			"[] [[192.0.2.1]]"},
		{"the Service wants the other family", only("192.0.2.0/24,2001:db8::/64"), services{newService("x", "6", has("192.0.2.1", "a"), remembers("192.0.3.1"))},
			"[2001:db8::] []"},
		{"no more than four", none, services{newService("x", "4", has("192.0.2.5", "a"), remembers("192.0.2.1;192.0.2.2;192.0.2.3;192.0.2.4"))},
			"[] [[192.0.2.1] [192.0.2.2] [192.0.2.3] [192.0.2.4]]"},
		{"all are given at once, in whatever order they are read", only("192.0.2.0/30"), services{newService("x", "4", remembers("192.0.2.2"), created(3)), newService("w", "4", created(1)), newService("y", "4", remembers("192.0.2.0"), created(2)), newService("z", "4", remembers("192.0.2.1"))},
			"[192.0.2.2] []"},
	} {
		outcomes, _ := Assign(newIntent(row.pools(t), row.services...), nil, epoch)
		if got := fmt.Sprint(outcomes[0].Addresses, outcomes[0].Remember); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}

// A pool that is mended before a Service has left it takes nothing from it, whatever
// was to be written.
func TestMendedInTime(t *testing.T) {
	x := newService("x", "4", has("192.0.2.1", "a"))
	assumed := map[intent.Key][]netip.Addr{x.Key: addrsOf("192.0.3.0")}
	for _, row := range []struct {
		pools func(*testing.T) pools
		want  string
	}{
		{only("192.0.3.0/24"), "[192.0.3.0] [[192.0.2.1]]"},
		{two("192.0.2.0/24", "192.0.3.0/24"), "[192.0.2.1] []"},
	} {
		outcomes, _ := Assign(newIntent(row.pools(t), x), assumed, epoch)
		if got := fmt.Sprint(outcomes[0].Addresses, outcomes[0].Remember); got != row.want {
			t.Errorf("%s, want %s", got, row.want)
		}
	}
}

// TestManySharers has more holders of one address than are compared one by one.
func TestManySharers(t *testing.T) {
	var all services
	for i := range 4 * crowded {
		all = append(all, newService(fmt.Sprintf("s%02d", i), "4", has("192.0.2.1", "a"), shares("k", int32(100+i)), since(time.Duration(i))))
	}
	last := int32(100 + 4*crowded - 1)
	for _, row := range []struct {
		name string
		more *intent.Service
		want string
	}{
		{"another port", newService("x", "4", asks("192.0.2.1"), shares("k", 99)), "[192.0.2.1] "},
		{"the last one's port", newService("x", "4", asks("192.0.2.1"), shares("k", last)), "[] PortInUse"},
		{"the last one's number with UDP", newService("x", "4", asks("192.0.2.1"), shares("k", -last)), "[192.0.2.1] "},
		{"another key", newService("x", "4", asks("192.0.2.1"), shares("j", 99)), "[] SharingKeyDiffers"},
		{"a claim to it with the first one's port", newService("x", "4", has("192.0.2.1", "a"), asks("192.0.2.1"), shares("k", 100), since(time.Hour)), "[] PortInUse"},
		{"an older claim to it with the last one's port", newService("x", "4", has("192.0.2.1", "a"), asks("192.0.2.1"), shares("k", last), since(-time.Hour)), "[192.0.2.1] "},
		{"an older claim to it of one that has been edited", newService("x", "4", has("192.0.2.1", "a"), asks("192.0.2.1"), shares("k", last), sharedBefore("k", 99), since(-time.Hour)), "[] PortInUse"},
	} {
		outcomes, _ := Assign(newIntent(only("192.0.2.0/24")(t), append(all[:len(all):len(all)], row.more)...), nil, epoch)
		if x := outcomes[len(all)]; fmt.Sprintf("%v %s", x.Addresses, x.Reason) != row.want {
			t.Errorf("%s: %v %s, want %s", row.name, x.Addresses, x.Reason, row.want)
		}
		kept := 0
		for _, o := range outcomes[:len(all)] {
			if join(o.Addresses) == "192.0.2.1" {
				kept++
			}
		}
		want := len(all)
		if row.name == "an older claim to it with the last one's port" {
			want--
		}
		if kept != want {
			t.Errorf("%s: %d keep the address, want %d", row.name, kept, want)
		}
	}
}

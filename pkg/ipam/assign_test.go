// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"metallb.io/metallb-frr/pkg/intent"
)

type pools = []*intent.Pool
type services = []*intent.Service

// situation is one row: what is there and what is decided. Each line of want is
// "name addresses pool [changed] [Reason] [| part of the message] [< part of Cleared]".
type situation struct {
	name     string
	pools    func(t *testing.T) pools
	services services
	assumed  map[string]string
	want     string
}

func only(entries string, change ...func(*intent.Pool)) func(*testing.T) pools {
	return func(t *testing.T) pools { return pools{newTestPool(t, "a", entries, change...)} }
}

func two(first, second string, change ...func(*intent.Pool)) func(*testing.T) pools {
	return func(t *testing.T) pools {
		return pools{newTestPool(t, "a", first), newTestPool(t, "b", second, change...)}
	}
}

func none(*testing.T) pools { return nil }

func selecting(key, value string) func(*intent.Pool) {
	return func(p *intent.Pool) {
		p.Allocation = &intent.Allocation{ServiceSelectors: []labels.Selector{labels.SelectorFromSet(labels.Set{key: value})}}
	}
}

// reasonRows has a row for every Reason.
var reasonRows = []situation{
	{"no ClusterIP yet", only("192.0.2.0/24"), services{newService("x", "-", has("192.0.2.7", "a"))}, nil,
		"x - - changed NoClusterIP | has no ClusterIP < has no ClusterIP"},
	{"RequireDualStack in a single-stack cluster", only("192.0.2.0/24"), services{newService("x", "4", policy(require))}, nil,
		"x - - NotDualStack | not enough clusterips"},
	{"no pool at all", none, services{newService("x", "4")}, nil,
		"x - - NoPool | no available IPs: there is no accepted IPAddressPool; create one"},
	{"the open pool has the other family only", two("2001:db8::/64", "192.0.2.0/24", noAutoAssign), services{newService("x", "4", in("default"))}, nil,
		"x - - FamilyNotInPool | no available IPs in pool a: it has no IPv4 addresses"},
	{"pools are there, for others", func(t *testing.T) pools {
		return pools{newTestPool(t, "a", "192.0.2.0/24", noAutoAssign), newTestPool(t, "b", "192.0.3.0/24", pinnedTo(1, "prod"))}
	}, services{newService("x", "4")}, nil,
		"x - - NoPool | no available IPs: no IPAddressPool gives this Service an address unasked: a (autoAssign is false), b (its serviceAllocation is not for namespace default, it admits prod); write one that it may ask for in the annotation metallb.io/address-pool (a), or change one of them"},
	{"all assigned", only("192.0.2.4/31"), services{newService("p", "4", has("192.0.2.4", "a")), newService("q", "4"), newService("x", "4", created(1))}, nil,
		"p 192.0.2.4 a\nq 192.0.2.5 a changed\nx - - NoFreeAddress | no available IPs in pool a: all 2 IPv4 addresses are assigned; add addresses to it"},
	{"all assigned in two pools", two("192.0.2.4/32", "192.0.2.5/32"), services{newService("p", "4", has("192.0.2.4", "a")), newService("q", "4", has("192.0.2.5", "b")), newService("x", "4")}, nil,
		"p 192.0.2.4 a\nq 192.0.2.5 b\nx - - NoFreeAddress | no available IPs: a (its only IPv4 address is assigned), b (its only IPv4 address is assigned)"},
	{"unknown pool", only("192.0.2.0/24"), services{newService("x", "4", asksPool("zzz"))}, nil,
		"x - - PoolNotFound | unknown pool \"zzz\""},
	{"pool asked for is exhausted, another is not", two("192.0.2.0/24", "192.0.3.1/32"), services{newService("p", "4", has("192.0.3.1", "b")), newService("x", "4", asksPool("b"))}, nil,
		"p 192.0.3.1 b\nx - - NoFreeAddress | no available IPs in pool b"},
	{"pool asked for is for another namespace", only("192.0.2.0/24", pinnedTo(0, "prod", "test")), services{newService("x", "4", asksPool("a"))}, nil,
		"x - - PoolNotAllowed | is not for namespace default: its serviceAllocation admits prod, test;"},
	{"address asked for is for other Services", only("192.0.2.0/24", selecting("tier", "gold")), services{newService("x", "4", asks("192.0.2.9"))}, nil,
		"x - - PoolNotAllowed | none of its serviceAllocation's serviceSelectors (tier=gold) matches"},
	{"address and pool asked for differ", two("192.0.2.0/24", "192.0.3.0/24"), services{newService("x", "4", asks("192.0.2.9"), asksPool("b"))}, nil,
		"x - - PoolMismatch | is not compatible with requested address pool b"},
	{"IPv6 asked for by an IPv4 Service", only("192.0.2.0/24,2001:db8::/64"), services{newService("x", "4", asks("2001:db8::1"))}, nil,
		"x - - FamilyMismatch | asks for 2001:db8::1 and needs one IPv4 address"},
	{"one address asked for by a dual-stack Service", only("192.0.2.0/24,2001:db8::/64"), services{newService("x", "46", policy(prefer), asks("192.0.2.1"))}, nil,
		"x - - FamilyMismatch | needs an IPv4 and an IPv6 address"},
	{"address asked for is nowhere", only("192.0.2.0/24"), services{newService("x", "4", asks("198.51.100.1"))}, nil,
		"x - - AddressNotInPool | 198.51.100.1 is not allowed in config: it is in no accepted IPAddressPool; write an address of one of these, or add it to one: a"},
	{"address asked for is left out", only("192.0.2.0/24", noBuggy), services{newService("x", "4", asks("192.0.2.255"))}, nil,
		"x - - AddressNotInPool | avoidBuggyIPs"},
	{"addresses asked for are in two pools", two("192.0.2.0/24", "2001:db8::/64"), services{newService("x", "46", policy(require), asks("192.0.2.1,2001:db8::1"))}, nil,
		"x - - AddressesInTwoPools | 192.0.2.1 is in IPAddressPool a and 2001:db8::1 in b"},
	{"address asked for is taken", only("192.0.2.0/24"), services{newService("p", "4", has("192.0.2.9", "a")), newService("x", "4", asks("192.0.2.9"))}, nil,
		"p 192.0.2.9 a\nx - - AddressInUse | 192.0.2.9 is in use by default/p (can't change sharing key for \"default/x\", address also in use by default/p); write another address of IPAddressPool a, or take it away from that Service; or let the two share it: the same metallb.io/allow-shared-ip on both, and different ports"},
	{"address asked for has another sharing key", only("192.0.2.0/24"), services{newService("p", "4", has("192.0.2.9", "a"), shares("j", 80)), newService("x", "4", asks("192.0.2.9"), shares("k", 81))}, nil,
		"p 192.0.2.9 a\nx - - SharingKeyDiffers | its sharing key is \"j\" and this Service's is \"k\"; write the same metallb.io/allow-shared-ip on both"},
	{"address asked for is shared by Services with another traffic policy", only("192.0.2.0/24"), services{newService("p", "4", has("192.0.2.9", "a"), shares("k", 80)), newService("x", "4", asks("192.0.2.9"), sharesLocal("k", "app=x", 81))}, nil,
		"p 192.0.2.9 a\nx - - SharingBackendDiffers | its traffic goes to any pod (externalTrafficPolicy Cluster) and this Service's to pods on the same node (externalTrafficPolicy Local, selector app=x)"},
	{"address asked for is shared by one that has the port", only("192.0.2.0/24"), services{newService("p", "4", has("192.0.2.9", "a"), shares("k", 80)), newService("x", "4", asks("192.0.2.9"), shares("k", 80, 81))}, nil,
		"p 192.0.2.9 a\nx - - PortInUse | port TCP/80 is already in use on \"192.0.2.9\" by default/p; let one of the two listen on another port"},
	{"the other family is not there", only("192.0.2.0/24"), services{newService("x", "46", policy(prefer), has("192.0.2.1", "a"))}, nil,
		"x 192.0.2.1 a AdditionalFamilyFailed | 192.0.2.1 only: no available IPs in pool a: it has no IPv6 addresses; add IPv6 addresses to that pool"},
	{"a request that cannot be read keeps what is there", only("192.0.2.0/24"), services{newService("x", "4", has("192.0.2.1", "a"), blocked), newService("y", "4", blocked)}, nil,
		"x 192.0.2.1 a InvalidRequest | is no address\ny - - InvalidRequest | spec.loadBalancerIP"},
}

var rows = []situation{
	{"entries in the order of the pool, ascending", only("192.0.2.9/32,192.0.2.1-192.0.2.2"), services{newService("p", "4"), newService("q", "4"), newService("r", "4")}, nil,
		"p 192.0.2.9 a changed\nq 192.0.2.1 a changed\nr 192.0.2.2 a changed"},
	{"older Services first", only("192.0.2.1/32"), services{newService("p", "4", created(time.Hour)), newService("q", "4")}, nil,
		"p - - NoFreeAddress\nq 192.0.2.1 a changed"},
	{"a request before those who take any", only("192.0.2.1-192.0.2.3"), services{newService("p", "4"), newService("q", "4", asks("192.0.2.1"), created(time.Hour))}, nil,
		"p 192.0.2.2 a changed\nq 192.0.2.1 a changed"},
	{"pinned pools by priority, 0 last, then open ones", func(t *testing.T) pools {
		return pools{newTestPool(t, "a", "192.0.2.1/32"), newTestPool(t, "b", "192.0.2.2/32", pinnedTo(0, "default")), newTestPool(t, "c", "192.0.2.3/32", pinnedTo(20)), newTestPool(t, "d", "192.0.2.4/32", pinnedTo(10)), newTestPool(t, "e", "192.0.2.5/32", pinnedTo(1, "prod"))}
	}, services{newService("p", "4"), newService("q", "4"), newService("r", "4"), newService("s", "4"), newService("t", "4")}, nil,
		"p 192.0.2.4 d changed\nq 192.0.2.3 c changed\nr 192.0.2.2 b changed\ns 192.0.2.1 a changed\nt - - NoFreeAddress"},
	{"serviceSelectors", only("192.0.2.0/24", selecting("tier", "gold")), services{newService("p", "4", labelled("tier", "gold")), newService("q", "4")}, nil,
		"p 192.0.2.0 a changed\nq - - NoPool | a (no serviceSelector of its serviceAllocation matches the Service's labels: tier=gold)"},
	{"autoAssign false serves those who ask", only("192.0.2.0/24", noAutoAssign), services{newService("p", "4", asksPool("a")), newService("q", "4", asks("192.0.2.7")), newService("r", "4")}, nil,
		"p 192.0.2.0 a changed\nq 192.0.2.7 a changed\nr - - NoPool"},
	{"autoAssign false takes nothing away", only("192.0.2.0/24", noAutoAssign), services{newService("p", "4", has("192.0.2.7", "a"))}, nil, "p 192.0.2.7 a"},
	{"avoidBuggyIPs", only("192.0.2.254-192.0.3.1", noBuggy), services{newService("p", "4"), newService("q", "4"), newService("r", "4")}, nil,
		"p 192.0.2.254 a changed\nq 192.0.3.1 a changed\nr - - NoFreeAddress | all 2 IPv4"},
	{"avoidBuggyIPs set later", only("192.0.2.0/24", noBuggy), services{newService("p", "4", has("192.0.2.255", "a"))}, nil,
		"p 192.0.2.1 a changed < avoidBuggyIPs"},

	{"the older of two equal claims wins", only("192.0.2.0/24"), services{newService("p", "4", has("192.0.2.1", "a"), since(2*time.Hour)), newService("q", "4", has("192.0.2.1", "a"), since(time.Hour), created(time.Hour))}, nil,
		"p 192.0.2.0 a changed < 192.0.2.1 is in use by default/q, whose claim to it is older\nq 192.0.2.1 a"},
	{"of claims without a date the older Service wins", only("192.0.2.0/24"), services{newService("p", "4", has("192.0.2.1", "a"), created(1)), newService("q", "4", has("192.0.2.1", "a"))}, nil,
		"p 192.0.2.0 a changed < in use\nq 192.0.2.1 a"},
	{"a dated claim wins over one without", only("192.0.2.0/24"), services{newService("p", "4", has("192.0.2.1", "a")), newService("q", "4", has("192.0.2.1", "a"), since(time.Hour), created(time.Hour))}, nil,
		"p 192.0.2.0 a changed < in use\nq 192.0.2.1 a"},
	{"four claim one address", only("192.0.2.0/24"), services{newService("p", "4", has("192.0.2.1", "a"), since(4)), newService("q", "4", has("192.0.2.1", "a"), since(2)), newService("r", "4", has("192.0.2.1", "a"), since(1)), newService("s", "4", has("192.0.2.1", "a"), since(3))}, nil,
		"p 192.0.2.3 a changed < in use by default/r\nq 192.0.2.0 a changed < in use by default/r\nr 192.0.2.1 a\ns 192.0.2.2 a changed < in use by default/r"},
	{"assumed counts as held", only("192.0.2.0/31"), services{newService("p", "4", created(time.Hour)), newService("q", "4")}, map[string]string{"p": "192.0.2.0"},
		"p 192.0.2.0 a changed\nq 192.0.2.1 a changed"},
	{"what is shown counts for more", only("192.0.2.0/31"), services{newService("p", "4", has("192.0.2.0", "a")), newService("q", "4")}, map[string]string{"p": "192.0.2.1"},
		"p 192.0.2.0 a\nq 192.0.2.1 a changed"},

	{"the address is in no pool any more", only("192.0.3.0/24"), services{newService("p", "4", has("192.0.2.1", "a"))}, nil,
		"p 192.0.3.0 a changed < 192.0.2.1 is not allowed in config: it is in no accepted IPAddressPool"},
	{"the pool is gone", none, services{newService("p", "4", has("192.0.2.1", "a"))}, nil, "p - - changed NoPool < not allowed in config"},
	{"the pool has another name", only("192.0.2.0/24"), services{newService("p", "4", has("192.0.2.1", "old"))}, nil, "p 192.0.2.1 a changed"},
	{"the pool is now for others", two("192.0.2.0/24", "192.0.3.0/24", pinnedTo(1, "prod")), services{newService("p", "4", has("192.0.3.1", "b"))}, nil,
		"p 192.0.2.0 a changed < not for namespace default"},
	{"another pool is asked for", two("192.0.2.0/24", "192.0.3.0/24"), services{newService("p", "4", has("192.0.2.1", "a"), asksPool("b"))}, nil,
		"p 192.0.3.0 b changed < requested address pool b"},
	{"another address is asked for", only("192.0.2.0/24"), services{newService("p", "4", has("192.0.2.1", "a"), asks("192.0.2.9")), newService("q", "4")}, nil,
		"p 192.0.2.9 a changed < has 192.0.2.1 and asks for 192.0.2.9\nq 192.0.2.0 a changed"},
	{"another address is asked for and taken", only("192.0.2.0/24"), services{newService("p", "4", has("192.0.2.1", "a"), asks("192.0.2.9")), newService("q", "4", has("192.0.2.9", "a"))}, nil,
		"p - - changed AddressInUse < asks for\nq 192.0.2.9 a"},
	{"two Services swap", only("192.0.2.0/24"), services{newService("p", "4", has("192.0.2.1", "a"), asks("192.0.2.2")), newService("q", "4", has("192.0.2.2", "a"), asks("192.0.2.1"))}, nil,
		"p 192.0.2.2 a changed < asks for\nq 192.0.2.1 a changed < asks for"},

	{"RequireDualStack: both from one pool", func(t *testing.T) pools {
		return pools{newTestPool(t, "a", "192.0.2.0/24"), newTestPool(t, "b", "2001:db8::/64"), newTestPool(t, "c", "2001:db8:1::/64,192.0.3.0/24")}
	}, services{newService("p", "64", policy(require))}, nil, "p 192.0.3.0,2001:db8:1:: c changed"},
	{"RequireDualStack: not from two pools", two("192.0.2.0/24", "2001:db8::/64"), services{newService("p", "46", policy(require))}, nil,
		"p - - FamilyNotInPool | no available IPs: a (it has no IPv6 addresses), b (it has no IPv4 addresses)"},
	{"PreferDualStack: a pool with both first", two("192.0.2.0/24", "192.0.3.0/24,2001:db8::/64"), services{newService("p", "46", policy(prefer))}, nil,
		"p 192.0.3.0,2001:db8:: b changed"},
	{"PreferDualStack: else the primary family", two("192.0.2.0/24", "2001:db8::/64"), services{newService("p", "64", policy(prefer)), newService("q", "46", policy(prefer))}, nil,
		"p 2001:db8:: b changed AdditionalFamilyFailed\nq 192.0.2.0 a changed AdditionalFamilyFailed"},
	{"PreferDualStack: else the other", only("2001:db8::/64"), services{newService("p", "46", policy(prefer))}, nil, "p 2001:db8:: a changed AdditionalFamilyFailed"},
	{"PreferDualStack with one ClusterIP in a dual pool", only("192.0.2.0/24,2001:db8::/64"), services{newService("p", "6", policy(prefer)), newService("q", "4", policy(prefer), has("192.0.2.7", "a"))}, nil,
		"p 2001:db8:: a changed\nq 192.0.2.7 a"},
	{"PreferDualStack: the pool gains the other family", only("192.0.2.0/24,2001:db8::/64"), services{newService("p", "46", policy(prefer), has("192.0.2.7", "a"))}, nil,
		"p 192.0.2.7,2001:db8:: a changed"},
	{"PreferDualStack: a dual pool elsewhere moves nothing", two("192.0.2.0/24", "192.0.3.0/24,2001:db8::/64"), services{newService("p", "46", policy(prefer), has("192.0.2.7", "a"))}, nil,
		"p 192.0.2.7 a AdditionalFamilyFailed"},
	{"PreferDualStack: the pool loses a family", only("192.0.2.0/24"), services{newService("o", "4"), newService("p", "46", policy(prefer), has("192.0.2.0,2001:db8::", "a"))}, nil,
		"o 192.0.2.1 a changed\np 192.0.2.0 a changed AdditionalFamilyFailed < 2001:db8:: is not allowed in config"},
	{"PreferDualStack: the pool loses a family, another has both", two("192.0.2.0/24", "192.0.3.0/24,2001:db8::/64"), services{newService("p", "46", policy(prefer), has("192.0.2.7,2001:db8:1::", "a"))}, nil,
		"p 192.0.3.0,2001:db8:: b changed < 2001:db8:1::"},
	{"both families again from the pool of the address that is left", two("192.0.2.0/24,2001:db8::/64", "192.0.3.0/24,2001:db8:1::/64"), services{newService("p", "46", policy(require), has("192.0.3.7,2001:db8:2::", "b"))}, nil,
		"p 192.0.3.7,2001:db8:1:: b changed < 2001:db8:2:: is not allowed"},
	{"the one address asked for, then PreferDualStack: kept, not extended", only("192.0.2.0/24,2001:db8::/64"), services{newService("p", "46", policy(prefer), asks("192.0.2.7"), has("192.0.2.7", "a"))}, nil,
		"p 192.0.2.7 a AdditionalFamilyFailed | asks for that one only"},
	{"RequireDualStack: the pool loses a family, what is left is free at once", only("192.0.2.0/32"), services{newService("p", "46", policy(require), has("192.0.2.0,2001:db8::", "a")), newService("q", "4")}, nil,
		"p - - changed FamilyNotInPool < 2001:db8::\nq 192.0.2.0 a changed"},
	{"from one family to both", only("192.0.2.0/24,2001:db8::/64"), services{newService("p", "46", policy(require), has("192.0.2.7", "a"))}, nil,
		"p 192.0.2.7,2001:db8:: a changed"},
	{"from both families to one", only("192.0.2.0/24,2001:db8::/64"), services{newService("p", "6", has("192.0.2.7,2001:db8::7", "a"))}, nil,
		"p 2001:db8::7 a changed < needs one IPv6 address"},
	{"from one family to the other", only("192.0.2.0/24,2001:db8::/64"), services{newService("p", "6", has("192.0.2.7", "a"))}, nil,
		"p 2001:db8:: a changed < needs one IPv6 address"},
	{"two addresses asked for", only("192.0.2.0/24,2001:db8::/64"), services{newService("p", "46", policy(prefer), asks("192.0.2.7,2001:db8::7"))}, nil,
		"p 192.0.2.7,2001:db8::7 a changed"},
	{"pool split between the families", two("192.0.2.0/24", "2001:db8::/64"), services{newService("p", "46", policy(require), has("192.0.2.7,2001:db8::7", "a"))}, nil,
		"p - - changed FamilyNotInPool < come from one pool"},
	{"the last addresses of all", only("255.255.255.254/31,ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127"), services{newService("p", "46", policy(require)), newService("q", "46", policy(require)), newService("r", "46", policy(prefer))}, nil,
		"p 255.255.255.254,ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe a changed\nq 255.255.255.255,ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff a changed\nr - - NoFreeAddress"},
}

func TestAssign(t *testing.T) {
	for _, row := range append(reasonRows, rows...) {
		t.Run(row.name, func(t *testing.T) {
			assumed := map[intent.Key][]netip.Addr{}
			for name, addrs := range row.assumed {
				assumed[intent.Key{Namespace: "default", Name: name}] = addrsOf(addrs)
			}
			outcomes, _ := Assign(newIntent(row.pools(t), row.services...), assumed, epoch)
			lines := strings.Split(row.want, "\n")
			if len(lines) != len(outcomes) {
				t.Fatalf("%d outcomes, want %d", len(outcomes), len(lines))
			}
			for i, line := range lines {
				check(t, outcomes[i], line)
			}
		})
	}
}

func check(t *testing.T, o Outcome, line string) {
	t.Helper()
	line, cleared, _ := strings.Cut(line, " < ")
	line, message, _ := strings.Cut(line, " | ")
	orNone := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	got := fmt.Sprintf("%s %s %s", o.Service.Name, orNone(join(o.Addresses)), orNone(o.Pool))
	if o.Changed {
		got += " changed"
	}
	if o.Reason != "" {
		got += " " + string(o.Reason)
	}
	if got != line {
		t.Errorf("got  %s\nwant %s\nmessage: %s\ncleared: %s", got, line, o.Message, o.Cleared)
	}
	if (o.Message == "") != (o.Reason == "") || !strings.Contains(o.Message, message) {
		t.Errorf("%s: message %q, want it to contain %q", o.Service, o.Message, message)
	}
	if (o.Cleared == "") != (cleared == "") || !strings.Contains(o.Cleared, cleared) {
		t.Errorf("%s: cleared %q, want it to contain %q", o.Service, o.Cleared, cleared)
	}
}

// TestEveryReasonHasARow reads reasons.go, so that a Reason cannot be added
// without a row that shows it.
func TestEveryReasonHasARow(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, row := range reasonRows {
		outcomes, _ := Assign(newIntent(row.pools(t), row.services...), nil, epoch)
		for _, o := range outcomes {
			seen[string(o.Reason)] = true
		}
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			found++
			value := strings.Trim(spec.Values[i].(*ast.BasicLit).Value, `"`)
			if value != name.Name {
				t.Errorf("%s has the value %q", name.Name, value)
			}
			if !seen[value] {
				t.Errorf("no row of reasonRows has %s", name.Name)
			}
		}
		return true
	})
	if found < 10 {
		t.Errorf("reasons.go: found %d constants", found)
	}
}

func TestUsage(t *testing.T) {
	const most = 1<<63 - 1
	for _, row := range []struct {
		entries string
		change  func(*intent.Pool)
		want    Usage
	}{
		{"192.0.2.0/24", nil, Usage{1, 0, 255, 0}},
		{"192.0.2.0/24", noBuggy, Usage{1, 0, 253, 0}},
		{"192.0.2.255-192.0.4.0,192.0.2.1/32", noBuggy, Usage{1, 0, 254, 0}},
		{"192.0.2.1/32,2001:db8::/67", nil, Usage{1, 1, 0, 1<<61 - 1}},
		{"192.0.2.1/32,2001:db8::/66", nil, Usage{1, 1, 0, most - 1}},
		{"0.0.0.0/0,2001:db8::/64,2001:db8:1::/48", nil, Usage{1, 1, 1<<32 - 1, most - 1}},
		{"0.0.0.0/0", noBuggy, Usage{1, 0, 1<<32 - 1<<25 - 1, 0}},
		{"192.0.2.1/32,::/0", nil, Usage{1, 1, 0, most - 1}},
	} {
		p := newTestPool(t, "a", row.entries)
		if row.change != nil {
			row.change(p)
		}
		s := newService("x", "46", policy(corev1.IPFamilyPolicyPreferDualStack))
		_, usage := Assign(newIntent(pools{p}, s), nil, epoch)
		if usage["a"] != row.want {
			t.Errorf("%s: got %+v, want %+v", row.entries, usage["a"], row.want)
		}
	}
}

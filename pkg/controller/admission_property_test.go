// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// dice makes random objects that often contradict each other.
type dice struct{ *rand.Rand }

func (d dice) of(all ...string) string { return all[d.IntN(len(all))] }

func (d dice) some(all ...string) string {
	var list []string
	for _, item := range all {
		if d.IntN(2) == 0 {
			list = append(list, item)
		}
	}
	return strings.Join(list, ", ")
}

// object returns a manifest of one of few kinds, names and specs.
func (d dice) object() string {
	name := d.of("a", "b", "c", "d")
	switch d.IntN(6) {
	case 0, 1:
		var addresses []string
		for range 1 + d.IntN(3) {
			first := d.IntN(16)
			addresses = append(addresses, d.of(fmt.Sprintf("192.0.2.%d-192.0.2.%d", first, first+d.IntN(16-first)), fmt.Sprintf("192.0.2.%d/%d", first, 28+d.IntN(5)), "x", "192.0.2.9"))
		}
		return with(object("IPAddressPool", name, "{addresses: ["+strings.Join(addresses, ", ")+"]"+d.of("", ", autoAssign: false")+"}"), "labels: {l: "+d.of("red", "blue")+"}")
	case 2:
		return object("BGPPeer", name, fmt.Sprintf("{myASN: %s, peerASN: %s, peerAddress: '%s'%s%s%s}", d.of("1", "2"), d.of("0", "2", "3"), d.of("10.0.0.1", "10.0.0.2", "fd00::1", "fd00:0::1", "x"),
			d.of("", ", bfdProfile: a", ", bfdProfile: b"), d.of("", ", nodeSelectors: [{matchLabels: {rack: a}}]"), d.of("", ", routerID: 1.1.1.1", ", routerID: 2.2.2.2", ", passwordSecret: {name: s}")))
	case 3:
		return adOf(name, fmt.Sprintf("{ipAddressPools: [%s], communities: [%s]%s%s%s}", d.some("a", "b", "c", "c"), d.some("x", "'1:2'", "'1:65536'"),
			d.of("", ", aggregationLength: 28", ", aggregationLength: 30"), d.of("", ", localPref: 1", ", localPref: 2"), d.of("", ", ipAddressPoolSelectors: [{matchLabels: {l: red}}]")))
	case 4:
		return aliasesOf(name, d.some("{name: x, value: '1:2'}", "{name: z, value: '1:3'}", "{name: z, value: word}"))
	}
	return bfdOf(name, "{detectMultiplier: "+d.of("1", "3", "5")+"}")
}

// world returns one of at most n objects, which may contradict each other.
func (d dice) world(t *testing.T, n int) *world {
	all := oneNode + strings.Replace(strings.Replace(oneNode, "n1", "n2", 1), "rack: a", "rack: b", 1)
	there := map[string]bool{}
	for range d.IntN(n + 1) {
		o := d.object()
		if id := identity(o); !there[id] {
			there[id] = true
			all += with(o, fmt.Sprintf("creationTimestamp: '2026-01-01T00:00:%02dZ'", d.IntN(5)))
		}
	}
	s, err := intent.ReadYAML(strings.NewReader(all), ownNamespace)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range s.Nodes {
		n.CreationTimestamp = metav1.Time{}
	}
	return judge(nil, s)
}

func identity(manifest string) string {
	_, rest, _ := strings.Cut(manifest, "name: ")
	return kindIn(manifest) + rest[:1]
}

// wrongs counts what is invalid, by what it is about; of overlaps, each address.
func wrongs(s *intent.Snapshot) map[string]int {
	in := intent.Resolve(nil, assumed(s))
	out := map[string]int{}
	for _, f := range append(plan.Check(nil, in).Findings, in.Findings...) {
		switch {
		case f.Severity != intent.Invalid:
		case f.Reason == intent.PoolOverlap:
			for a := netip.MustParseAddr("192.0.2.0"); a != netip.MustParseAddr("192.0.2.16"); a = a.Next() {
				if f.Addresses.Contains(a) {
					out[fmt.Sprint(f.Object, f.Reason, a)] = 1
				}
			}
		default:
			field, _, _ := strings.Cut(f.Field, "[")
			out[fmt.Sprint(f.Object, f.Reason, field, f.Value)]++
		}
	}
	return out
}

// more names something that is wrong in b and not in a.
func more(a, b map[string]int) string {
	for what, n := range b {
		if n > a[what] {
			return what
		}
	}
	return ""
}

// TestAdmissionProperties makes random changes of random worlds. A change by which
// nothing is wrong that was not before is never denied, and one that is denied makes
// something wrong.
func TestAdmissionProperties(t *testing.T) {
	counts := map[string]int{}
	for seed := range uint64(2000) {
		d := dice{rand.New(rand.NewPCG(seed, 7))}
		w := d.world(t, 10)
		manifest := d.object()
		op := create
		if userKinds[kindIn(manifest)].find(w.snapshot, identity(manifest)[len(kindIn(manifest)):]) != nil {
			op = []admissionv1.Operation{update, update, update, remove}[d.IntN(4)]
		}
		r := answerTo(w, request(t, w, op, manifest))
		if op == remove {
			if !r.Allowed && kindIn(manifest) != "BFDProfile" {
				t.Errorf("seed %d: removing\n%s\ndenied: %s", seed, manifest, denial(r))
			}
			continue
		}
		c, _ := readChange(request(t, w, op, manifest), ownNamespace)
		if c == nil {
			counts["harmless"]++
			continue
		}
		new := more(wrongs(w.snapshot), wrongs(c.with(w.snapshot, c.now)))
		switch {
		case !r.Allowed && new == "":
			t.Errorf("seed %d: %s of\n%s\nmakes nothing wrong, and is denied: %s", seed, op, manifest, denial(r))
		case r.Allowed && new != "" && op == create:
			t.Errorf("seed %d: creating\n%s\nmakes wrong: %s, and is allowed", seed, manifest, new)
		case r.Allowed:
			counts["allowed"]++
		default:
			counts["denied"]++
		}
	}
	t.Log(counts)
	if counts["allowed"] < 300 || counts["denied"] < 300 {
		t.Errorf("the worlds show little: %v", counts)
	}
}

// taken returns an object that may be created in the world, or nil.
func (d dice) taken(t *testing.T, w *world) (string, *change) {
	for range 10 {
		o := d.object()
		c, _ := readChange(request(t, w, create, o), ownNamespace)
		if c.kind.find(w.snapshot, c.ref.Name) == nil && c.review(w).Allowed {
			return o, c
		}
	}
	return "", nil
}

// TestAdmissionOrder creates two objects in either order. If both are taken in one
// order they are in the other, and then nothing is wrong with them, whichever is the
// older one. (But which of two myASN FRR can do without depends on which came first.)
func TestAdmissionOrder(t *testing.T) {
	both, one := 0, 0
	for seed := range uint64(1000) {
		d := dice{rand.New(rand.NewPCG(seed, 8))}
		w := d.world(t, 3)
		a, ca := d.taken(t, w)
		b, cb := d.taken(t, w)
		if ca == nil || cb == nil || ca.ref == cb.ref {
			continue
		}
		first, second := ca.review(judge(nil, cb.with(w.snapshot, cb.now))), cb.review(judge(nil, ca.with(w.snapshot, ca.now)))
		if strings.Contains(denial(first)+denial(second), "runs AS") {
			continue
		}
		if first.Allowed != second.Allowed {
			t.Errorf("seed %d: the order matters of\n%s%s\n%q or %q", seed, a, b, denial(first), denial(second))
		}
		if !first.Allowed {
			one++
			continue
		}
		both++
		for _, age := range []struct{ a, b int64 }{{1 << 33, 1 << 34}, {1 << 34, 1 << 33}} {
			ca.now.SetCreationTimestamp(metav1.Unix(age.a, 0))
			cb.now.SetCreationTimestamp(metav1.Unix(age.b, 0))
			if new := more(wrongs(w.snapshot), wrongs(cb.with(ca.with(w.snapshot, ca.now), cb.now))); new != "" && !strings.Contains(new, string(plan.ASNConflict)) {
				t.Errorf("seed %d: both were taken, and then %s is wrong:\n%s%s", seed, new, a, b)
			}
		}
	}
	t.Logf("both taken: %d, one: %d", both, one)
	if both < 100 || one < 30 {
		t.Errorf("the worlds show little: %d and %d", both, one)
	}
}

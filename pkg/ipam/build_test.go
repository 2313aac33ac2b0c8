// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

const (
	require = corev1.IPFamilyPolicyRequireDualStack
	prefer  = corev1.IPFamilyPolicyPreferDualStack
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// newTestPool returns a pool that gives addresses unasked; entries are separated by
// commas.
func newTestPool(t testing.TB, name, entries string, change ...func(*intent.Pool)) *intent.Pool {
	t.Helper()
	p := &intent.Pool{Name: name, AutoAssign: true}
	for text := range strings.SplitSeq(entries, ",") {
		r, err := intent.ParseRange(text)
		if err != nil {
			t.Fatalf("pool %s: %q: %v", name, text, err)
		}
		p.Ranges = append(p.Ranges, r)
	}
	for _, f := range change {
		f(p)
	}
	return p
}

func noAutoAssign(p *intent.Pool) { p.AutoAssign = false }
func noBuggy(p *intent.Pool)      { p.AvoidBuggyIPs = true }

// pinnedTo restricts a pool to namespaces; none: to nobody in particular.
func pinnedTo(priority int, namespaces ...string) func(*intent.Pool) {
	return func(p *intent.Pool) {
		p.Allocation = &intent.Allocation{Priority: priority, Restricted: len(namespaces) > 0, Namespaces: map[string]bool{}}
		for _, n := range namespaces {
			p.Allocation.Namespaces[n] = true
		}
	}
}

// newService returns default/name with ClusterIPs of the families that the
// letters of families name ("4", "6", "46", "64": the primary one first, "-":
// none) and what the changes make of it.
func newService(name, families string, change ...func(*intent.Service)) *intent.Service {
	s := &intent.Service{Key: intent.Key{Namespace: "default", Name: name}, Created: epoch, Primary: bgp.IPv4}
	if strings.Contains(families, "4") {
		s.Families = append(s.Families, bgp.IPv4)
	}
	if strings.Contains(families, "6") {
		s.Families = append(s.Families, bgp.IPv6)
	}
	if strings.HasPrefix(families, "6") {
		s.Primary = bgp.IPv6
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func addrsOf(text string) []netip.Addr {
	var out []netip.Addr
	for part := range strings.SplitSeq(text, ",") {
		if part != "" {
			out = append(out, netip.MustParseAddr(part))
		}
	}
	return out
}

func has(addrs, pool string) func(*intent.Service) {
	return func(s *intent.Service) { s.Addresses, s.AssignedPool = addrsOf(addrs), pool }
}
func since(after time.Duration) func(*intent.Service) {
	return func(s *intent.Service) { s.AssignedSince = epoch.Add(after) }
}
func created(after time.Duration) func(*intent.Service) {
	return func(s *intent.Service) { s.Created = epoch.Add(after) }
}
func asks(addrs string) func(*intent.Service) {
	return func(s *intent.Service) { s.Requested = addrsOf(addrs) }
}
func asksPool(name string) func(*intent.Service) {
	return func(s *intent.Service) { s.RequestedPool = name }
}
func policy(p corev1.IPFamilyPolicy) func(*intent.Service) {
	return func(s *intent.Service) { s.DualStack = p }
}

// remembers are the sets of addresses that it lost to edits of the pools.
func remembers(sets string) func(*intent.Service) {
	return func(s *intent.Service) {
		for set := range strings.SplitSeq(sets, ";") {
			s.Last = append(s.Last, addrsOf(set))
		}
	}
}

// shares gives a Service a sharing key and TCP ports, negative ones UDP.
func shares(key string, ports ...int32) func(*intent.Service) { return sharesWith(key, "", ports) }

func sharesLocal(key, selector string, ports ...int32) func(*intent.Service) {
	return sharesWith(key, "Local "+selector, ports)
}

func sharesWith(key, backend string, ports []int32) func(*intent.Service) {
	return func(s *intent.Service) {
		s.Sharing = &intent.Sharing{Key: key, Backend: backend, Digest: fmt.Sprint(key, backend, ports)}
		for _, n := range ports {
			p := intent.Port{Protocol: corev1.ProtocolTCP, Number: n}
			if n < 0 {
				p = intent.Port{Protocol: corev1.ProtocolUDP, Number: -n}
			}
			s.Sharing.Ports = append(s.Sharing.Ports, p)
		}
		slices.SortFunc(s.Sharing.Ports, intent.Port.Compare)
		if len(s.Addresses) > 0 {
			s.SharedAs = s.Sharing.Digest
		}
	}
}

// sharedBefore has the Service written with what it shared as then.
func sharedBefore(key string, ports ...int32) func(*intent.Service) {
	return func(s *intent.Service) {
		now := s.Sharing
		shares(key, ports...)(s)
		s.SharedAs, s.Sharing = s.Sharing.Digest, now
	}
}

func labelled(key, value string) func(*intent.Service) {
	return func(s *intent.Service) { s.Labels = map[string]string{key: value} }
}
func in(namespace string) func(*intent.Service) {
	return func(s *intent.Service) { s.Key.Namespace = namespace }
}
func blocked(s *intent.Service) {
	s.Blocked = &intent.Finding{Object: s.Key.Ref(), Severity: intent.Invalid, Reason: intent.InvalidRequest,
		Field: "spec.loadBalancerIP", Value: "nonsense", Message: "is no address"}
}

func newIntent(pools []*intent.Pool, services ...*intent.Service) *intent.Intent {
	return &intent.Intent{Config: &intent.Config{Namespace: "metallb-system", Pools: pools}, Services: services}
}

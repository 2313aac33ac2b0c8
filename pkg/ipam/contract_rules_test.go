// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

const (
	v4     = corev1.IPv4Protocol
	v6     = corev1.IPv6Protocol
	single = corev1.IPFamilyPolicySingleStack
)

// rules has a row for each rule of the contract's section 2 that is decided by
// intent and ipam. What is written and told (events, annotations) is shown in
// packages status and controller.
var rules = slices.Concat(rulesOfRequests, rulesOfPools, rulesOfFamilies, rulesOfSharing, rulesOfChanges)

var rulesOfRequests = []rule{
	{"2.1", "address-pool, new prefix", "same", []any{addressPool("a", "192.0.2.0/24"), addressPool("b", "192.0.3.0/24"), load("x", wantsPool("b"))},
		"x 192.0.3.0 b changed"},
	{"2.1", "address-pool, legacy prefix", "same", []any{addressPool("a", "192.0.2.0/24"), addressPool("b", "192.0.3.0/24"), load("x", note(v1beta1.LegacyAnnotationAddressPool, "b"))},
		"x 192.0.3.0 b changed"},
	{"2.1", "loadBalancerIPs, legacy prefix", "same", []any{addressPool("a", "192.0.2.0/24"), load("x", note(v1beta1.LegacyAnnotationLoadBalancerIPs, "192.0.2.9"))},
		"x 192.0.2.9 a changed"},
	{"2.1", "allow-shared-ip, legacy prefix", "same", []any{addressPool("a", "192.0.2.1/32"), load("p", key("k")), load("q", note(v1beta1.LegacyAnnotationAllowSharedIP, "k"), port("UDP", 80))},
		"p 192.0.2.1 a changed\nq 192.0.2.1 a changed"},
	{"2.1", "the new key wins over the legacy one, also when it is empty", "same", []any{addressPool("a", "192.0.2.0/24"), addressPool("b", "192.0.3.0/24"), load("x", wantsPool(""), note(v1beta1.LegacyAnnotationAddressPool, "b"))},
		"x 192.0.2.0 a changed"},
	{"2.1", "an empty new sharing key wins over the legacy one", "same", []any{addressPool("a", "192.0.2.1/32"), load("p", key("k")), load("q", key(""), note(v1beta1.LegacyAnnotationAllowSharedIP, "k"), port("UDP", 80))},
		"p 192.0.2.1 a changed\nq - - NoFreeAddress"},
	{"2.1", "the pool is written under the new prefix only", "same", []any{addressPool("a", "192.0.2.0/24"), load("x", note(v1beta1.LegacyAnnotationAllocatedFromPool, "a"))},
		"x 192.0.2.0 a changed"},

	{"2.2", "a Service of another class is left alone", "same", []any{addressPool("a", "192.0.2.0/24"), load("x", func(s *corev1.Service) { c := "other/class"; s.Spec.LoadBalancerClass = &c })}, ""},
	{"2.2", "a Service of another type has no addresses", "same", []any{addressPool("a", "192.0.2.0/32"), load("x", holding("a", "192.0.2.0"), func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP }), load("y")},
		"y 192.0.2.0 a changed"},
	{"2.2", "what is ignored changes nothing", "same", []any{addressPool("a", "192.0.2.0/24"), load("x", func(s *corev1.Service) {
		s.Spec.SessionAffinity, s.Spec.ExternalIPs, s.Spec.LoadBalancerSourceRanges = corev1.ServiceAffinityClientIP, []string{"203.0.113.1"}, []string{"10.0.0.0/8"}
	})}, "x 192.0.2.0 a changed"},
	{"2.2", "a Service that is being deleted keeps its address until it is gone", "same", []any{addressPool("a", "192.0.2.0/24"), load("x", holding("a", "192.0.2.7"), func(s *corev1.Service) {
		now := s.CreationTimestamp
		s.DeletionTimestamp, s.Finalizers = &now, []string{"x/y"}
	})}, "x 192.0.2.7 a"},

	{"2.3", "no pools: cleared", "same", []any{load("x", holding("a", "192.0.2.7"))}, "x - - changed NoPool | there is no accepted IPAddressPool < in no accepted IPAddressPool"},
	{"2.3", "no ClusterIP: cleared", "same", []any{addressPool("a", "192.0.2.0/24"), load("x", holding("a", "192.0.2.7"), clusterIPs(single))}, "x - - changed NoClusterIP < has no ClusterIP"},
	{"2.3", "headless: cleared", "same", []any{addressPool("a", "192.0.2.0/24"), load("x", holding("a", "192.0.2.7"), func(s *corev1.Service) { s.Spec.ClusterIPs = []string{"None"} })},
		"x - - changed NoClusterIP < has no ClusterIP"},
	{"2.3", "RequireDualStack with one ClusterIP: cleared", "same", []any{addressPool("a", "192.0.2.0/24,2001:db8::/64"), load("x", clusterIPs(require, v4), holding("a", "192.0.2.7"))},
		"x - - changed NotDualStack | not enough clusterips < not enough clusterips"},
	{"2.3", "an address of another family than the ClusterIP's: given anew", "same", []any{addressPool("a", "192.0.2.0/24,2001:db8::/64"), load("x", clusterIPs(single, v6), holding("a", "192.0.2.7"))},
		"x 2001:db8:: a changed < needs one IPv6 address"},
	{"2.3", "an ingress that is no address counts as none", "different: it is overwritten, not cleared first with a warning", []any{addressPool("a", "192.0.2.0/24"), load("x", func(s *corev1.Service) {
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{Hostname: "else.example"}}
	})}, "x 192.0.2.0 a changed"},
	{"2.3", "another pool is asked for: given anew", "same", []any{addressPool("a", "192.0.2.0/24"), addressPool("b", "192.0.3.0/24"), load("x", holding("a", "192.0.2.7"), wantsPool("b"))},
		"x 192.0.3.0 b changed < requested address pool b"},
	{"2.3", "a request that cannot be read keeps what is there", "same", []any{addressPool("a", "192.0.2.0/24"), load("x", holding("a", "192.0.2.7"), requests("nonsense"))},
		"x 192.0.2.7 a InvalidRequest | is no address"},
	{"2.3", "a request that cannot be read after a pool edit", "different: what it had is given back, not lost", []any{addressPool("a", "192.0.2.0/24"), load("x", note(v1beta1.AnnotationLastIPs, "192.0.2.7"), requests("nonsense"))},
		"x 192.0.2.7 a changed InvalidRequest"},
	{"2.3", "two addresses asked for stay in one order", "different: they are compared as a set, IPv4 first, so nothing is written again", []any{addressPool("a", "192.0.2.0/24,2001:db8::/64"), load("x", clusterIPs(require, v6, v4), requests("2001:db8::7,192.0.2.7"), holding("a", "192.0.2.7", "2001:db8::7"))},
		"x 192.0.2.7,2001:db8::7 a"},

	{"2.4", "annotation and spec.loadBalancerIP together", "same", []any{addressPool("a", "192.0.2.0/24"), load("x", requests("192.0.2.9"), lbIP("192.0.2.9"))},
		"x - - InvalidRequest | can not have both"},
	{"2.4", "spec.loadBalancerIP", "same", []any{addressPool("a", "192.0.2.0/24"), load("x", lbIP("192.0.2.9"))}, "x 192.0.2.9 a changed"},
	{"2.4", "spec.loadBalancerIP cannot serve dual stack", "same", []any{addressPool("a", "192.0.2.0/24,2001:db8::/64"), load("x", clusterIPs(require, v4, v6), lbIP("192.0.2.9"))},
		"x - - FamilyMismatch | needs an IPv4 and an IPv6 address"},
	{"2.4", "the request is of another family", "same", []any{addressPool("a", "192.0.2.0/24,2001:db8::/64"), load("x", requests("2001:db8::7"))}, "x - - FamilyMismatch"},
	{"2.4", "two of one family", "same", []any{addressPool("a", "192.0.2.0/24"), load("x", requests("192.0.2.8,192.0.2.9"))}, "x - - InvalidRequest | more than one"},
	{"2.4", "more than two", "same", []any{addressPool("a", "192.0.2.0/24,2001:db8::/64"), load("x", requests("192.0.2.8,2001:db8::7,2001:db8::8"))}, "x - - InvalidRequest"},
	{"2.4", "two pools", "same", []any{addressPool("a", "192.0.2.0/24"), addressPool("b", "2001:db8::/64"), load("x", clusterIPs(require, v4, v6), requests("192.0.2.8,2001:db8::7"))},
		"x - - AddressesInTwoPools"},
	{"2.4", "autoAssign false does not matter", "same", []any{addressPool("a", "192.0.2.0/24", manual), load("x", requests("192.0.2.9"))}, "x 192.0.2.9 a changed"},
	{"2.4", "the pool must admit the Service", "same", []any{addressPool("a", "192.0.2.0/24", forNamespaces("prod")), load("x", requests("192.0.2.9"))},
		"x - - PoolNotAllowed | IPAddressPool a is not for namespace default"},
	{"2.4", "left out by avoidBuggyIPs", "same", []any{addressPool("a", "192.0.2.0/24", avoiding), load("x", requests("192.0.2.0"))}, "x - - AddressNotInPool | is not allowed in config"},
	{"2.4", "the pool asked for must be the address's", "same", []any{addressPool("a", "192.0.2.0/24"), addressPool("b", "192.0.3.0/24"), load("x", requests("192.0.2.9"), wantsPool("b"))},
		"x - - PoolMismatch | is not compatible with requested address pool b"},
	{"2.4", "in use by another", "same", []any{addressPool("a", "192.0.2.0/24"), load("p", holding("a", "192.0.2.9")), load("x", requests("192.0.2.9"))},
		"p 192.0.2.9 a\nx - - AddressInUse | can't change sharing key for \"default/x\", address also in use by default/p"},
	{"2.4", "the holder gives it up: the request is served in the same pass", "same", []any{addressPool("a", "192.0.2.0/24"), load("p", holding("a", "192.0.2.9"), requests("192.0.2.8")), load("x", requests("192.0.2.9"))},
		"p 192.0.2.8 a changed < asks for\nx 192.0.2.9 a changed"},
}

var rulesOfPools = []rule{
	{"2.5", "namespaces and namespaceSelectors are a union", "same", []any{addressPool("a", "192.0.2.0/24", forNamespaces("prod"), forNamespacesLabelled("gold")), namespaceLabelled("test", "gold"),
		load("p", within("prod")), load("t", within("test")), load("x")},
		"x - - NoPool\np 192.0.2.0 a changed\nt 192.0.2.1 a changed"},
	{"2.5", "namespaces AND service selectors", "same", []any{addressPool("a", "192.0.2.0/24", forNamespaces("prod"), forLabel("gold")), load("p", within("prod"), carries("gold")), load("q", within("prod")), load("x", carries("gold"))},
		"x - - NoPool\np 192.0.2.0 a changed\nq - - NoPool"},
	{"2.5", "service selectors are an OR", "same", []any{addressPool("a", "192.0.2.0/24", forLabel("gold"), forLabel("silver")), load("p", carries("gold")), load("q", carries("silver")), load("r")},
		"p 192.0.2.0 a changed\nq 192.0.2.1 a changed\nr - - NoPool"},
	{"2.5", "only a priority: every Service", "same", []any{addressPool("a", "192.0.2.0/24"), addressPool("b", "192.0.3.0/24", priority(5)), load("x")}, "x 192.0.3.0 b changed"},
	{"2.5", "namespace selectors that match nothing", "different: the pool serves nobody, also not who names it; a typing error must not open a pool to all", []any{addressPool("a", "192.0.2.0/24", forNamespacesLabelled("gold")), load("x", wantsPool("a"))},
		"x - - PoolNotAllowed | admits none"},
	{"2.5", "pool annotation: autoAssign ignored", "same", []any{addressPool("a", "192.0.2.0/24", manual), load("x", wantsPool("a"))}, "x 192.0.2.0 a changed"},
	{"2.5", "pool annotation: the pool must admit the Service", "same", []any{addressPool("a", "192.0.2.0/24", forNamespaces("prod")), load("x", wantsPool("a"))}, "x - - PoolNotAllowed"},
	{"2.5", "pool annotation: unknown", "same", []any{addressPool("a", "192.0.2.0/24"), load("x", wantsPool("zzz"))}, "x - - PoolNotFound | unknown pool \"zzz\""},
	{"2.5", "pool annotation: exhausted", "same", []any{addressPool("a", "192.0.2.0/24"), addressPool("b", "192.0.3.1/32"), load("p", holding("b", "192.0.3.1")), load("x", wantsPool("b"))},
		"p 192.0.3.1 b\nx - - NoFreeAddress | no available IPs in pool b"},
	{"2.5", "pinned pools by priority, 0 last, equal ones", "different: equal priorities and unpinned pools are taken by name, so the result does not depend on chance",
		[]any{addressPool("a", "192.0.2.1/32"), addressPool("b", "192.0.2.2/32", priority(0)), addressPool("d", "192.0.2.3/32", priority(9)), addressPool("c", "192.0.2.4/32", priority(9)), addressPool("e", "192.0.2.5/32", priority(1)),
			load("p"), load("q"), load("r"), load("s"), load("t"), load("u")},
		"p 192.0.2.5 e changed\nq 192.0.2.4 c changed\nr 192.0.2.3 d changed\ns 192.0.2.2 b changed\nt 192.0.2.1 a changed\nu - - NoFreeAddress"},
	{"2.5", "no pool gives anything unasked", "same", []any{addressPool("a", "192.0.2.0/24", manual), load("x")}, "x - - NoPool | no available IPs"},
	{"2.5", "entries in the order of the spec, ascending", "same", []any{addressPool("a", "192.0.2.9/32,192.0.2.1-192.0.2.2"), load("p"), load("q"), load("r")},
		"p 192.0.2.9 a changed\nq 192.0.2.1 a changed\nr 192.0.2.2 a changed"},
	{"2.5", "avoidBuggyIPs is for IPv4 only", "same", []any{addressPool("a", "192.0.2.0/24,2001:db8::/64", avoiding), load("x", clusterIPs(require, v4, v6))}, "x 192.0.2.1,2001:db8:: a changed"},
	{"2.5", "with a sharing key an address of a sharer counts as free", "different: it is preferred, so sharers are packed together", []any{addressPool("a", "192.0.2.0/24"), load("p", key("k"), holding("a", "192.0.2.7")), load("x", key("k"), port("UDP", 80))},
		"p 192.0.2.7 a\nx 192.0.2.7 a changed"},
}

var rulesOfFamilies = []rule{
	{"2.5", "one ClusterIP: one address, even in a dual pool with PreferDualStack", "same", []any{addressPool("a", "192.0.2.0/24,2001:db8::/64"), load("x", clusterIPs(prefer, v6))}, "x 2001:db8:: a changed"},
	{"2.5", "PreferDualStack with one ClusterIP holds one address", "different: it does not change between one and two for ever", []any{addressPool("a", "192.0.2.0/24,2001:db8::/64"), load("x", clusterIPs(prefer, v4), holding("a", "192.0.2.7"))}, "x 192.0.2.7 a"},
	{"2.5", "RequireDualStack: both from one pool", "same", []any{addressPool("a", "192.0.2.0/24"), addressPool("b", "2001:db8::/64"), addressPool("c", "192.0.3.0/24,2001:db8:1::/64"), load("x", clusterIPs(require, v4, v6))},
		"x 192.0.3.0,2001:db8:1:: c changed"},
	{"2.5", "PreferDualStack: a pool with both", "same", []any{addressPool("a", "192.0.2.0/24"), addressPool("c", "192.0.3.0/24,2001:db8:1::/64"), load("x", clusterIPs(prefer, v4, v6))}, "x 192.0.3.0,2001:db8:1:: c changed"},
	{"2.5", "PreferDualStack: else the primary family", "same", []any{addressPool("a", "192.0.2.0/24"), addressPool("b", "2001:db8::/64"), load("x", clusterIPs(prefer, v6, v4))}, "x 2001:db8:: b changed AdditionalFamilyFailed"},
	{"2.5", "PreferDualStack: else the other", "same", []any{addressPool("b", "2001:db8::/64"), load("x", clusterIPs(prefer, v4, v6))}, "x 2001:db8:: b changed AdditionalFamilyFailed"},
	{"2.5", "two ClusterIPs without a policy: as RequireDualStack", "same", []any{addressPool("b", "2001:db8::/64"), load("x", clusterIPs("", v4, v6))}, "x - - FamilyNotInPool"},
	{"2.5", "PreferDualStack: the pool gains the family", "same", []any{addressPool("a", "192.0.2.0/24,2001:db8::/64"), load("x", clusterIPs(prefer, v4, v6), holding("a", "192.0.2.7"))}, "x 192.0.2.7,2001:db8:: a changed"},
	{"2.5", "PreferDualStack: another dual pool moves nothing", "same", []any{addressPool("a", "192.0.2.0/24"), addressPool("c", "192.0.3.0/24,2001:db8:1::/64"), load("x", clusterIPs(prefer, v4, v6), holding("a", "192.0.2.7"))},
		"x 192.0.2.7 a AdditionalFamilyFailed"},
	{"2.5", "PreferDualStack: the pool loses a family, another has both", "same", []any{addressPool("a", "192.0.2.0/24"), addressPool("c", "192.0.3.0/24,2001:db8:1::/64"), load("x", clusterIPs(prefer, v4, v6), holding("a", "192.0.2.7", "2001:db8::7"))},
		"x 192.0.3.0,2001:db8:1:: c changed < 2001:db8::7 is not allowed in config"},
	{"2.5", "PreferDualStack: the pool loses a family, no other has both", "different: the address that is left is kept", []any{addressPool("a", "192.0.2.0/24"), load("x", clusterIPs(prefer, v4, v6), holding("a", "192.0.2.7", "2001:db8::7"))},
		"x 192.0.2.7 a changed AdditionalFamilyFailed < 2001:db8::7 is not allowed in config"},
}

var rulesOfSharing = []rule{
	{"2.6", "equal keys, other ports", "same", []any{addressPool("a", "192.0.2.1/32"), load("p", key("k")), load("q", key("k"), port("TCP", 81))}, "p 192.0.2.1 a changed\nq 192.0.2.1 a changed"},
	{"2.6", "equal keys, the same number with another protocol", "same", []any{addressPool("a", "192.0.2.1/32"), load("p", key("k")), load("q", key("k"), port("UDP", 80))}, "p 192.0.2.1 a changed\nq 192.0.2.1 a changed"},
	{"2.6", "a common port", "same", []any{addressPool("a", "192.0.2.1/32"), load("p", key("k")), load("q", key("k"))}, "p 192.0.2.1 a changed\nq - - NoFreeAddress | no Service has one that this one can share"},
	{"2.6", "a common port, asked for", "same", []any{addressPool("a", "192.0.2.0/24"), load("p", key("k"), holding("a", "192.0.2.1")), load("q", key("k"), requests("192.0.2.1"))},
		"p 192.0.2.1 a\nq - - PortInUse | port TCP/80 is already in use on \"192.0.2.1\""},
	{"2.6", "no key", "same", []any{addressPool("a", "192.0.2.1/32"), load("p"), load("q", port("TCP", 81))}, "p 192.0.2.1 a changed\nq - - NoFreeAddress"},
	{"2.6", "one has no key", "same", []any{addressPool("a", "192.0.2.1/32"), load("p", key("k")), load("q", port("TCP", 81))}, "p 192.0.2.1 a changed\nq - - NoFreeAddress"},
	{"2.6", "other keys, asked for", "same", []any{addressPool("a", "192.0.2.0/24"), load("p", key("j"), holding("a", "192.0.2.1")), load("q", key("k"), port("TCP", 81), requests("192.0.2.1"))},
		"p 192.0.2.1 a\nq - - SharingKeyDiffers | can't change sharing key for \"default/q\", address also in use by default/p"},
	{"2.6", "Cluster never shares with Local", "same", []any{addressPool("a", "192.0.2.0/24"), load("p", key("k"), holding("a", "192.0.2.1")), load("q", key("k"), port("TCP", 81), local("x"), requests("192.0.2.1"))},
		"p 192.0.2.1 a\nq - - SharingBackendDiffers"},
	{"2.6", "Local with the same selector", "same", []any{addressPool("a", "192.0.2.1/32"), load("p", key("k"), local("x")), load("q", key("k"), local("x"), port("TCP", 81))}, "p 192.0.2.1 a changed\nq 192.0.2.1 a changed"},
	{"2.6", "Local with another selector", "same", []any{addressPool("a", "192.0.2.1/32"), load("p", key("k"), local("x")), load("q", key("k"), local("y"), port("TCP", 81))}, "p 192.0.2.1 a changed\nq - - NoFreeAddress"},
	{"2.6", "Local without a selector shares with Cluster", "different: Local never shares with Cluster, as the rule says; MetalLB takes the empty text of both as equal", []any{addressPool("a", "192.0.2.1/32"), load("p", key("k")),
		load("q", key("k"), port("TCP", 81), local("x"), func(s *corev1.Service) { s.Spec.Selector = nil })}, "p 192.0.2.1 a changed\nq - - NoFreeAddress"},
	{"2.6", "namespaces do not matter", "same", []any{addressPool("a", "192.0.2.1/32"), load("p", key("k")), load("q", within("prod"), key("k"), port("TCP", 81))}, "p 192.0.2.1 a changed\nq 192.0.2.1 a changed"},
	{"2.6", "both families are shared", "same", []any{addressPool("a", "192.0.2.1/32,2001:db8::1/128"), load("p", key("k"), clusterIPs(require, v4, v6)), load("q", key("k"), clusterIPs(require, v4, v6), port("TCP", 81)), load("r", key("k"), clusterIPs(single, v6), port("TCP", 82))},
		"p 192.0.2.1,2001:db8::1 a changed\nq 192.0.2.1,2001:db8::1 a changed\nr 2001:db8::1 a changed"},
	{"2.6", "the only user of an address changes its key freely", "same", []any{addressPool("a", "192.0.2.0/24"), load("p", key("k"), holding("a", "192.0.2.1"), key("j"))}, "p 192.0.2.1 a changed"},
	{"2.6", "a key that is changed lets one that waits in", "same", []any{addressPool("a", "192.0.2.1/32"), load("p", key("j"), holding("a", "192.0.2.1"), key("k")), load("q", key("k"), port("TCP", 81))},
		"p 192.0.2.1 a changed\nq 192.0.2.1 a changed"},
	{"2.6", "who changes its key loses the address, also when it is the older", "same", []any{addressPool("a", "192.0.2.0/24"), load("p", key("k"), holding("a", "192.0.2.1"), key("j")), load("q", key("k"), port("TCP", 81), holding("a", "192.0.2.1"))},
		"p 192.0.2.0 a changed < can't change sharing key for \"default/p\", address also in use by default/q\nq 192.0.2.1 a"},
	{"2.6", "who drops its key loses the address", "same", []any{addressPool("a", "192.0.2.1/32"), load("p", key("k"), holding("a", "192.0.2.1"), key("")), load("q", key("k"), port("TCP", 81), holding("a", "192.0.2.1"))},
		"p - - changed NoFreeAddress < in use by default/q\nq 192.0.2.1 a"},
	{"2.6", "who takes the other's port loses the address", "same", []any{addressPool("a", "192.0.2.1/32"), load("p", key("k"), holding("a", "192.0.2.1"), port("TCP", 81)), load("q", key("k"), port("TCP", 81), holding("a", "192.0.2.1"))},
		"p - - changed NoFreeAddress < port TCP/81 is already in use on \"192.0.2.1\"\nq 192.0.2.1 a"},
	{"2.6", "who goes from Cluster to Local loses the address", "same", []any{addressPool("a", "192.0.2.0/24"), load("p", key("k"), holding("a", "192.0.2.1"), local("x")), load("q", key("k"), port("TCP", 81), holding("a", "192.0.2.1"))},
		"p 192.0.2.0 a changed < its traffic goes to any pod\nq 192.0.2.1 a"},
	{"2.6", "both are changed: the older claim stays", "same", []any{addressPool("a", "192.0.2.1/32"), load("p", key("k"), holding("a", "192.0.2.1"), key("j")), load("q", key("k"), port("TCP", 81), holding("a", "192.0.2.1"), key("i"))},
		"p 192.0.2.1 a changed\nq - - changed NoFreeAddress < can't change sharing key for \"default/q\""},
}

var rulesOfChanges = []rule{
	{"2.7", "the address is in no pool any more", "same", []any{addressPool("a", "192.0.3.0/24"), load("x", holding("a", "192.0.2.7"))}, "x 192.0.3.0 a changed < 192.0.2.7 is not allowed in config"},
	{"2.7", "the address comes back soon", "different: the Service goes back to it within ten minutes, so that undoing an edit undoes it", []any{addressPool("a", "192.0.2.0/24,192.0.3.0/24"), load("x", holding("a", "192.0.3.0"), note(v1beta1.AnnotationLastIPs, "192.0.2.7"))},
		"x 192.0.2.7 a changed < which the Service had before"},
	{"2.7", "all pools were deleted and are there again", "different: every Service gets what it had, before anybody gets anything", []any{addressPool("a", "192.0.2.0/24"), load("p"), load("x", note(v1beta1.AnnotationLastIPs, "192.0.2.0"))},
		"p 192.0.2.1 a changed\nx 192.0.2.0 a changed"},
	{"2.7", "what others remember is given last", "different: no Service is to lose for good what a pool edit took from it", []any{addressPool("a", "192.0.2.0/31"), load("p"), load("x", clusterIPs(require, v4, v6), note(v1beta1.AnnotationLastIPs, "192.0.2.0,2001:db8::1"))},
		"p 192.0.2.1 a changed\nx - - FamilyNotInPool"},
	{"2.7", "what others remember is given all the same", "same", []any{addressPool("a", "192.0.2.0/32"), load("p"), load("x", clusterIPs(require, v4, v6), note(v1beta1.AnnotationLastIPs, "192.0.2.0,2001:db8::1"))},
		"p 192.0.2.0 a changed\nx - - changed FamilyNotInPool"},
	{"2.7", "the address is in another pool now: kept", "same", []any{addressPool("b", "192.0.2.0/24"), load("x", holding("a", "192.0.2.7"))}, "x 192.0.2.7 b changed"},
	{"2.7", "the pool is deleted and there is no other", "same", []any{addressPool("b", "192.0.3.0/24", manual), load("x", holding("a", "192.0.2.7"))}, "x - - changed NoPool < 192.0.2.7 is not allowed in config"},
	{"2.7", "avoidBuggyIPs evicts", "same", []any{addressPool("a", "192.0.2.0/24", avoiding), load("x", holding("a", "192.0.2.255"))}, "x 192.0.2.1 a changed < avoidBuggyIPs"},
	{"2.7", "autoAssign false does not evict", "same", []any{addressPool("a", "192.0.2.0/24", manual), load("x", holding("a", "192.0.2.7"))}, "x 192.0.2.7 a"},
	{"2.7", "a serviceAllocation that leaves the holder out evicts", "same", []any{addressPool("a", "192.0.2.0/24", forNamespaces("prod")), addressPool("b", "192.0.3.0/24"), load("x", holding("a", "192.0.2.7"))},
		"x 192.0.3.0 b changed < not for namespace default"},
	{"2.7", "who has an address comes before who has none", "same", []any{addressPool("a", "192.0.2.1/32"), load("p"), load("x", holding("a", "192.0.2.1"))}, "p - - NoFreeAddress\nx 192.0.2.1 a"},
	{"2.7", "of two that have the same address after a restore from backup", "different: the older claim wins, not the one that is read first", []any{addressPool("a", "192.0.2.0/24"), load("p", holding("a", "192.0.2.1")), load("x", holding("a", "192.0.2.1"))},
		"p 192.0.2.1 a\nx 192.0.2.0 a changed < whose claim to it is older"},
}

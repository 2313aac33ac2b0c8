// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
)

func TestServicesGetAndKeepAddresses(t *testing.T) {
	f := newFixture(t)
	stop := f.controller()
	f.create(pool("first", "192.0.2.0/29"), service("web"))

	web := f.awaitService("web", "to hold the first address", holds("first", "192.0.2.0"))
	if n := len(web.ManagedFields); n == 0 {
		t.Fatal("no managed fields to check")
	}
	for _, in := range web.Status.LoadBalancer.Ingress {
		if in.IPMode == nil || *in.IPMode != corev1.LoadBalancerIPModeVIP {
			t.Errorf("ipMode is %v; the API server is to default it to VIP", in.IPMode)
		}
	}
	f.awaitPool("first", "to be counted and accepted", func(p *v1beta1.IPAddressPool) bool {
		return p.Status.AssignedIPv4 == 1 && p.Status.AvailableIPv4 == 7 && p.Status.LastAccepted != nil &&
			hasCondition(p.Status.Conditions, v1beta1.ConditionReady, metav1.ConditionTrue, "InForce")
	})
	f.awaitEvent("web", "IPAllocated", `Assigned IP ["192.0.2.0"]`)

	f.create(asking("asks", "192.0.2.5"))
	f.awaitService("asks", "to hold what it asks for", holds("first", "192.0.2.5"))
	f.create(asking("greedy", "192.0.2.5"))
	f.awaitService("greedy", "to be told who holds the address", waitsFor("default/asks"))
	f.awaitEvent("greedy", "AllocationFailed", `Failed to allocate IP for "default/greedy"`)

	// Deleting the holder lets the one that waits have the address at once.
	if err := f.Delete(t.Context(), service("asks")); err != nil {
		t.Fatal(err)
	}
	f.awaitService("greedy", "to inherit the address", holds("first", "192.0.2.5"))

	// A Service that is no load balancer any more gives everything back.
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"type":"ClusterIP"}}`))
	if err := f.Patch(t.Context(), service("web"), patch); err != nil {
		t.Fatal(err)
	}
	f.awaitService("web", "to be left clean", func(s *corev1.Service) bool {
		return holds("")(s) && len(s.Status.Conditions) == 0
	})
	stop()
}

// A restart finds everything as it was: one new Service costs one write of its
// address, one of where it is announced from and one of the pool's counters, and
// nothing else is written.
func TestRestartWritesNothingAnew(t *testing.T) {
	f := newFixture(t)
	stop := f.controller()
	f.create(pool("first", "192.0.2.0/29"), service("web"))
	f.awaitService("web", "to hold the first address", holds("first", "192.0.2.0"))
	f.create(asking("asks", "192.0.2.5"))
	f.awaitService("asks", "to hold what it asks for", holds("first", "192.0.2.5"))
	f.create(asking("greedy", "192.0.2.5"))
	f.awaitService("greedy", "to be told who holds the address", waitsFor("default/asks"))
	f.settled()
	stop()
	before := f.writes.Load()
	f.controller()
	f.create(service("after"))
	f.awaitService("after", "to get the next address after the restart", holds("first", "192.0.2.1"))
	f.awaitPool("first", "to count it", func(p *v1beta1.IPAddressPool) bool { return p.Status.AssignedIPv4 == 3 })
	f.settled()
	if n := f.writes.Load() - before; n != 3 {
		t.Errorf("%d writes after a restart, want 3", n)
	}
}

// asking returns a Service that asks for an address.
func asking(name, address string) *corev1.Service {
	return service(name, func(s *corev1.Service) {
		s.Annotations = map[string]string{v1beta1.AnnotationLoadBalancerIPs: address}
	})
}

// waitsFor reports whether the Service has no address because of that other one.
func waitsFor(holder string) func(*corev1.Service) bool {
	return func(s *corev1.Service) bool {
		c := meta.FindStatusCondition(s.Status.Conditions, v1beta1.ConditionAddressAssigned)
		return c != nil && c.Status == metav1.ConditionFalse && strings.Contains(c.Message, holder)
	}
}

func TestStatusIsPutBackAndForeignIngressOverwritten(t *testing.T) {
	f := newFixture(t)
	f.controller()
	f.create(pool("first", "192.0.2.0/30"), service("web"))
	f.awaitService("web", "to hold an address", holds("first", "192.0.2.0"))
	f.settled()

	foreign := client.RawPatch(types.MergePatchType, []byte(`{"status":{"loadBalancer":{"ingress":[{"hostname":"else.example"}]}}}`))
	if err := f.Status().Patch(t.Context(), service("web"), foreign); err != nil {
		t.Fatal(err)
	}
	f.awaitService("web", "to be put back", func(s *corev1.Service) bool {
		return holds("first", "192.0.2.0")(s) && s.Status.LoadBalancer.Ingress[0].Hostname == ""
	})
	wrong := client.RawPatch(types.MergePatchType, []byte(`{"status":{"assignedIPv4":77}}`))
	if err := f.Status().Patch(t.Context(), pool("first"), wrong); err != nil {
		t.Fatal(err)
	}
	f.awaitPool("first", "to have its counters put back", func(p *v1beta1.IPAddressPool) bool { return p.Status.AssignedIPv4 == 1 })

	state := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1beta1.ComponentController}}
	valid := func(s *v1beta1.ConfigurationState) bool {
		return s.Status.Result == v1beta1.ConfigurationValid && s.Labels[v1beta1.LabelComponentType] == v1beta1.ComponentController
	}
	was := await(f, &v1beta1.ConfigurationStateList{}, state, "to be valid", valid)
	if err := f.Delete(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	await(f, &v1beta1.ConfigurationStateList{}, state, "to be made again", func(s *v1beta1.ConfigurationState) bool {
		return valid(s) && s.UID != was.UID
	})
}

func TestOneBadObjectCostsItselfAlone(t *testing.T) {
	f := newFixture(t)
	f.controller()
	good, bad := pool("good", "192.0.2.0/30"), pool("bad", "192.0.2.9-192.0.2.8")
	tor := peer("tor1", "198.51.100.1")
	tor.Spec.Password = "s3cret-in-spec"
	tor.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: `{"spec":{"password":"s3cret-in-spec"}}`}
	lost := peer("tor2", "198.51.100.2")
	lost.Spec.BFDProfile = "nowhere"
	f.create(bad, good, tor, lost, service("web"))

	f.awaitService("web", "to hold an address of the good pool", holds("good", "192.0.2.0"))
	f.awaitPool("bad", "to say what is wrong", func(p *v1beta1.IPAddressPool) bool {
		c := meta.FindStatusCondition(p.Status.Conditions, v1beta1.ConditionAccepted)
		return c != nil && c.Status == metav1.ConditionFalse && strings.Contains(c.Message, "spec.addresses") &&
			strings.Contains(c.Message, "192.0.2.9-192.0.2.8") && p.Status.LastAccepted == nil &&
			hasCondition(p.Status.Conditions, v1beta1.ConditionReady, metav1.ConditionFalse, c.Reason)
	})
	f.awaitPool("good", "to be ready", func(p *v1beta1.IPAddressPool) bool {
		return hasCondition(p.Status.Conditions, v1beta1.ConditionReady, metav1.ConditionTrue, "")
	})
	peers := &v1beta2.BGPPeerList{}
	await(f, peers, lost, "to miss its BFDProfile", func(p *v1beta2.BGPPeer) bool {
		return hasCondition(p.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionTrue, "") &&
			hasCondition(p.Status.Conditions, v1beta1.ConditionResolvedRefs, metav1.ConditionFalse, "BFDProfileNotFound") &&
			hasCondition(p.Status.Conditions, v1beta1.ConditionReady, metav1.ConditionFalse, "BFDProfileNotFound")
	})
	got := await(f, peers, tor, "to be recorded", func(p *v1beta2.BGPPeer) bool { return p.Status.LastAccepted != nil })
	if text := string(got.Status.LastAccepted.Spec.Raw); strings.Contains(text, "s3cret") || !strings.Contains(text, "198.51.100.1") {
		t.Errorf("status.lastAccepted is %s; want the spec without its password", text)
	}
	state := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1beta1.ComponentController}}
	await(f, &v1beta1.ConfigurationStateList{}, state, "to be invalid", func(s *v1beta1.ConfigurationState) bool {
		return s.Status.Result == v1beta1.ConfigurationInvalid && strings.HasPrefix(s.Status.ErrorSummary, "configuration error: ")
	})

	// It heals when what it names appears.
	f.create(&v1beta1.BFDProfile{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "nowhere"}})
	await(f, peers, lost, "to be ready", func(p *v1beta2.BGPPeer) bool {
		return hasCondition(p.Status.Conditions, v1beta1.ConditionReady, metav1.ConditionTrue, "")
	})
}

// Peers contradict each other only where they meet: on a node that both select.
func TestPeersThatContradictEachOther(t *testing.T) {
	f := newFixture(t)
	f.controller()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	older, twin, other := peer("a-older", "198.51.100.1"), peer("b-twin", "198.51.100.1"), peer("c-other", "198.51.100.2")
	other.Spec.MyASN, other.Spec.PeerASN = 64999, older.Spec.MyASN
	f.create(node, older, twin, other)
	peers := &v1beta2.BGPPeerList{}
	says := func(reason, text string) func(*v1beta2.BGPPeer) bool {
		return func(p *v1beta2.BGPPeer) bool {
			c := meta.FindStatusCondition(p.Status.Conditions, v1beta1.ConditionAccepted)
			return c != nil && c.Status == metav1.ConditionFalse && c.Reason == reason && strings.Contains(c.Message, text) && strings.Contains(c.Message, "node n1")
		}
	}
	await(f, peers, twin, "to have a neighbour of its own", says("DuplicateNeighbor", "doesn't support duplicate BGPPeers"))
	await(f, peers, other, "to be told of the node's AS number", says("ASNConflict", "spec.myASN"))
	await(f, peers, older, "to be in force", func(p *v1beta2.BGPPeer) bool {
		return hasCondition(p.Status.Conditions, v1beta1.ConditionReady, metav1.ConditionTrue, "")
	})
}

func TestBadEditKeepsTheAcceptedSpecInForce(t *testing.T) {
	f := newFixture(t)
	stop := f.controller()
	f.create(pool("main", "192.0.2.0/30"), service("web"))
	f.awaitService("web", "to hold an address", holds("main", "192.0.2.0"))
	f.awaitPool("main", "to be recorded", func(p *v1beta1.IPAddressPool) bool { return p.Status.LastAccepted != nil })

	broken := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"addresses":["192.0.2.10-192.0.2.0"]}}`))
	if err := f.Patch(t.Context(), pool("main"), broken); err != nil {
		t.Fatal(err)
	}
	f.awaitPool("main", "to use its last accepted spec", func(p *v1beta1.IPAddressPool) bool {
		return hasCondition(p.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionFalse, v1beta1.ReasonUsingLastAccepted) &&
			p.Status.LastAccepted.Generation == 1 && p.Status.AvailableIPv4 == 3
	})
	// Also for a process that has only the cluster to go by.
	stop()
	f.controller()
	f.create(service("next"))
	f.awaitService("next", "to get an address of the spec in force", holds("main", "192.0.2.1"))

	mended := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"addresses":["192.0.2.0-192.0.2.10"]}}`))
	if err := f.Patch(t.Context(), pool("main"), mended); err != nil {
		t.Fatal(err)
	}
	f.awaitPool("main", "to be accepted again", func(p *v1beta1.IPAddressPool) bool {
		return hasCondition(p.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionTrue, "Accepted") &&
			p.Status.LastAccepted.Generation == 3 && p.Status.AvailableIPv4 == 9
	})
	f.awaitService("web", "to have kept its address", holds("main", "192.0.2.0"))
}

func TestManyServicesGetDistinctAddresses(t *testing.T) {
	f := newFixture(t)
	f.controller()
	const n = 300
	f.create(pool("main", "198.51.100.0/24", "2001:db8::/64", "203.0.113.0/24"))
	start := time.Now()
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- f.Create(t.Context(), service(fmt.Sprintf("web-%03d", i))) }()
	}
	for range n {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	f.awaitPool("main", "to have all Services", func(p *v1beta1.IPAddressPool) bool { return p.Status.AssignedIPv4 == n })
	t.Logf("%d services in %v", n, time.Since(start))
	list := &corev1.ServiceList{}
	if err := f.List(t.Context(), list, client.InNamespace("default")); err != nil {
		t.Fatal(err)
	}
	holder := map[netip.Addr]string{}
	for _, s := range list.Items {
		if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		if len(s.Status.LoadBalancer.Ingress) != 1 {
			t.Fatalf("%s has ingress %v", s.Name, s.Status.LoadBalancer.Ingress)
		}
		a := netip.MustParseAddr(s.Status.LoadBalancer.Ingress[0].IP)
		if holder[a] != "" {
			t.Errorf("%s and %s both hold %s", holder[a], s.Name, a)
		}
		holder[a] = s.Name
	}
	if len(holder) != n {
		t.Errorf("%d addresses for %d services", len(holder), n)
	}
}

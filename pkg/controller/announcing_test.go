// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// announcing is a cluster of two nodes and a router in which the Service web is to
// be announced.
type announcing struct {
	*fixture
	n1    *corev1.Node
	state *v1beta1.ConfigurationState
}

func newAnnouncing(t *testing.T) *announcing {
	t.Helper()
	a := &announcing{fixture: newFixture(t), n1: readyNode("n1")}
	a.state = &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: "speaker-n1", Labels: map[string]string{v1beta1.LabelNodeName: "n1"},
	}}
	a.create(a.n1, readyNode("n2"), pool("first", "192.0.2.0/29"), peer("tor1", "198.51.100.1"), a.ad(), service("web"), a.endpoints(), a.state)
	return a
}

func (a *announcing) ad() *v1beta1.BGPAdvertisement {
	return &v1beta1.BGPAdvertisement{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "all"}}
}

func (a *announcing) endpoints() *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.244.0.1"}, NodeName: new("n1")}},
	}
}

// report makes the speaker of n1 publish the state of its session, and links.
func (a *announcing) report(state, more string) {
	a.t.Helper()
	text := fmt.Sprintf(`{"status":{"links":[{"name":"eth0"}],"sessions":[{"peer":"tor1","address":"198.51.100.1","state":%q%s}]}}`, state, more)
	if err := a.Status().Patch(a.t.Context(), a.state.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(text))); err != nil {
		a.t.Fatal(err)
	}
}

// layer2 makes the speaker of a node publish what it announces.
func (a *announcing) layer2(node, address string) *v1beta1.ServiceL2Status {
	a.t.Helper()
	s := &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "l2-" + node, Labels: map[string]string{
		v1beta1.LabelNode: node, v1beta1.LabelServiceNamespace: "default", v1beta1.LabelServiceName: "web",
	}}}
	a.create(s)
	s.Status = v1beta1.ServiceL2StatusStatus{Node: node, ServiceName: "web", ServiceNamespace: "default", Interfaces: []v1beta1.InterfaceInfo{{Name: "eth0"}}, Addresses: []string{address}}
	if err := a.Status().Update(a.t.Context(), s); err != nil {
		a.t.Fatal(err)
	}
	return s
}

func (a *announcing) ready(status corev1.ConditionStatus) {
	a.t.Helper()
	a.n1.Status.Conditions[0].Status = status
	if err := a.Status().Update(a.t.Context(), a.n1); err != nil {
		a.t.Fatal(err)
	}
}

func (a *announcing) remove(o client.Object) {
	a.t.Helper()
	if err := a.Delete(a.t.Context(), o); err != nil {
		a.t.Fatal(err)
	}
}

// says waits until web's condition is that.
func (a *announcing) says(status metav1.ConditionStatus, reason, message string) *corev1.Service {
	a.t.Helper()
	return a.awaitService("web", fmt.Sprintf("to be announced: %s, %s, %q", status, reason, message), func(s *corev1.Service) bool {
		c := meta.FindStatusCondition(s.Status.Conditions, v1beta1.ConditionAnnounced)
		return c != nil && c.Status == status && c.Reason == reason && c.Message == message && holds("first", "192.0.2.0")(s)
	})
}

// What web says where all is well, and over layer 2 too.
const (
	overBGP  = "192.0.2.0 from n1 over bgp (peers tor1)"
	overBoth = overBGP + "; from n2 over layer2 (interfaces eth0)"
)

func TestServiceSaysWhereItIsAnnounced(t *testing.T) {
	a := newAnnouncing(t)
	a.controller()
	a.says("False", "NotReported", "192.0.2.0 not announced over bgp: no speaker has reported a BGP session: tor1 (unknown on n1, n2); see the speakers' logs")
	a.report("Established", "")
	for _, lost := range []struct {
		by, back        func()
		reason, message string
	}{
		{
			func() { a.report("Down", "") }, func() { a.report("Established", "") },
			"NoSessionEstablished", "192.0.2.0 not announced over bgp: no BGP session is Established: tor1 (down on n1, unknown on n2); see the BGPPeers",
		},
		{
			func() { a.remove(a.endpoints()) }, func() { a.create(a.endpoints()) },
			"NoEndpoint", "192.0.2.0 not announced over bgp: no endpoint can serve; see the Pods that the Service selects",
		},
		{
			func() { a.ready(corev1.ConditionUnknown) }, func() { a.ready(corev1.ConditionTrue) },
			"NotReported", "192.0.2.0 not announced over bgp: no speaker has reported a BGP session: tor1 (unknown on n2); see the speakers' logs",
		},
		{
			func() { a.remove(a.ad()) }, func() { a.create(a.ad()) },
			"NoAdvertisement", "192.0.2.0 not announced: no BGPAdvertisement covers IPAddressPool first; no L2Advertisement covers IPAddressPool first; write an advertisement that does",
		},
	} {
		a.says("True", "Announced", overBGP)
		lost.by()
		a.says("False", lost.reason, lost.message)
		lost.back()
	}
	a.says("True", "Announced", overBGP)

	// The condition goes with the address, and with the load balancer.
	a.remove(pool("first"))
	a.awaitService("web", "to say nothing without an address", func(s *corev1.Service) bool {
		return len(s.Status.LoadBalancer.Ingress) == 0 && meta.FindStatusCondition(s.Status.Conditions, v1beta1.ConditionAnnounced) == nil
	})
	a.create(pool("first", "192.0.2.0/29"))
	a.says("True", "Announced", overBGP)
	a.patch(service("web"), `{"spec":{"type":"ClusterIP"}}`)
	a.awaitService("web", "to be left clean", func(s *corev1.Service) bool { return len(s.Status.Conditions) == 0 })
}

func TestServiceSaysWhereItIsAnnouncedOverLayer2(t *testing.T) {
	a := newAnnouncing(t)
	stop := a.controller()
	a.report("Established", "")
	a.says("True", "Announced", overBGP)
	a.create(&v1beta1.L2Advertisement{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "all"}})
	a.says("True", "PartlyAnnounced", overBGP+"; not over layer2: n1 could, and no speaker says that it does; see the speakers' logs")
	first := a.layer2("n1", "192.0.2.0")
	a.says("True", "Announced", overBGP+"; from n1 over layer2 (interfaces eth0)")
	a.layer2("n2", "192.0.2.0")
	a.remove(first)
	web := a.says("True", "Announced", overBoth)
	since := meta.FindStatusCondition(web.Status.Conditions, v1beta1.ConditionAnnounced).LastTransitionTime

	// What does not matter writes nothing, nor does a restart, and nothing is told
	// anew.
	a.settled()
	before := a.writes.Load()
	a.report("Established", `,"bfd":"up"`)
	a.settled()
	stop()
	a.controller()
	a.settled()
	if now := a.says("True", "Announced", overBoth); now.ResourceVersion != web.ResourceVersion || a.writes.Load() > before+1 {
		t.Errorf("%d writes, want one of the BGPPeer at most; version %s, before %s", a.writes.Load()-before, now.ResourceVersion, web.ResourceVersion)
	}
	// What somebody else made of it is put back.
	text := fmt.Sprintf(`{"status":{"conditions":[{"type":"metallb.io/Announced","status":"Unknown","reason":"x","message":"y","lastTransitionTime":%q}]}}`, since.UTC().Format(time.RFC3339))
	if err := a.Status().Patch(t.Context(), service("web"), client.RawPatch(types.StrategicMergePatchType, []byte(text))); err != nil {
		t.Fatal(err)
	}
	a.says("True", "Announced", overBoth)
}

// However fast speakers report, a Service is written at most once a second.
func TestStormOfReportsIsFolded(t *testing.T) {
	a := newAnnouncing(t)
	defer a.controller()()
	a.report("Established", "")
	web := a.says("True", "Announced", overBGP)
	a.settled()
	w, err := a.Watch(t.Context(), &corev1.ServiceList{}, client.InNamespace("default"), client.MatchingFields{"metadata.name": "web"},
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: web.ResourceVersion}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	start := time.Now()
	const reports = 300
	for i := range reports {
		a.report([]string{"Down", "Established"}[i%2], fmt.Sprintf(`,"reason":"%d"`, i))
		if i%60 == 59 { // long enough to be believed
			a.report("Down", "")
			a.says("False", "NoSessionEstablished", "192.0.2.0 not announced over bgp: no BGP session is Established: tor1 (down on n1, unknown on n2); see the BGPPeers")
		}
	}
	a.report("Established", "")
	last := a.says("True", "Announced", overBGP)
	took := time.Since(start)
	writes := 0
	for e := range w.ResultChan() {
		s, ok := e.Object.(*corev1.Service)
		if !ok {
			t.Fatalf("the watch gave %v", e.Object)
		}
		writes++
		if s.ResourceVersion == last.ResourceVersion {
			break
		}
	}
	if most := int(took/time.Second) + 1; writes > most || writes < 2 {
		t.Errorf("%d reports in %v made %d writes, want 2 to %d", reports, took, writes, most)
	}
	t.Logf("%d reports in %v made %d writes", reports, took, writes)
}

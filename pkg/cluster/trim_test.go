// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
)

func ptr[T any](v T) *T { return &v }

func TestPasswordsLeaveTheObjects(t *testing.T) {
	const password = "correct horse"
	p := &v1beta2.BGPPeer{ObjectMeta: metav1.ObjectMeta{
		Name:          "tor1",
		Annotations:   map[string]string{corev1.LastAppliedConfigAnnotation: `{"password":"` + password + `"}`, "team": "net"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}}
	p.Spec.Password = password
	kept := trimPeer(p)
	if kept.Password.Reveal() != password {
		t.Error("the password is lost")
	}
	s := trimSecret(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "s", Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: password}},
		Type:       corev1.SecretTypeBasicAuth,
		Data:       map[string][]byte{"password": []byte(password), "username": []byte(password)},
	})
	if s.Kept.Password.Reveal() != password || !s.Kept.HasPassword || s.Kept.Type != corev1.SecretTypeBasicAuth {
		t.Error("the secret's type or password is lost")
	}
	for _, v := range []any{kept.BGPPeer, s.Secret} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), password) {
			t.Errorf("%T still holds the password: %s", v, text)
		}
	}
	for _, v := range []any{kept, s} {
		if text := fmt.Sprintf("%+v", v); strings.Contains(text, password) {
			t.Errorf("%T prints the password", v)
		}
	}
	if kept.Annotations["team"] != "net" || kept.ManagedFields != nil {
		t.Errorf("kept metadata is %+v", kept.ObjectMeta)
	}
	other := trimPeer(&v1beta2.BGPPeer{Spec: v1beta2.BGPPeerSpec{Password: "other"}})
	same := trimPeer(&v1beta2.BGPPeer{Spec: v1beta2.BGPPeerSpec{Password: "other"}})
	if samePeer(kept, other) || !samePeer(other, same) {
		t.Error("a changed password must matter, an equal one must not")
	}
}

func TestNodeHeartbeatDoesNotMatter(t *testing.T) {
	node := func(beat time.Time, ready corev1.ConditionStatus, labels map[string]string) *corev1.Node {
		return trimNode(&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: labels, Annotations: map[string]string{"beat": beat.String()}},
			Spec:       corev1.NodeSpec{PodCIDR: "10.244.0.0/24", Unschedulable: labels["cordon"] != "", Taints: []corev1.Taint{{Key: "k", Value: labels["taint"], TimeAdded: &metav1.Time{Time: beat}}}},
			Status: corev1.NodeStatus{
				Conditions: []corev1.NodeCondition{
					{Type: corev1.NodeReady, Status: ready, LastHeartbeatTime: metav1.NewTime(beat)},
					{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse},
				},
				Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.1"}, {Type: corev1.NodeHostName, Address: "n"}},
				Images:    []corev1.ContainerImage{{Names: []string{"big"}}},
			},
		})
	}
	now := time.Unix(1, 0)
	a := node(now, corev1.ConditionTrue, nil)
	if !sameNode(a, node(now.Add(time.Minute), corev1.ConditionTrue, nil)) {
		t.Error("a heartbeat matters")
	}
	if sameNode(a, node(now, corev1.ConditionUnknown, nil)) || sameNode(a, node(now, corev1.ConditionTrue, map[string]string{"rack": "1"})) {
		t.Error("readiness or labels do not matter")
	}
	for _, what := range []string{"cordon", "taint"} {
		b := node(now, corev1.ConditionTrue, map[string]string{what: "x"})
		b.Labels = nil
		if sameNode(a, b) {
			t.Errorf("a %s does not matter", what)
		}
	}
	if len(a.Status.Conditions) != 2 || a.Spec.PodCIDR != "" || a.Spec.Taints[0].TimeAdded != nil || len(a.Status.Addresses) != 1 || a.Status.Images != nil || a.Annotations != nil {
		t.Errorf("kept too much: %+v", a)
	}
}

func TestEndpointsCountOncePerNodeAndState(t *testing.T) {
	endpoint := func(addr, node string, ready bool) discoveryv1.Endpoint {
		e := discoveryv1.Endpoint{Addresses: []string{addr}, Conditions: discoveryv1.EndpointConditions{Ready: ptr(ready)}}
		if node != "" {
			e.NodeName = ptr(node)
		}
		return e
	}
	slice := func(endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
		return trimSlice(&discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Name: "s", Labels: map[string]string{discoveryv1.LabelServiceName: "web", "x": "y"}},
			Endpoints:  endpoints, Ports: []discoveryv1.EndpointPort{{Port: ptr(int32(80))}},
		})
	}
	a := slice(endpoint("10.0.0.1", "n1", true), endpoint("10.0.0.2", "n1", true), endpoint("10.0.0.3", "n2", false), endpoint("10.0.0.4", "", true))
	if len(a.Endpoints) != 3 || len(a.Labels) != 1 || a.Ports != nil {
		t.Errorf("kept %+v", a)
	}
	for _, e := range a.Endpoints {
		if len(e.Addresses) != 1 {
			t.Errorf("an endpoint without address: %+v", e)
		}
	}
	if !sameSlice(a, slice(endpoint("10.0.0.9", "n2", false), endpoint("10.0.0.8", "n1", true), endpoint("10.0.0.4", "", true))) {
		t.Error("other pods on the same nodes in the same states matter")
	}
	if sameSlice(a, slice(endpoint("10.0.0.1", "n1", true), endpoint("10.0.0.3", "n2", true), endpoint("10.0.0.4", "", true))) {
		t.Error("an endpoint that becomes ready does not matter")
	}
}

func TestServiceKeepsOnlyOurAnnotations(t *testing.T) {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{
		Namespace: "d", Name: "s", Labels: map[string]string{"a": "b"},
		Annotations: map[string]string{
			"other.example/x": "1", v1beta1.AnnotationAddressPool: "p", v1beta1.LegacyAnnotationAllowSharedIP: "k",
			corev1.LastAppliedConfigAnnotation: "{}",
		},
	}}
	s.Spec.Type = corev1.ServiceTypeLoadBalancer
	s.Spec.Ports = []corev1.ServicePort{{Port: 80, NodePort: 30000}}
	kept := trimService(s)
	if len(kept.Annotations) != 2 || kept.Labels["a"] != "b" || kept.Spec.Ports[0].NodePort != 0 {
		t.Errorf("kept %+v", kept)
	}
	other := s.DeepCopy()
	other.Annotations["other.example/x"] = "2"
	other.Spec.Ports[0].NodePort = 30001
	if !sameService(kept, trimService(other)) {
		t.Error("a foreign annotation or node port matters")
	}
	other.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	if sameService(kept, trimService(other)) {
		t.Error("externalTrafficPolicy does not matter")
	}
	s.Spec.Type = corev1.ServiceTypeClusterIP
	if kept := trimService(s); kept.Labels != nil || kept.Spec.Ports != nil || kept.Spec.Type != corev1.ServiceTypeClusterIP {
		t.Errorf("kept of a ClusterIP Service: %+v", kept)
	}
}

// The speaker reads what operators say on its Node; what others write there, and
// often, is no change.
func TestNodeAnnotations(t *testing.T) {
	node := func(annotations map[string]string) *corev1.Node {
		return trimNode(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Annotations: annotations}})
	}
	pause := map[string]string{v1beta1.AnnotationPauseRepairs: "2026-11-21T15:04:05Z", "kubelet/beat": "1"}
	if got := node(pause).Annotations; len(got) != 1 || got[v1beta1.AnnotationPauseRepairs] == "" {
		t.Errorf("annotations kept: %v, want ours only", got)
	}
	if sameNode(node(nil), node(pause)) {
		t.Error("an annotation of ours is no change")
	}
	if !sameNode(node(nil), node(map[string]string{"kubelet/beat": "2"})) {
		t.Error("a foreign annotation is a change")
	}
}

// A node without links to announce on is not one of which nothing is known.
func TestNoLinksIsNotUnknown(t *testing.T) {
	unknown, none := &v1beta1.ConfigurationState{}, &v1beta1.ConfigurationState{}
	none.Status.Links = []v1beta1.Link{}
	if sameState(unknown, none) || !sameState(none, none.DeepCopy()) || !sameState(unknown, unknown.DeepCopy()) {
		t.Error("they count as the same, or copies do not")
	}
	for state, want := range map[*v1beta1.ConfigurationState]string{unknown: `{}`, none: `{"links":[]}`} {
		if text, err := json.Marshal(state.Status); err != nil || string(text) != want {
			t.Errorf("written as %s (%v), want %s", text, err, want)
		}
	}
}

// What pools should not hold is kept: the addresses of nodes, Pods and Services.
func TestNetworksOfTheClusterAreKept(t *testing.T) {
	s := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIPs: []string{"10.96.0.1"}, Selector: map[string]string{"a": "b"}}}
	if kept := trimService(s); len(kept.Spec.ClusterIPs) != 1 || kept.Spec.Selector != nil {
		t.Errorf("kept of a Service: %+v", kept.Spec)
	}
	n := &corev1.Node{
		Spec:   corev1.NodeSpec{PodCIDRs: []string{"10.244.0.0/24", "fd00::/64"}},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.1"}, {Type: corev1.NodeExternalIP, Address: "198.51.100.1"}}},
	}
	if kept := trimNode(n); len(kept.Spec.PodCIDRs) != 2 || len(kept.Status.Addresses) != 2 {
		t.Errorf("kept of a Node: %+v", kept)
	}
}

// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// bareMeta is what is kept of the metadata of foreign kinds.
func bareMeta(m *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: m.Namespace, Name: m.Name, UID: m.UID,
		ResourceVersion: m.ResourceVersion, CreationTimestamp: m.CreationTimestamp,
	}
}

// dropBulk removes from an object's metadata what nobody needs and what may hold
// secrets: last-applied-configuration repeats the whole spec.
func dropBulk(obj client.Object) {
	obj.SetManagedFields(nil)
	annotations := obj.GetAnnotations()
	if _, ok := annotations[corev1.LastAppliedConfigAnnotation]; ok {
		delete(annotations, corev1.LastAppliedConfigAnnotation)
		obj.SetAnnotations(annotations)
	}
}

func byName[T client.Object](a, b T) int { return cmp.Compare(a.GetName(), b.GetName()) }

func byNamespace[T client.Object](a, b T) int {
	return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
}

// trimService keeps of a Service what intent.Resolve reads; of one that is no
// load balancer, only that it is there, its ClusterIPs and what we once wrote on it.
// Where it is announced from is no news to those who announce it.
func (c *Cluster) trimService(s *corev1.Service) *corev1.Service {
	t := trimService(s)
	if !c.options.StatusWriter {
		t.Status.Conditions = slices.DeleteFunc(slices.Clone(t.Status.Conditions), func(c metav1.Condition) bool { return c.Type == v1beta1.ConditionAnnounced })
	}
	return t
}

func trimService(s *corev1.Service) *corev1.Service {
	t := &corev1.Service{ObjectMeta: bareMeta(&s.ObjectMeta)}
	t.Annotations = ourAnnotations(s.Annotations)
	t.Spec.Type = s.Spec.Type
	t.Status = s.Status
	if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
		t.Spec.ClusterIPs = s.Spec.ClusterIPs // which no pool should hold
		return t
	}
	t.Labels = s.Labels
	t.Spec = corev1.ServiceSpec{
		Type:                  s.Spec.Type,
		Selector:              s.Spec.Selector,
		ClusterIP:             s.Spec.ClusterIP,
		ClusterIPs:            s.Spec.ClusterIPs,
		IPFamilies:            s.Spec.IPFamilies,
		IPFamilyPolicy:        s.Spec.IPFamilyPolicy,
		LoadBalancerIP:        s.Spec.LoadBalancerIP,
		LoadBalancerClass:     s.Spec.LoadBalancerClass,
		ExternalTrafficPolicy: s.Spec.ExternalTrafficPolicy,
		HealthCheckNodePort:   s.Spec.HealthCheckNodePort,
	}
	for _, p := range s.Spec.Ports {
		t.Spec.Ports = append(t.Spec.Ports, corev1.ServicePort{Name: p.Name, Protocol: p.Protocol, Port: p.Port})
	}
	return t
}

// ourAnnotations returns those annotations that are the product's.
func ourAnnotations(all map[string]string) map[string]string {
	var ours map[string]string
	for key, value := range all {
		if strings.HasPrefix(key, v1beta1.AnnotationPrefix) || strings.HasPrefix(key, v1beta1.LegacyAnnotationPrefix) {
			if ours == nil {
				ours = map[string]string{}
			}
			ours[key] = value
		}
	}
	return ours
}

func sameService(a, b *corev1.Service) bool {
	return maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations) &&
		apiequality.Semantic.DeepEqual(a.Spec, b.Spec) && apiequality.Semantic.DeepEqual(a.Status, b.Status)
}

// trimNode keeps a Node's labels, our annotations, InternalIPs, cordon, taints and
// conditions, without their times: a kubelet's heartbeat changes nothing.
func trimNode(n *corev1.Node) *corev1.Node {
	t := &corev1.Node{ObjectMeta: bareMeta(&n.ObjectMeta)}
	t.Labels, t.Annotations = n.Labels, ourAnnotations(n.Annotations)
	t.Spec.Unschedulable, t.Spec.PodCIDRs = n.Spec.Unschedulable, n.Spec.PodCIDRs
	for _, taint := range n.Spec.Taints {
		t.Spec.Taints = append(t.Spec.Taints, corev1.Taint{Key: taint.Key, Value: taint.Value, Effect: taint.Effect})
	}
	for _, c := range n.Status.Conditions {
		t.Status.Conditions = append(t.Status.Conditions, corev1.NodeCondition{Type: c.Type, Status: c.Status})
	}
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP || a.Type == corev1.NodeExternalIP {
			t.Status.Addresses = append(t.Status.Addresses, a)
		}
	}
	return t
}

func sameNode(a, b *corev1.Node) bool {
	return maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Annotations, b.Annotations) &&
		apiequality.Semantic.DeepEqual(a.Spec, b.Spec) && apiequality.Semantic.DeepEqual(a.Status, b.Status)
}

// trimExtras keeps of the ConfigMap bgpextras the one key that counts.
func trimExtras(m *corev1.ConfigMap) *corev1.ConfigMap {
	t := &corev1.ConfigMap{ObjectMeta: bareMeta(&m.ObjectMeta)}
	if text, ok := m.Data[intent.ExtrasKey]; ok {
		t.Data = map[string]string{intent.ExtrasKey: text}
	}
	return t
}

func sameExtras(a, b *corev1.ConfigMap) bool { return maps.Equal(a.Data, b.Data) }

func trimNamespace(n *corev1.Namespace) *corev1.Namespace {
	t := &corev1.Namespace{ObjectMeta: bareMeta(&n.ObjectMeta)}
	t.Labels, t.DeletionTimestamp = n.Labels, n.DeletionTimestamp
	return t
}

func sameNamespace(a, b *corev1.Namespace) bool {
	return maps.Equal(a.Labels, b.Labels) && (a.DeletionTimestamp == nil) == (b.DeletionTimestamp == nil)
}

// trimSlice keeps, of all endpoints, which nodes host one in which state, each
// once and with one address: pods that come and go beside others in the same
// state change nothing.
func trimSlice(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	t := &discoveryv1.EndpointSlice{ObjectMeta: bareMeta(&s.ObjectMeta), AddressType: s.AddressType}
	if service, ok := s.Labels[discoveryv1.LabelServiceName]; ok {
		t.Labels = map[string]string{discoveryv1.LabelServiceName: service}
	}
	for _, e := range s.Endpoints {
		t.Endpoints = append(t.Endpoints, discoveryv1.Endpoint{
			Addresses: firstOf(e.Addresses), NodeName: e.NodeName, Conditions: e.Conditions,
		})
	}
	slices.SortFunc(t.Endpoints, compareEndpoints)
	t.Endpoints = slices.CompactFunc(t.Endpoints, func(a, b discoveryv1.Endpoint) bool { return compareEndpoints(a, b) == 0 })
	return t
}

func firstOf(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return []string{strings.Clone(list[0])}
}

func compareEndpoints(a, b discoveryv1.Endpoint) int {
	return cmp.Or(
		compareText(a.NodeName, b.NodeName),
		compareFlag(a.Conditions.Ready, b.Conditions.Ready),
		compareFlag(a.Conditions.Serving, b.Conditions.Serving),
		compareFlag(a.Conditions.Terminating, b.Conditions.Terminating),
	)
}

func compareText(a, b *string) int {
	if a == nil || b == nil {
		return compareFlag(present(a), present(b))
	}
	return cmp.Compare(*a, *b)
}

func present(s *string) *bool { has := s != nil; return &has }

// compareFlag orders unset, false, true.
func compareFlag(a, b *bool) int { return cmp.Compare(rank(a), rank(b)) }

func rank(b *bool) int {
	switch {
	case b == nil:
		return 0
	case !*b:
		return 1
	}
	return 2
}

func compareSlices(a, b *discoveryv1.EndpointSlice) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Labels[discoveryv1.LabelServiceName], b.Labels[discoveryv1.LabelServiceName]),
		cmp.Compare(a.Name, b.Name))
}

func sameSlice(a, b *discoveryv1.EndpointSlice) bool {
	return compareSlices(a, b) == 0 && a.AddressType == b.AddressType &&
		slices.EqualFunc(a.Endpoints, b.Endpoints, func(x, y discoveryv1.Endpoint) bool { return compareEndpoints(x, y) == 0 })
}

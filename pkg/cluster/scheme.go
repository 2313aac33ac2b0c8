// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
)

// Scheme returns a scheme with all kinds that the product reads or writes.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, discoveryv1.AddToScheme, v1beta1.AddToScheme, v1beta2.AddToScheme,
	} {
		// Fails only where two Go types claim one kind: a programming error.
		utilruntime.Must(add(s))
	}
	return s
}

// restMapper returns the resources of those kinds. They are fixed, so nothing is
// asked of the API server, and a program starts although one is not there yet.
func restMapper() meta.RESTMapper {
	m := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"Node", "Namespace"} {
		m.Add(corev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeRoot)
	}
	for _, kind := range []string{"Service", "Secret", "ConfigMap", "Pod"} {
		m.Add(corev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	m.Add(admissionv1.SchemeGroupVersion.WithKind("ValidatingWebhookConfiguration"), meta.RESTScopeRoot)
	m.Add(deploymentKind, meta.RESTScopeNamespace)
	m.Add(discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"), meta.RESTScopeNamespace)
	m.Add(v1beta2.GroupVersion.WithKind(v1beta1.KindBGPPeer), meta.RESTScopeNamespace)
	for kind, plural := range map[string]string{
		v1beta1.KindIPAddressPool:      "ipaddresspools",
		v1beta1.KindL2Advertisement:    "l2advertisements",
		v1beta1.KindBGPAdvertisement:   "bgpadvertisements",
		v1beta1.KindBFDProfile:         "bfdprofiles",
		v1beta1.KindCommunity:          "communities",
		v1beta1.KindServiceL2Status:    "servicel2statuses",
		v1beta1.KindServiceBGPStatus:   "servicebgpstatuses",
		v1beta1.KindConfigurationState: "configurationstates",
	} {
		addResource(m, v1beta1.GroupVersion.WithKind(kind), plural)
	}
	return m
}

func addResource(m *meta.DefaultRESTMapper, kind schema.GroupVersionKind, plural string) {
	resource := kind.GroupVersion().WithResource(plural)
	m.AddSpecific(kind, resource, resource, meta.RESTScopeNamespace)
}

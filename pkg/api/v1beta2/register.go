// SPDX-License-Identifier: Apache-2.0

package v1beta2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// Version is the name of this version within the group.
const Version = "v1beta2"

var (
	// GroupVersion is metallb.io/v1beta2.
	GroupVersion = schema.GroupVersion{Group: v1beta1.Group, Version: Version}

	// SchemeBuilder collects what AddToScheme adds.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the kinds of this version to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &BGPPeer{}, &BGPPeerList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Community gives names to BGP communities, for use in BGPAdvertisements.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Community struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec holds the names and their values.
	// +optional
	Spec CommunitySpec `json:"spec,omitzero"`
	// status is written by the controller.
	// +optional
	Status CommunityStatus `json:"status,omitzero"`
}

// CommunitySpec holds the names and their values.
type CommunitySpec struct {
	// communities are the names and their values.
	// +optional
	Communities []CommunityAlias `json:"communities,omitempty"`
}

// CommunityAlias is a name for a BGP community.
type CommunityAlias struct {
	// name stands for the value. It must be unique among all Community objects.
	// +optional
	Name string `json:"name,omitempty"`

	// value is a standard community (RFC 1997), two numbers of 0 to 65535 as
	// "65000:100", or a large one (RFC 8092), "large:" and three numbers of 0
	// to 4294967295 as "large:64500:1:2".
	// +optional
	Value string `json:"value,omitempty"`
}

// CommunityStatus is what became of a Community.
type CommunityStatus struct {
	ObjectStatus `json:",inline"`
}

// CommunityList is a list of Communities.
//
// +kubebuilder:object:root=true
type CommunityList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Community `json:"items"`
}

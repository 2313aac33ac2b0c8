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
	// communities are the names and their values. At most 4096.
	// +optional
	// +kubebuilder:validation:MaxItems=4096
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
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[^:]*:[^:]*$') || self.matches('^0*(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4}):0*(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4})$')",message="invalid community value: invalid section: write two numbers of 0 to 65535, such as 65000:100"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^large:[^:]*:[^:]*:[^:]*$') || self.matches('^large(:0*(429496729[0-5]|42949672[0-8][0-9]|4294967[01][0-9]{2}|429496[0-6][0-9]{3}|42949[0-5][0-9]{4}|4294[0-8][0-9]{5}|429[0-3][0-9]{6}|42[0-8][0-9]{7}|4[01][0-9]{8}|[1-3]?[0-9]{1,9})){3}$')",message="invalid community value: invalid section: write large: and three numbers of 0 to 4294967295, such as large:65000:1:100"
	// +kubebuilder:validation:XValidation:rule="self.startsWith('large:') || !self.matches('^[^:]*:[^:]*:[^:]*:[^:]*$')",message="invalid community value: expected community to be of format large:a:b:c"
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^:]*:[^:]*(:[^:]*:[^:]*)?$')",message="invalid community format: write a:b with two numbers of 0 to 65535, or large:a:b:c with three of 0 to 4294967295"
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

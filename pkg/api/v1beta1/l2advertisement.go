// SPDX-License-Identifier: Apache-2.0

package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// L2Advertisement makes one node answer ARP and NDP for the addresses of the
// selected pools.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="IPAddressPools",type=string,JSONPath=`.spec.ipAddressPools`
// +kubebuilder:printcolumn:name="IPAddressPool Selectors",type=string,JSONPath=`.spec.ipAddressPoolSelectors`
// +kubebuilder:printcolumn:name="Interfaces",type=string,JSONPath=`.spec.interfaces`
// +kubebuilder:printcolumn:name="Node Selectors",type=string,JSONPath=`.spec.nodeSelectors`,priority=10
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type L2Advertisement struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which addresses are announced, from where. Empty: all
	// addresses, from any node, on all interfaces.
	// +optional
	Spec L2AdvertisementSpec `json:"spec,omitzero"`
	// status is written by the controller.
	// +optional
	Status L2AdvertisementStatus `json:"status,omitzero"`
}

// L2AdvertisementSpec says which addresses are announced, from where.
type L2AdvertisementSpec struct {
	// ipAddressPools are names of IPAddressPools. With neither names nor
	// ipAddressPoolSelectors all pools are announced; with both, their union.
	// +optional
	IPAddressPools []string `json:"ipAddressPools,omitempty"`

	// ipAddressPoolSelectors select IPAddressPools by their labels. One that
	// matches is enough.
	// +optional
	IPAddressPoolSelectors []metav1.LabelSelector `json:"ipAddressPoolSelectors,omitempty"`

	// nodeSelectors select the nodes that may announce, by their labels. One
	// that matches is enough. Empty: all nodes.
	// +optional
	NodeSelectors []metav1.LabelSelector `json:"nodeSelectors,omitempty"`

	// interfaces are the exact names of the interfaces to announce on. Empty:
	// all. Interfaces do not influence which node announces.
	// +optional
	Interfaces []string `json:"interfaces,omitempty"`

	// serviceSelectors select the Services that this is for, by their labels.
	// One that matches is enough. Empty: all Services of the pools.
	// +optional
	ServiceSelectors []metav1.LabelSelector `json:"serviceSelectors,omitempty"`

	// preferredNodeSelectors give nodes a preference: of the nodes that may
	// announce, the one with the highest sum of weights does.
	// +optional
	PreferredNodeSelectors []PreferredNodeSelector `json:"preferredNodeSelectors,omitempty"`
}

// PreferredNodeSelector adds a weight to the score of some nodes.
type PreferredNodeSelector struct {
	// weight is added to the score of each matching node. 1 to 100.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Weight int32 `json:"weight"`

	// preference selects nodes by their labels; {} selects every node.
	Preference metav1.LabelSelector `json:"preference"`
}

// L2AdvertisementStatus is what became of an L2Advertisement.
type L2AdvertisementStatus struct {
	ObjectStatus `json:",inline"`
}

// L2AdvertisementList is a list of L2Advertisements.
//
// +kubebuilder:object:root=true
type L2AdvertisementList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []L2Advertisement `json:"items"`
}

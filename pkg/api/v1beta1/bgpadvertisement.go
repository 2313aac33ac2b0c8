// SPDX-License-Identifier: Apache-2.0

package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// BGPAdvertisement offers the addresses of the selected pools to BGP peers.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="IPAddressPools",type=string,JSONPath=`.spec.ipAddressPools`
// +kubebuilder:printcolumn:name="IPAddressPool Selectors",type=string,JSONPath=`.spec.ipAddressPoolSelectors`
// +kubebuilder:printcolumn:name="Peers",type=string,JSONPath=`.spec.peers`
// +kubebuilder:printcolumn:name="Node Selectors",type=string,JSONPath=`.spec.nodeSelectors`,priority=10
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type BGPAdvertisement struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which routes are made, with which attributes, for which peers.
	// Empty: every address as a host route, from every node, to every peer.
	// +optional
	Spec BGPAdvertisementSpec `json:"spec,omitzero"`
	// status is written by the controller.
	// +optional
	Status BGPAdvertisementStatus `json:"status,omitzero"`
}

// BGPAdvertisementSpec says which routes are made, with which attributes, for
// which peers.
//
// +kubebuilder:validation:XValidation:rule="!has(self.serviceSelectors) || size(self.serviceSelectors) == 0 || ((!has(self.aggregationLength) || self.aggregationLength == 32) && (!has(self.aggregationLengthV6) || self.aggregationLengthV6 == 128))",message="serviceSelectors and aggregationLength are mutually exclusive: with serviceSelectors, aggregationLength must be 32 and aggregationLengthV6 128, or both absent"
type BGPAdvertisementSpec struct {
	// aggregationLength is the length of the IPv4 prefixes that addresses are
	// announced in: 32 is a route per address, less aggregates. It must not be
	// shorter than the pool's own prefixes. 1 to 32.
	// +optional
	// +kubebuilder:default=32
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	AggregationLength *int32 `json:"aggregationLength,omitempty"`

	// aggregationLengthV6 is the same for IPv6. 1 to 128.
	// +optional
	// +kubebuilder:default=128
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=128
	AggregationLengthV6 *int32 `json:"aggregationLengthV6,omitempty"`

	// localPref is the LOCAL_PREF of the routes (RFC 4271 section 5.1.5), which
	// only peers of the same AS receive. 0 to 4294967295; 0 or absent: not set,
	// and routers take 100.
	// +optional
	// +kubebuilder:validation:Format=int64
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	LocalPref uint32 `json:"localPref,omitempty"`

	// communities are attached to the routes: standard ones as "65000:100" (RFC
	// 1997), large ones as "large:64500:1:2" (RFC 8092), or names that a
	// Community object defines. At most 253 of each kind.
	// +optional
	// +kubebuilder:validation:MaxItems=512
	// +kubebuilder:validation:items:MaxLength=512
	// +kubebuilder:validation:items:XValidation:rule="!self.matches('^[^:]*:[^:]*$') || self.matches('^0*(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4}):0*(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4})$')",message="invalid community value: invalid section: write two numbers of 0 to 65535, such as 65000:100"
	// +kubebuilder:validation:items:XValidation:rule="!self.matches('^large:[^:]*:[^:]*:[^:]*$') || self.matches('^large(:0*(429496729[0-5]|42949672[0-8][0-9]|4294967[01][0-9]{2}|429496[0-6][0-9]{3}|42949[0-5][0-9]{4}|4294[0-8][0-9]{5}|429[0-3][0-9]{6}|42[0-8][0-9]{7}|4[01][0-9]{8}|[1-3]?[0-9]{1,9})){3}$')",message="invalid community value: invalid section: write large: and three numbers of 0 to 4294967295, such as large:65000:1:100"
	// +kubebuilder:validation:items:XValidation:rule="self.startsWith('large:') || !self.matches('^[^:]*:[^:]*:[^:]*:[^:]*$')",message="invalid community value: expected community to be of format large:a:b:c"
	// +kubebuilder:validation:items:XValidation:rule="!self.contains(':') || self.matches('^[^:]*:[^:]*(:[^:]*:[^:]*)?$')",message="invalid community format: write a:b, large:a:b:c, or the name of an alias defined by a Community object"
	Communities []string `json:"communities,omitempty"`

	// ipAddressPools are names of IPAddressPools. With neither names nor
	// ipAddressPoolSelectors all pools are announced; with both, their union.
	// +optional
	IPAddressPools []string `json:"ipAddressPools,omitempty"`

	// ipAddressPoolSelectors select IPAddressPools by their labels. One that
	// matches is enough.
	// +optional
	IPAddressPoolSelectors []metav1.LabelSelector `json:"ipAddressPoolSelectors,omitempty"`

	// nodeSelectors select the nodes that announce, by their labels. One that
	// matches is enough. Empty: all nodes.
	// +optional
	NodeSelectors []metav1.LabelSelector `json:"nodeSelectors,omitempty"`

	// peers are names of the BGPPeers to announce to. Empty: all.
	// +optional
	Peers []string `json:"peers,omitempty"`

	// serviceSelectors select the Services that this is for, by their labels.
	// One that matches is enough. Empty: all Services of the pools. Not
	// together with aggregation.
	// +optional
	ServiceSelectors []metav1.LabelSelector `json:"serviceSelectors,omitempty"`
}

// BGPAdvertisementStatus is what became of a BGPAdvertisement.
type BGPAdvertisementStatus struct {
	ObjectStatus `json:",inline"`
}

// BGPAdvertisementList is a list of BGPAdvertisements.
//
// +kubebuilder:object:root=true
type BGPAdvertisementList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BGPAdvertisement `json:"items"`
}

// SPDX-License-Identifier: Apache-2.0

package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IPAddressPool is a set of addresses that Services of type LoadBalancer may get.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Auto Assign",type=boolean,JSONPath=`.spec.autoAssign`
// +kubebuilder:printcolumn:name="Avoid Buggy IPs",type=boolean,JSONPath=`.spec.avoidBuggyIPs`
// +kubebuilder:printcolumn:name="Addresses",type=string,JSONPath=`.spec.addresses`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type IPAddressPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the pool holds and who may use it.
	Spec IPAddressPoolSpec `json:"spec"`
	// status is written by the controller.
	// +optional
	Status IPAddressPoolStatus `json:"status,omitzero"`
}

// IPAddressPoolSpec is what a pool holds and who may use it.
type IPAddressPoolSpec struct {
	// addresses are the pool's addresses: prefixes ("192.0.2.0/24",
	// "2001:db8::/64"; a single address is a /32 or /128) and inclusive ranges
	// ("192.0.2.10-192.0.2.99"). IPv4 and IPv6 may be mixed. No address may be
	// in two pools: the older pool keeps it. At most 4096 entries.
	// +kubebuilder:validation:MaxItems=4096
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="size(self) > 0",message="is empty; write at least one CIDR (192.0.2.0/24) or range (192.0.2.10-192.0.2.20)"
	// +kubebuilder:validation:items:XValidation:rule="self.contains('-') || self.matches('^[[:space:]]*([0-9]{1,3}([.][0-9]{1,3}){3}/([12]?[0-9]|3[0-2])|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))[[:space:]]*$')",message="is not a CIDR; write a CIDR (192.0.2.0/24, 2001:db8::/64; 192.0.2.1/32 for one address) or a range (192.0.2.10-192.0.2.20)"
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('-') || self.matches('^[[:space:]]*([0-9]{1,3}([.][0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*)[[:space:]]*-[[:space:]]*([0-9]{1,3}([.][0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*)[[:space:]]*$')",message="is not a range of addresses; write a CIDR (192.0.2.0/24, 2001:db8::/64; 192.0.2.1/32 for one address) or a range (192.0.2.10-192.0.2.20)"
	// +kubebuilder:validation:items:XValidation:rule="self.contains(':') || !self.matches('(25[6-9]|2[6-9][0-9]|[3-9][0-9]{2})([-./[:space:]]|$)')",message="holds a number over 255, which is no part of an IPv4 address; write a CIDR (192.0.2.0/24, 2001:db8::/64; 192.0.2.1/32 for one address) or a range (192.0.2.10-192.0.2.20)"
	Addresses []string `json:"addresses"`

	// autoAssign says whether Services that name neither this pool nor an
	// address of it may get one.
	// +optional
	// +kubebuilder:default=true
	AutoAssign *bool `json:"autoAssign,omitempty"`

	// avoidBuggyIPs leaves out IPv4 addresses that end in .0 or .255, which
	// some old routers take for network and broadcast addresses.
	// +optional
	// +kubebuilder:default=false
	AvoidBuggyIPs bool `json:"avoidBuggyIPs,omitempty"`

	// serviceAllocation keeps the pool for some Services. Absent: it is for all.
	// +optional
	ServiceAllocation *ServiceAllocation `json:"serviceAllocation,omitempty"`
}

// ServiceAllocation says which Services may use a pool. A Service must meet both
// the namespace and the Service criterion; an absent criterion is met by all.
type ServiceAllocation struct {
	// priority among the pools that are kept for a Service: 1 is tried first,
	// larger numbers later, 0 (or absent) last.
	// +optional
	Priority int `json:"priority,omitempty"`

	// namespaces are names of namespaces whose Services may use the pool, in
	// addition to those that namespaceSelectors match.
	// +optional
	Namespaces []string `json:"namespaces,omitempty"`

	// namespaceSelectors select namespaces by their labels. One that matches
	// is enough.
	// +optional
	NamespaceSelectors []metav1.LabelSelector `json:"namespaceSelectors,omitempty"`

	// serviceSelectors select Services by their labels. One that matches is
	// enough.
	// +optional
	ServiceSelectors []metav1.LabelSelector `json:"serviceSelectors,omitempty"`
}

// IPAddressPoolStatus is what became of a pool, and how full it is.
type IPAddressPoolStatus struct {
	// assignedIPv4 is the number of IPv4 addresses that Services hold.
	// +optional
	AssignedIPv4 int64 `json:"assignedIPv4"`

	// assignedIPv6 is the number of IPv6 addresses that Services hold.
	// +optional
	AssignedIPv6 int64 `json:"assignedIPv6"`

	// availableIPv4 is the number of IPv4 addresses that are free.
	// +optional
	AvailableIPv4 int64 `json:"availableIPv4"`

	// availableIPv6 is the number of IPv6 addresses that are free; at most
	// 9223372036854775807.
	// +optional
	AvailableIPv6 int64 `json:"availableIPv6"`

	ObjectStatus `json:",inline"`
}

// IPAddressPoolList is a list of IPAddressPools.
//
// +kubebuilder:object:root=true
type IPAddressPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPAddressPool `json:"items"`
}

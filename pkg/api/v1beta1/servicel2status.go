// SPDX-License-Identifier: Apache-2.0

package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ServiceL2Status says that a node announces a Service's addresses by ARP and
// NDP. It is written by that node's speaker and has the labels metallb.io/node,
// metallb.io/service-name and metallb.io/service-namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Allocated Node",type=string,JSONPath=`.status.node`
// +kubebuilder:printcolumn:name="Service Name",type=string,JSONPath=`.status.serviceName`
// +kubebuilder:printcolumn:name="Service Namespace",type=string,JSONPath=`.status.serviceNamespace`
type ServiceL2Status struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is empty.
	// +optional
	Spec ServiceL2StatusSpec `json:"spec,omitzero"`
	// status is written by the speaker.
	// +optional
	Status ServiceL2StatusStatus `json:"status,omitzero"`
}

// ServiceL2StatusSpec is empty: the object is only a status.
type ServiceL2StatusSpec struct{}

// ServiceL2StatusStatus says who announces which Service.
type ServiceL2StatusStatus struct {
	// node that announces. Immutable.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="Value is immutable"
	Node string `json:"node,omitempty"`

	// serviceName is the name of the Service. Immutable.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="Value is immutable"
	ServiceName string `json:"serviceName,omitempty"`

	// serviceNamespace is the namespace of the Service. Immutable.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="Value is immutable"
	ServiceNamespace string `json:"serviceNamespace,omitempty"`

	// interfaces that the addresses are announced on. Empty: all.
	// +optional
	Interfaces []InterfaceInfo `json:"interfaces,omitempty"`

	// addresses that are announced, sorted. Absent in objects of MetalLB's own
	// speakers.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	Addresses []string `json:"addresses,omitempty"`
}

// InterfaceInfo names an interface.
type InterfaceInfo struct {
	// name of the interface.
	// +optional
	Name string `json:"name,omitempty"`
}

// ServiceL2StatusList is a list of ServiceL2Statuses.
//
// +kubebuilder:object:root=true
type ServiceL2StatusList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ServiceL2Status `json:"items"`
}

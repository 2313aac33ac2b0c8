// SPDX-License-Identifier: Apache-2.0

package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ServiceBGPStatus says to which BGPPeers a node means to announce a Service's
// addresses; it does not say that the sessions are up (see ConfigurationState).
// It is written by that node's speaker and has the labels metallb.io/node,
// metallb.io/service-name and metallb.io/service-namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.status.node`
// +kubebuilder:printcolumn:name="Service Name",type=string,JSONPath=`.status.serviceName`
// +kubebuilder:printcolumn:name="Service Namespace",type=string,JSONPath=`.status.serviceNamespace`
type ServiceBGPStatus struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is empty.
	// +optional
	Spec ServiceBGPStatusSpec `json:"spec,omitzero"`
	// status is written by the speaker.
	// +optional
	Status ServiceBGPStatusStatus `json:"status,omitzero"`
}

// ServiceBGPStatusSpec is empty: the object is only a status.
type ServiceBGPStatusSpec struct{}

// ServiceBGPStatusStatus says who announces which Service.
type ServiceBGPStatusStatus struct {
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

	// peers are the names of the BGPPeers, sorted.
	// +optional
	Peers []string `json:"peers,omitempty"`
}

// ServiceBGPStatusList is a list of ServiceBGPStatuses.
//
// +kubebuilder:object:root=true
type ServiceBGPStatusList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ServiceBGPStatus `json:"items"`
}

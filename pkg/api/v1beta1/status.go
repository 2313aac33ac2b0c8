// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ObjectStatus is the part of the status that all user-written kinds share.
type ObjectStatus struct {
	// conditions say what became of the object. Accepted: it is valid.
	// ResolvedRefs: what it names exists. Ready: what resolves is in force.
	// A BGPPeer also has Established: its sessions are up. Each message names
	// the field, its value and what would be right.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// lastAccepted is the newest spec that was valid. It stays in force while
	// the present spec is not. Written by the controller.
	// +optional
	LastAccepted *AcceptedSpec `json:"lastAccepted,omitempty"`
}

// AcceptedSpec is a copy of a spec that was valid.
// +structType=atomic
type AcceptedSpec struct {
	// generation is metadata.generation of the object when it had this spec.
	// +optional
	Generation int64 `json:"generation,omitempty"`

	// spec is the copy, without spec.password.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Spec runtime.RawExtension `json:"spec,omitempty"`
}

// SecretReference names a Secret.
// +structType=atomic
type SecretReference struct {
	// name of the Secret.
	// +optional
	Name string `json:"name,omitempty"`

	// namespace is ignored: the Secret is looked for in the namespace that
	// MetalLB runs in.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

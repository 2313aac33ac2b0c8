// SPDX-License-Identifier: Apache-2.0

package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// BFDProfile holds the settings of the BFD sessions (RFC 5880) of the BGPPeers
// that name it. BFD tells within milliseconds that a router is gone.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Passive Mode",type=boolean,JSONPath=`.spec.passiveMode`
// +kubebuilder:printcolumn:name="Transmit Interval",type=string,JSONPath=`.spec.transmitInterval`
// +kubebuilder:printcolumn:name="Receive Interval",type=string,JSONPath=`.spec.receiveInterval`
// +kubebuilder:printcolumn:name="Multiplier",type=integer,JSONPath=`.spec.detectMultiplier`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type BFDProfile struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec holds the settings. Empty: FRR's defaults.
	// +optional
	Spec BFDProfileSpec `json:"spec,omitzero"`
	// status is written by the controller.
	// +optional
	Status BFDProfileStatus `json:"status,omitzero"`
}

// BFDProfileSpec holds the settings of BFD sessions. An absent field leaves the
// default of FRR.
type BFDProfileSpec struct {
	// receiveInterval is the shortest interval between control packets that
	// this side can receive. An integer of milliseconds (300) or a duration
	// ("300ms"); 10 ms to 60 s. Absent: 300.
	// +optional
	ReceiveInterval *Milliseconds `json:"receiveInterval,omitempty"`

	// transmitInterval is the shortest interval between control packets that
	// this side wants to send. An integer of milliseconds (300) or a duration
	// ("300ms"); 10 ms to 60 s. Absent: 300.
	// +optional
	TransmitInterval *Milliseconds `json:"transmitInterval,omitempty"`

	// detectMultiplier is the number of packets that may be missing: the
	// router takes this node for gone after so many transmit intervals. 2 to
	// 255. Absent: 3.
	// +optional
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=255
	DetectMultiplier *uint32 `json:"detectMultiplier,omitempty"`

	// echoInterval is the interval between echo packets, in echo mode. An
	// integer of milliseconds (50) or a duration ("50ms"); 10 ms to 60 s.
	// Absent: 50.
	// +optional
	EchoInterval *Milliseconds `json:"echoInterval,omitempty"`

	// echoMode also sends packets that the router is to send back. Only for
	// routers on a shared link, and not for IPv6. Absent: false.
	// +optional
	EchoMode *bool `json:"echoMode,omitempty"`

	// passiveMode waits for the router to start the session. Absent: false.
	// +optional
	PassiveMode *bool `json:"passiveMode,omitempty"`

	// minimumTtl is the least TTL of packets from routers that are several
	// hops away (RFC 5883): 254 allows one router in between. 1 to 254.
	// Absent: 254.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=254
	MinimumTTL *uint32 `json:"minimumTtl,omitempty"`
}

// BFDProfileStatus is what became of a BFDProfile.
type BFDProfileStatus struct {
	ObjectStatus `json:",inline"`
}

// BFDProfileList is a list of BFDProfiles.
//
// +kubebuilder:object:root=true
type BFDProfileList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BFDProfile `json:"items"`
}

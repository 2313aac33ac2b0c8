// SPDX-License-Identifier: Apache-2.0

package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ConfigurationState is what the controller, or the speaker of one node, has to
// say about the configuration. Each writes its own object and nobody else's:
// "controller", or "speaker-" and the node's name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Result",type=string,JSONPath=`.status.result`
// +kubebuilder:printcolumn:name="ErrorSummary",type=string,JSONPath=`.status.errorSummary`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ConfigurationState struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// status is all there is: the object has no spec.
	// +optional
	Status ConfigurationStateStatus `json:"status,omitzero"`
}

// ConfigurationResult is the verdict on a configuration.
//
// +kubebuilder:validation:Enum=Valid;Invalid;Unknown
type ConfigurationResult string

// The verdicts.
const (
	ConfigurationValid   ConfigurationResult = "Valid"
	ConfigurationInvalid ConfigurationResult = "Invalid"
	ConfigurationUnknown ConfigurationResult = "Unknown"
)

// ConfigurationStateStatus is the state of the configuration as its writer sees
// it.
type ConfigurationStateStatus struct {
	// result is Invalid where some object is not valid, Valid where all are,
	// Unknown as long as nothing has been read.
	// +optional
	Result ConfigurationResult `json:"result,omitempty"`

	// errorSummary holds the messages of what is wrong, a line each. Empty
	// where result is not Invalid.
	// +optional
	ErrorSummary string `json:"errorSummary,omitempty"`

	// conditions are poolReconcilerValid (the controller's), or
	// configReconcilerValid, inService and frrInSync (a speaker's).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// refused are the lines of the node's FRR configuration that FRR did not
	// take. Everything else is in force.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	Refused []RefusedLine `json:"refused,omitempty"`

	// sessions are the node's BGP sessions.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	Sessions []SessionStatus `json:"sessions,omitempty"`

	// links are the node's interfaces that can announce addresses. Absent: not
	// known; empty: it has none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	Links []Link `json:"links,omitzero"`

	// foreign are addresses that the node was to announce in layer 2 and does
	// not, because a station that is no speaker has them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	Foreign []ForeignOwner `json:"foreign,omitempty"`
}

// RefusedLine is a line of FRR configuration that FRR did not take.
type RefusedLine struct {
	// line as it was given to FRR, without passwords.
	Line string `json:"line"`

	// message is FRR's answer.
	// +optional
	Message string `json:"message,omitempty"`

	// objects are those that the line was made from.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Objects []ObjectReference `json:"objects,omitempty"`
}

// ObjectReference names an object in the namespace that MetalLB runs in.
type ObjectReference struct {
	// kind, such as BGPPeer.
	Kind string `json:"kind"`

	// namespace of the object. Empty: that of the ConfigurationState.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// name of the object.
	Name string `json:"name"`
}

// SessionState says whether a BGP session is up.
//
// +kubebuilder:validation:Enum=Established;Down
type SessionState string

// The states of a session.
const (
	SessionEstablished SessionState = "Established"
	SessionDown        SessionState = "Down"
)

// SessionStatus is one BGP session of a node.
type SessionStatus struct {
	// peer is the name of the BGPPeer.
	Peer string `json:"peer"`

	// address of the router, or the interface of an unnumbered session.
	// +optional
	Address string `json:"address,omitempty"`

	// vrf that hosts the session. Empty: the main one.
	// +optional
	VRF string `json:"vrf,omitempty"`

	// state is Established while routes can be exchanged, else Down.
	State SessionState `json:"state"`

	// since is when the session came into this state.
	// +optional
	Since metav1.Time `json:"since,omitzero"`

	// reason of the session's last end. Empty while it is established.
	// +optional
	Reason string `json:"reason,omitempty"`

	// lastDown is when the session was lost last, also while it is established
	// again. Absent: it never was, as far as is known.
	// +optional
	LastDown metav1.Time `json:"lastDown,omitzero"`

	// lastReason is why the session was lost at lastDown.
	// +optional
	LastReason string `json:"lastReason,omitempty"`

	// bfd is the state of its BFD session (up, down, init, admin-down). Empty:
	// it has none.
	// +optional
	BFD string `json:"bfd,omitempty"`
}

// Link is an interface of a node.
type Link struct {
	// name of the interface.
	Name string `json:"name"`

	// mac is its hardware address, as in 02:00:5e:10:00:00.
	// +optional
	MAC string `json:"mac,omitempty"`

	// prefixes are its addresses with their prefix lengths, as in
	// 192.0.2.1/24.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	Prefixes []string `json:"prefixes,omitempty"`
}

// ForeignOwner is a station in the network, no speaker, that has an address.
type ForeignOwner struct {
	// address that it has.
	Address string `json:"address"`

	// mac is its hardware address, as in 02:00:5e:10:00:00.
	MAC string `json:"mac"`

	// interface of the node that it was heard on.
	// +optional
	Interface string `json:"interface,omitempty"`

	// since is when it was first heard.
	// +optional
	Since metav1.Time `json:"since,omitzero"`
}

// ConfigurationStateList is a list of ConfigurationStates.
//
// +kubebuilder:object:root=true
type ConfigurationStateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ConfigurationState `json:"items"`
}

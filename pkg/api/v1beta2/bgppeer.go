// SPDX-License-Identifier: Apache-2.0

package v1beta2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// BGPPeer is a router that nodes hold a BGP session with.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.peerAddress`
// +kubebuilder:printcolumn:name="ASN",type=string,JSONPath=`.spec.peerASN`
// +kubebuilder:printcolumn:name="BFD Profile",type=string,JSONPath=`.spec.bfdProfile`
// +kubebuilder:printcolumn:name="Multi Hops",type=string,JSONPath=`.spec.ebgpMultiHop`
// +kubebuilder:printcolumn:name="Established",type=string,JSONPath=`.status.sessions.summary`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type BGPPeer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the router and the sessions with it.
	Spec BGPPeerSpec `json:"spec"`
	// status is written by the controller.
	// +optional
	Status BGPPeerStatus `json:"status,omitzero"`
}

// BGPPeerSpec describes a router and the sessions with it.
//
// +kubebuilder:validation:XValidation:rule="(has(self.enableGracefulRestart) && self.enableGracefulRestart) == (has(oldSelf.enableGracefulRestart) && oldSelf.enableGracefulRestart)",message="EnableGracefulRestart cannot be changed after creation"
// +kubebuilder:validation:XValidation:rule="(has(self.peerASN) && self.peerASN != 0) || has(self.dynamicASN)",message="peerASN is missing; write the router's AS number, 1 to 4294967295, or set dynamicASN to internal or external"
// +kubebuilder:validation:XValidation:rule="!((has(self.peerASN) && self.peerASN != 0) && has(self.dynamicASN))",message="peerASN and dynamicASN exclude each other; keep one of the two"
// +kubebuilder:validation:XValidation:rule="(has(self.peerAddress) && size(self.peerAddress) > 0) || (has(self.interface) && size(self.interface) > 0)",message="invalid BGPPeer address: missing; write the router's IPv4 or IPv6 address as peerAddress, or the interface of an unnumbered session"
// +kubebuilder:validation:XValidation:rule="!((has(self.peerAddress) && size(self.peerAddress) > 0) && (has(self.interface) && size(self.interface) > 0))",message="peerAddress and interface exclude each other; keep one of the two"
// +kubebuilder:validation:XValidation:rule="!(has(self.ebgpMultiHop) && self.ebgpMultiHop && !has(self.dynamicASN) && has(self.peerASN) && self.peerASN == self.myASN)",message="ebgpMultiHop is for eBGP, and peerASN and myASN are the same; remove it: iBGP sessions may span hops anyway"
// +kubebuilder:validation:XValidation:rule="!(has(self.password) && size(self.password) > 0 && has(self.passwordSecret) && has(self.passwordSecret.name) && size(self.passwordSecret.name) > 0)",message="password and passwordSecret exclude each other; keep the secret and remove the password"
// +kubebuilder:validation:XValidation:rule="!has(self.holdTime) || !has(self.keepaliveTime) || !self.holdTime.matches('^(0|([0-9]+([.][0-9]*)?(ns|us|ms|s|m|h))+)$') || !self.keepaliveTime.matches('^(0|([0-9]+([.][0-9]*)?(ns|us|ms|s|m|h))+)$') || duration(self.keepaliveTime) <= duration(self.holdTime)",message="keepaliveTime must be at most holdTime; a third of it is usual"
type BGPPeerSpec struct {
	// myASN is the AS number of the nodes' end of the session. 1 to
	// 4294967295. All peers of a node in the same VRF must have the same.
	// +kubebuilder:validation:Format=int64
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	// +kubebuilder:validation:XValidation:rule="self != 0",message="0 is reserved; write the cluster's AS number, 1 to 4294967295 (private: 64512 to 65534)"
	MyASN uint32 `json:"myASN"`

	// peerASN is the AS number of the router. 1 to 4294967295. Absent where
	// dynamicASN is set.
	// +optional
	// +kubebuilder:validation:Format=int64
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	PeerASN uint32 `json:"peerASN,omitempty"`

	// localASN is the AS number shown to this router in place of myASN. 1 to
	// 4294967295. Absent: myASN.
	// +optional
	// +kubebuilder:validation:Format=int64
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	LocalASN uint32 `json:"localASN,omitempty"`

	// dynamicASN accepts any AS number from the router that is equal to myASN
	// (internal) or different from it (external), in place of peerASN.
	// +optional
	DynamicASN v1beta1.DynamicASN `json:"dynamicASN,omitempty"`

	// peerAddress is the router's IPv4 or IPv6 address. Absent where interface
	// is set.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.matches('^((((2[0-4]|1[0-9]|[1-9]?)[0-9]|25[0-5])[.]){3}((2[0-4]|1[0-9]|[1-9]?)[0-9]|25[0-5])|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$')",message="invalid BGPPeer address; write one IPv4 or IPv6 address, such as 192.0.2.1 or 2001:db8::1"
	PeerAddress string `json:"peerAddress,omitempty"`

	// interface is the name of the nodes' interface to the router, for an
	// unnumbered session: the router is found by its IPv6 link-local address,
	// and routes of both address families are exchanged. In place of
	// peerAddress.
	// +optional
	Interface string `json:"interface,omitempty"`

	// sourceAddress is the nodes' address of the TCP session. Absent: the
	// kernel chooses.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.matches('^((((2[0-4]|1[0-9]|[1-9]?)[0-9]|25[0-5])[.]){3}((2[0-4]|1[0-9]|[1-9]?)[0-9]|25[0-5])|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$')",message="write an address of the node, of the same family as peerAddress"
	SourceAddress string `json:"sourceAddress,omitempty"`

	// peerPort is the router's TCP port. 1 to 16384.
	// +optional
	// +kubebuilder:default=179
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16384
	PeerPort uint16 `json:"peerPort,omitempty"`

	// holdTime is how long the session outlives silence from the router (RFC
	// 4271 section 4.2), as a duration of whole seconds such as 90s: 0s, which
	// turns the timers off, or 3s to 65535s. Absent: three times
	// keepaliveTime, or FRR's default of 180s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]+([.][0-9]*)?(ns|us|ms|s|m|h))+)$') && duration(self) <= duration('65535s')",message="must be a duration of 0s to 65535s, such as 90s"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^(0|([0-9]+([.][0-9]*)?(ns|us|ms|s|m|h))+)$') || duration(self) < duration('1s') || duration(self) >= duration('3s')",message="must be 0s (never expires), or 3s to 65535s (RFC 4271)"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	HoldTime *metav1.Duration `json:"holdTime,omitempty"`

	// keepaliveTime is the interval between keepalive messages, as a duration
	// such as 30s; at most holdTime. Absent: a third of holdTime, or FRR's
	// default of 60s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]+([.][0-9]*)?(ns|us|ms|s|m|h))+)$') && duration(self) <= duration('65535s')",message="must be a duration of 0s to 65535s, such as 30s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	KeepaliveTime *metav1.Duration `json:"keepaliveTime,omitempty"`

	// connectTime is how long FRR waits between attempts to connect to the
	// router, as a duration of whole seconds such as 10s: 1s to 65535s.
	// Absent: 1s, so that a router that comes back is greeted at once.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]*)?(ns|us|ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('65535s')",message="connect time must be a duration of 1s to 65535s, such as 10s"
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]+([.][0-9]*)?(ns|us|ms|s|m|h))+$') || timestamp(0) + duration(self) == timestamp(duration(self).getSeconds())",message="connect time must be whole seconds, such as 10s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	ConnectTime *metav1.Duration `json:"connectTime,omitempty"`

	// routerID is the BGP identifier of the node (RFC 4271 section 4.2),
	// written as an IPv4 address. Absent: FRR takes one of the node's
	// addresses. All peers of a node must have the same.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.matches('^((((2[0-4]|1[0-9]|[1-9]?)[0-9]|25[0-5])[.]){3}((2[0-4]|1[0-9]|[1-9]?)[0-9]|25[0-5])|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$')",message="write it as an IPv4 address, such as 192.0.2.1; it identifies the node and need not be reachable"
	RouterID string `json:"routerID,omitempty"`

	// nodeSelectors select the nodes that hold a session with the router, by
	// their labels. One that matches is enough. Empty: all nodes.
	// +optional
	NodeSelectors []metav1.LabelSelector `json:"nodeSelectors,omitempty"`

	// password signs the session's TCP segments with MD5 (RFC 2385). Everyone
	// who may read this object can read it: passwordSecret is better. Not
	// together with passwordSecret.
	// +optional
	Password string `json:"password,omitempty"`

	// passwordSecret names a Secret of type kubernetes.io/basic-auth in the
	// namespace that MetalLB runs in; its key "password" is the password.
	// +optional
	PasswordSecret v1beta1.SecretReference `json:"passwordSecret,omitzero"`

	// bfdProfile is the name of the BFDProfile for this session. Absent: no
	// BFD. The router needs BFD too.
	// +optional
	BFDProfile string `json:"bfdProfile,omitempty"`

	// enableGracefulRestart asks the router to keep forwarding while the
	// node's BGP daemon restarts (RFC 4724). Cannot be changed after creation.
	// +optional
	EnableGracefulRestart bool `json:"enableGracefulRestart,omitempty"`

	// ebgpMultiHop allows a router of another AS to be more than one hop away.
	// +optional
	EBGPMultiHop bool `json:"ebgpMultiHop,omitempty"`

	// vrf is the Linux VRF that hosts the session. Absent: the main one.
	// +optional
	VRF string `json:"vrf,omitempty"`

	// disableMP has no effect and will be removed: see dualStackAddressFamily.
	// +optional
	DisableMP bool `json:"disableMP,omitempty"`

	// dualStackAddressFamily exchanges both IPv4 and IPv6 routes over this
	// session. Absent: only those of the family of peerAddress.
	// +optional
	DualStackAddressFamily bool `json:"dualStackAddressFamily,omitempty"`
}

// BGPPeerStatus is what became of a BGPPeer.
type BGPPeerStatus struct {
	v1beta1.ObjectStatus `json:",inline"`

	// sessions sums up the nodes' sessions with this router. Absent: no node
	// is to have one.
	// +optional
	Sessions *v1beta1.BGPPeerSessions `json:"sessions,omitempty"`
}

// BGPPeerList is a list of BGPPeers.
//
// +kubebuilder:object:root=true
type BGPPeerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BGPPeer `json:"items"`
}

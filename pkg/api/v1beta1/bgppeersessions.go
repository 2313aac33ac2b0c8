// SPDX-License-Identifier: Apache-2.0

package v1beta1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// BGPPeerSessions sums up what the speakers of all nodes report of their sessions
// with one router. A node that is not ready counts as expected and nowhere else.
// +structType=atomic
type BGPPeerSessions struct {
	// summary is established/expected, such as 3/3.
	// +optional
	Summary string `json:"summary,omitempty"`

	// expected is the number of nodes that are to have the session: those that
	// nodeSelectors select.
	Expected int32 `json:"expected"`

	// established is the number of nodes that have it.
	Established int32 `json:"established"`

	// since is when a node's session last came up or went down: what the other
	// fields say holds since then.
	// +optional
	Since metav1.Time `json:"since,omitzero"`

	// lastDown is the last time that a node lost its session, also where it
	// has it again. Absent: none has, as far as is known.
	// +optional
	LastDown *BGPPeerSessionEnd `json:"lastDown,omitempty"`

	// bfdUp is the number of nodes whose BFD session with the router is up.
	// +optional
	BFDUp int32 `json:"bfdUp,omitempty"`

	// bfdDown is the number of nodes that are to have a BFD session with the
	// router and on which it is not up.
	// +optional
	BFDDown int32 `json:"bfdDown,omitempty"`
}

// BGPPeerSessionEnd is the end of a session on a node.
// +structType=atomic
type BGPPeerSessionEnd struct {
	// node that lost the session.
	Node string `json:"node"`

	// time at which it did.
	Time metav1.Time `json:"time"`

	// reason is what was seen on the session, such as an expired hold timer or
	// the router's own words.
	// +optional
	Reason string `json:"reason,omitempty"`
}

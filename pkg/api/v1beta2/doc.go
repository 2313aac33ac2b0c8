// SPDX-License-Identifier: Apache-2.0

// Package v1beta2 holds the kinds of API group metallb.io, version v1beta2: only
// BGPPeer, whose older version is in package v1beta1.
//
// It is vocabulary: types, their schema markers, and values that can be parsed
// and printed. No clients, no I/O, no decisions.
//
// The JSON of both versions of BGPPeer is compatible, so the API server needs no
// conversion: a field must have the same name, type and meaning in both, and be
// added to both.
//
// +kubebuilder:object:generate=true
// +groupName=metallb.io
package v1beta2

// SPDX-License-Identifier: Apache-2.0

// Package v1beta1 holds the kinds of API group metallb.io, version v1beta1, and
// the names (annotations, labels, condition types) that belong to the API.
//
// It is vocabulary: types, their schema markers, and values that can be parsed
// and printed. No clients, no I/O, no decisions. What the schema cannot say is
// judged by package intent.
//
// The API server keeps every object as it was written; nothing is converted. The
// comments of the fields become the text of "kubectl explain" and of the API
// reference.
//
// +kubebuilder:object:generate=true
// +groupName=metallb.io
package v1beta1

// SPDX-License-Identifier: Apache-2.0

// Package intent turns what the cluster says (a Snapshot) into what is meant (an
// Intent) and a list of Findings about what is wrong with it.
//
// Resolve validates each object by itself and then against the objects that it
// names or contradicts. One bad object costs that object alone: it becomes a
// Finding, and everything that does not depend on it stays in the Intent. When
// two objects contradict each other the older one stands.
//
// The package is pure: no I/O, no clock, no logging, no Kubernetes client. It
// neither assigns addresses (package ipam) nor decides what a node announces
// (package plan).
package intent

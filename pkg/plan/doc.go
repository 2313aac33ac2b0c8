// SPDX-License-Identifier: Apache-2.0

// Package plan decides what one node does: which BGP sessions it opens and which
// routes it announces on them, which addresses it announces in layer 2, and why.
//
// ForNode turns an Intent and the facts about a node into a NodePlan and, for each
// protocol, one Decision per Service. In layer 2 every node holds the same election
// for every address and comes to the same result; only who is alive each knows for
// itself. ForNodes says of each Service which nodes announce it and to whom, and why
// none does; Candidates which nodes could in layer 2. Check says what
// contradicts itself between objects that meet on a node or in a prefix.
// The package knows nothing of FRR's syntax (package frr), of
// sockets or of Kubernetes clients; it is pure, and the same input gives the same
// plan on every node and in every process.
package plan

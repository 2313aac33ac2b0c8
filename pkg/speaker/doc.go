// SPDX-License-Identifier: Apache-2.0

// Package speaker is the node loop: from a Snapshot of the cluster to what the
// node announces.
//
// A pass reads the Snapshot, resolves it, plans this node, builds FRR's
// configuration and applies it. It starts at once on an event and folds in what
// arrived meanwhile; there is no timer before it. What was decided and what
// became of it goes to the node's own ConfigurationState, to metrics and to the
// log, beside the loop and never in its way.
//
// Beside passes the loop compares FRR with what it configured, undoes what others
// did there unless an operator has paused that, and reports it.
//
// The package wires the core to the drivers. It decides nothing that the core
// could decide, and it writes no object but its own.
package speaker

// SPDX-License-Identifier: Apache-2.0

// Package controller is the cluster loop: it gives Services their addresses, and
// says on every object that users write what became of it.
//
// A pass reads a Snapshot, resolves it, assigns addresses and hands over what
// differs from the Snapshot. It starts at once when something changes; what
// changes during a pass is the next one. Writing happens beside it: Services
// first, conditions and counters on their own, so that no allocation ever waits
// for them.
//
// Only the leader runs it: but for Admission and the Webhook that serves it with a
// certificate of its own (hack/adr/0016), which answer the API server in every replica,
// nothing here may be started twice in a cluster. Loop and webhook wait for each other in
// nothing.
//
// It decides nothing that package intent, plan, ipam or status can decide, and it speaks
// to Kubernetes only through package cluster.
package controller

// SPDX-License-Identifier: Apache-2.0

// Package ipam assigns addresses from pools to Services.
//
// Assign re-establishes what Services already hold before it gives anything new,
// and never gives an address twice, but to Services that may share it. A Service
// keeps its addresses for as long as the configuration allows them, and remembers
// those that an edit of the pools takes away; the order in which Services are read
// decides nothing.
//
// The package is pure: the same arguments give the same result, without a clock,
// I/O or logging. It says why a Service has no address in a Reason and a
// sentence; whoever calls it writes the outcomes to the cluster. It neither
// validates pools (package intent) nor decides who announces what (package plan).
package ipam

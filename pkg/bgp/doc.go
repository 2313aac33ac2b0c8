// SPDX-License-Identifier: Apache-2.0

// Package bgp holds the values of the Border Gateway Protocol that the rest of
// the product speaks in: address families, communities, and passwords that
// cannot be printed.
//
// It is vocabulary: pure values with parsing and formatting. No I/O, no clock,
// no Kubernetes, no FRR syntax (that is package frr). Apart from frr/bmp and the
// end-to-end tests it is the only importer of gobgp's packet library.
package bgp

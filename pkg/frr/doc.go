// SPDX-License-Identifier: Apache-2.0

// Package frr writes FRR's configuration and reads its state.
//
// Build renders a NodePlan into a Document: fragments of frr.conf, each made by
// one template and each knowing the objects that it comes from. Diff gives the
// commands that lead from one Document to another. FromJSON decodes what the
// daemons say of sessions.
//
// The package is pure: templates come from package frr-templates, and what talks
// to FRR are the drivers frr/vtysh and frr/bmp.
package frr

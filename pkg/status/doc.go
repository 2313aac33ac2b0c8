// SPDX-License-Identifier: Apache-2.0

// Package status says what the product's decisions mean to the reader of an
// object: it turns Findings, Outcomes, Decisions, Applied and SessionStates into
// conditions and status objects.
//
// It is pure. It does not write: package cluster does, and only what differs.
package status

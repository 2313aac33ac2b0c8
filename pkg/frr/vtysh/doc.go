// SPDX-License-Identifier: Apache-2.0

// Package vtysh gives FRR its configuration and asks it questions, by one
// long-lived vtysh process that is fed over a pipe.
//
// A Driver takes the whole desired Document, works out the difference to what is
// in force and types only that. Each answer is attributed to the line that
// caused it. After each accepted load it keeps frr.conf up to date, so that an
// FRR that restarts alone comes back with everything.
//
// What others do to FRR's configuration is found by Drift and undone by Repair,
// which types the same kind of delta. Watch hears the end of each daemon.
//
// vtysh's own behaviour decides much of the code (observed with FRR 10.3):
//
//   - Each line comes back as "<prompt><line>", followed by what FRR said. The
//     prompt names the configuration node. A line that a node does not know is
//     tried in the nodes above, so a line may silently leave its node.
//   - Refusals begin with "% ". A "router bgp" line with a wrong AS number is
//     refused without: only the prompt tells.
//   - "?" asks for help and a tab completes, also on a pipe: the former is
//     quoted with control-V, control characters are refused.
//   - A vtysh that was connected to a daemon warns when it is gone and connects
//     again; one that was started while a daemon was down never does, and
//     "show running-config" then leaves that daemon's part out without a word.
//   - mgmtd fails on an assertion when a session goes on after a transaction of
//     its own was rejected, so such a session is ended.
//
// The package knows no Kubernetes and decides nothing about content.
package vtysh

// SPDX-License-Identifier: Apache-2.0

// Package members says which speakers are alive, without the API server. Each is
// a member of one hashicorp/memberlist (SWIM with the Lifeguard extensions) under
// its node's name; and each sends heartbeats to three others in a ring, which tell
// everybody within the second when they stop.
//
// It is a driver: it owns the sockets. It knows no Kubernetes: where peers may be
// is given to Join. What it says of a member is what this node believes; two
// nodes may believe different things for a moment, or for as long as the network
// between them is cut.
package members

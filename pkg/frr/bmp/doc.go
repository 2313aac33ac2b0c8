// SPDX-License-Identifier: Apache-2.0

// Package bmp listens to what bgpd says of its sessions over the BGP Monitoring
// Protocol (RFC 7854): bgpd connects to us and pushes each session's beginning
// and end, with the reason, within milliseconds; at each new connection it tells
// the state of all.
//
// It is a driver: it owns the socket and decodes. It keeps no session's history,
// asks bgpd nothing, and never makes bgpd wait: to a consumer that is slow it
// tells the latest state of each session.
package bmp

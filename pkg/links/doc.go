// SPDX-License-Identifier: Apache-2.0

// Package links knows this node's network interfaces: Watch tells what they are,
// and again each time that something of it changes, Answers says on which of them
// ARP and NDP can be answered and why not on the others, and Exclusion is the
// operator's list of those to leave alone.
//
// It is a driver: it asks the kernel over rtnetlink (rtnetlink(7)) and reads the
// list from its file. A message from the kernel only says which interface to look
// at again; what is reported is read afterwards, so that a message that was lost
// or came late cannot leave a wrong picture behind. Nothing is polled. It needs no
// capability, opens no socket on an interface, changes none, and knows nothing of
// Services.
package links

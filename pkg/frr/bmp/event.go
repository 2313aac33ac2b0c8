// SPDX-License-Identifier: Apache-2.0

package bmp

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	packet "github.com/osrg/gobgp/v3/pkg/packet/bmp"
)

// Kind says what an Event reports.
type Kind uint8

const (
	// Connected: bgpd has connected; the state of all its sessions follows.
	Connected Kind = iota + 1
	// Disconnected: the connection has ended, as it does when bgpd dies.
	Disconnected
	// Up: a session is established.
	Up
	// Down: a session has ended, or, after Connected, is not established.
	Down
)

// String returns the kind in lower case.
func (k Kind) String() string {
	switch k {
	case Connected:
		return "connected"
	case Disconnected:
		return "disconnected"
	case Up:
		return "up"
	case Down:
		return "down"
	}
	return "none"
}

// Event is one thing that bgpd reported, or the beginning or end of its reports.
// Connected and Disconnected say nothing of a session.
type Event struct {
	Kind Kind
	// Peer is the neighbour's address. A neighbour on an interface has its
	// link-local address, without zone; in Down it is invalid where bgpd does
	// not know it yet, or any more, as after the loss of the interface.
	Peer netip.Addr
	// Instance tells BGP instances apart: the peer distinguisher, 0 for the
	// default VRF.
	Instance uint64
	// VRF: the session is of another BGP instance than the default VRF's. FRR
	// does not say of which.
	VRF bool
	// ASN and RouterID are the neighbour's; 0 and invalid before it has said.
	ASN      uint32
	RouterID netip.Addr
	// Local is our address of the session; only in Up.
	Local netip.Addr
	// Reason says in words why the session is down, in Down, or why the
	// connection ended, in Disconnected.
	Reason string
	// At is when the report arrived: bgpd's own time stamps may be minutes off.
	At time.Time
}

// session is what events are told apart by.
type session struct {
	peer     netip.Addr
	instance uint64
	vrf      bool
}

func (e Event) session() session { return session{e.Peer, e.Instance, e.VRF} }

// decode reads one message, which has a whole common header. ok is false for one
// that reports no session. A report whose body cannot be read is a report all
// the same.
func decode(data []byte, at time.Time) (e Event, ok bool) {
	kind := data[5]
	if kind != packet.BMP_MSG_PEER_UP_NOTIFICATION && kind != packet.BMP_MSG_PEER_DOWN_NOTIFICATION {
		return Event{}, false
	}
	var h packet.BMPPeerHeader
	if len(data) < packet.BMP_HEADER_SIZE+packet.BMP_PEER_HEADER_SIZE || h.DecodeFromBytes(data[packet.BMP_HEADER_SIZE:]) != nil {
		return Event{}, false
	}
	if h.PeerType == packet.BMP_PEER_TYPE_LOCAL_RIB {
		return Event{}, false // bgpd's own table, not a neighbour
	}
	e = Event{Kind: Up, Instance: h.PeerDistinguisher, VRF: h.PeerType != packet.BMP_PEER_TYPE_GLOBAL, ASN: h.PeerAS, At: at}
	if kind == packet.BMP_MSG_PEER_DOWN_NOTIFICATION {
		e.Kind = Down
	}
	e.Peer = address(h.PeerAddress)
	if e.Peer.IsUnspecified() {
		if e.Kind == Up {
			return Event{}, false
		}
		e.Peer = netip.Addr{}
	}
	if e.RouterID = address(h.PeerBGPID); e.RouterID.IsValid() && e.RouterID.IsUnspecified() {
		e.RouterID = netip.Addr{}
	}
	e.fill(data)
	return e, true
}

// fill adds what the message's body says.
func (e *Event) fill(data []byte) {
	defer func() {
		if p := recover(); p != nil && e.Kind == Down {
			e.Reason = "no reason that can be read" // the decoder trusts lengths
		}
	}()
	msg, err := packet.ParseBMPMessage(data)
	switch {
	case err == nil && e.Kind == Up:
		e.Local = address(msg.Body.(*packet.BMPPeerUpNotification).LocalAddress)
	case err == nil:
		e.Reason = downReason(msg.Body.(*packet.BMPPeerDownNotification))
	case e.Kind == Down:
		e.Reason = "no reason that can be read: " + err.Error()
	}
}

func address(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// downReason puts the reason codes of RFC 7854 section 4.9 into words.
func downReason(d *packet.BMPPeerDownNotification) string {
	switch d.Reason {
	case packet.BMP_PEER_DOWN_REASON_LOCAL_BGP_NOTIFICATION:
		return "we sent NOTIFICATION " + notification(d.BGPNotification)
	case packet.BMP_PEER_DOWN_REASON_LOCAL_NO_NOTIFICATION:
		if len(d.Data) >= 2 && (d.Data[0] != 0 || d.Data[1] != 0) {
			return "closed by us: " + fsmEvent(binary.BigEndian.Uint16(d.Data))
		}
		// FRR's bgpd says no more of an interface that went down.
		return "closed by us; bgpd gives no cause"
	case packet.BMP_PEER_DOWN_REASON_REMOTE_BGP_NOTIFICATION:
		return "peer sent NOTIFICATION " + notification(d.BGPNotification)
	case packet.BMP_PEER_DOWN_REASON_REMOTE_NO_NOTIFICATION:
		return "connection lost without NOTIFICATION"
	case packet.BMP_PEER_DOWN_REASON_PEER_DE_CONFIGURED:
		return "no longer configured"
	}
	return fmt.Sprintf("reason code %d", d.Reason)
}

// fsmEvent names the events of RFC 4271 section 8.1 that end a session.
func fsmEvent(code uint16) string {
	switch code {
	case 2:
		return "manual stop"
	case 8:
		return "automatic stop"
	case 10:
		return "hold timer expired"
	case 18:
		return "TCP connection fails"
	}
	return fmt.Sprintf("FSM event %d", code)
}

// notification names a NOTIFICATION by code and subcode (RFC 4271 section 4.5,
// RFC 4486, RFC 8538, RFC 9384).
func notification(m *bgp.BGPMessage) string {
	if m == nil {
		return "without content"
	}
	n, ok := m.Body.(*bgp.BGPNotification)
	if !ok {
		return "without content"
	}
	name, known := codes[n.ErrorCode]
	if !known {
		return fmt.Sprintf("%d/%d", n.ErrorCode, n.ErrorSubcode)
	}
	if sub, known := subcodes[[2]uint8{n.ErrorCode, n.ErrorSubcode}]; known {
		return name + "/" + sub + communication(n)
	}
	if n.ErrorSubcode != 0 {
		return fmt.Sprintf("%s/%d", name, n.ErrorSubcode)
	}
	return name
}

// communication is the text that an operator gave to a shutdown or reset
// (RFC 9003), quoted.
func communication(n *bgp.BGPNotification) string {
	if n.ErrorCode != 6 || n.ErrorSubcode != 2 && n.ErrorSubcode != 4 || len(n.Data) < 2 {
		return ""
	}
	length := int(n.Data[0])
	if length == 0 || length > len(n.Data)-1 {
		return ""
	}
	return fmt.Sprintf(" (%q)", n.Data[1:1+length])
}

var codes = map[uint8]string{
	1: "Message Header Error", 2: "OPEN Message Error", 3: "UPDATE Message Error",
	4: "Hold Timer Expired", 5: "Finite State Machine Error", 6: "Cease", 7: "ROUTE-REFRESH Message Error",
}

var subcodes = map[[2]uint8]string{
	{2, 1}: "Unsupported Version Number", {2, 2}: "Bad Peer AS", {2, 3}: "Bad BGP Identifier",
	{2, 4}: "Unsupported Optional Parameter", {2, 6}: "Unacceptable Hold Time", {2, 7}: "Unsupported Capability",
	{2, 11}: "Role Mismatch",
	{6, 1}:  "Maximum Number of Prefixes Reached", {6, 2}: "Administrative Shutdown", {6, 3}: "Peer De-configured",
	{6, 4}: "Administrative Reset", {6, 5}: "Connection Rejected", {6, 6}: "Other Configuration Change",
	{6, 7}: "Connection Collision Resolution", {6, 8}: "Out of Resources", {6, 9}: "Hard Reset", {6, 10}: "BFD Down",
}

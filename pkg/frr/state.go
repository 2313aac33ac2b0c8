// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"
)

// The questions whose answers FromJSON reads. They cost FRR well under a
// millisecond at any number of routes.
const (
	ShowNeighbors   = "show bgp vrf all neighbors json"
	ShowBFDPeers    = "show bfd peers json" // of all VRFs; with "vrf all" of none
	ShowBFDCounters = "show bfd peers counters json"
)

// Answers are what FRR said to ShowNeighbors, ShowBFDPeers and ShowBFDCounters.
// An empty one was not asked for.
type Answers struct{ Neighbors, BFDPeers, BFDCounters string }

// State is how FRR's sessions are.
type State struct {
	// Sessions are all BGP neighbours, sorted by VRF and Neighbor.
	Sessions []SessionState
	// BFD are all BFD sessions, sorted likewise, also those that belong to no
	// BGP session.
	BFD []BFDState
}

// SessionState is what bgpd says of one neighbour.
type SessionState struct {
	// VRF of the BGP instance; empty: the default one.
	VRF string
	// Neighbor is how FRR's configuration names it: its address, or the
	// interface of an unnumbered one.
	Neighbor string
	// Addr is the neighbour's address. An unnumbered one's is link-local and
	// without zone, and invalid while no router has shown itself.
	Addr netip.Addr
	// Port is the neighbour's TCP port; 0 without a connection.
	Port uint16
	// State is that of RFC 4271 section 8.2.2, as FRR writes it: Established,
	// Idle, Connect, Active, OpenSent, OpenConfirm, Clearing, Deleted.
	State string
	// Uptime is how long the session has been Established, in whole seconds;
	// else 0.
	Uptime time.Duration
	// ASN and RouterID are the neighbour's; 0 and invalid before it has said.
	ASN      uint32
	RouterID netip.Addr
	// Established and Dropped count the session's beginnings and ends.
	Established, Dropped uint64
	// Reason says in words why it ended last; empty: it never has.
	Reason string
	// SentPrefixes is how many the neighbour has been sent and not been told to
	// forget, over all families.
	SentPrefixes uint64
	Messages     MessageCounts
}

// Numbered reports whether the neighbour is configured by its address.
func (s *SessionState) Numbered() bool { return parseAddr(s.Neighbor).IsValid() }

// Up reports whether routes can be exchanged.
func (s *SessionState) Up() bool { return s.State == "Established" }

// MessageCounts are BGP messages since the neighbour was configured.
type MessageCounts struct {
	OpensSent          uint64 `json:"opensSent"`
	OpensReceived      uint64 `json:"opensRecv"`
	NotificationsSent  uint64 `json:"notificationsSent"`
	UpdatesSent        uint64 `json:"updatesSent"`
	UpdatesReceived    uint64 `json:"updatesRecv"`
	KeepalivesSent     uint64 `json:"keepalivesSent"`
	KeepalivesReceived uint64 `json:"keepalivesRecv"`
	RouteRefreshSent   uint64 `json:"routeRefreshSent"`
	TotalSent          uint64 `json:"totalSent"`
	TotalReceived      uint64 `json:"totalRecv"`
}

// BFDState is what bfdd says of one BFD session.
type BFDState struct {
	// VRF of the session; empty: the default one.
	VRF string
	// Peer is the other end's address; of an unnumbered session link-local.
	Peer netip.Addr
	// Interface is that of a single-hop session; it may be empty before the
	// session is up, and is in a multihop one.
	Interface string
	// Status is up, down, init or admin-down.
	Status string
	// Diagnostic and RemoteDiagnostic say why the session went down last, here
	// and at the other end, in FRR's words for the codes of RFC 5880 section
	// 4.1; "ok" is none.
	Diagnostic, RemoteDiagnostic string
	Counters                     BFDCounters
}

// Up reports whether the other end is seen.
func (b *BFDState) Up() bool { return b.Status == "up" }

// BFDCounters are those of a session since it was made. They are 0 where
// Answers.BFDCounters is empty.
type BFDCounters struct {
	ControlIn     uint64 `json:"control-packet-input"`
	ControlOut    uint64 `json:"control-packet-output"`
	EchoIn        uint64 `json:"echo-packet-input"`
	EchoOut       uint64 `json:"echo-packet-output"`
	Ups           uint64 `json:"session-up"`
	Downs         uint64 `json:"session-down"`
	Notifications uint64 `json:"zebra-notifications"`
}

// BFDOf returns the BFD session of a BGP session, or nil. neighbor is an address,
// or the interface of an unnumbered session.
func (s *State) BFDOf(vrf, neighbor string) *BFDState {
	addr, err := netip.ParseAddr(neighbor)
	for i := range s.BFD {
		b := &s.BFD[i]
		if b.VRF != vrf {
			continue
		}
		if err == nil && b.Peer == addr.WithZone("") || err != nil && b.Interface == neighbor && b.Peer.IsLinkLocalUnicast() {
			return b
		}
	}
	return nil
}

// Session returns the state of a neighbour, or nil.
func (s *State) Session(vrf, neighbor string) *SessionState {
	for i := range s.Sessions {
		if s.Sessions[i].VRF == vrf && s.Sessions[i].Neighbor == neighbor {
			return &s.Sessions[i]
		}
	}
	return nil
}

// FromJSON reads what FRR says of its sessions. What it does not know, as other
// versions of FRR may say it, is left out; an error is about an answer that is no
// JSON of the expected shape.
func FromJSON(a Answers) (*State, error) {
	s := &State{}
	if a.Neighbors != "" {
		var vrfs map[string]map[string]json.RawMessage
		if err := json.Unmarshal([]byte(a.Neighbors), &vrfs); err != nil {
			return nil, fmt.Errorf("reading FRR's BGP neighbours: %w", err)
		}
		for vrf, neighbors := range vrfs {
			for name, text := range neighbors {
				var n neighborJSON
				// vrfId and vrfName stand among the neighbours.
				if json.Unmarshal(text, &n) == nil && n.State != "" {
					s.Sessions = append(s.Sessions, n.state(vrfName(vrf), name))
				}
			}
		}
	}
	if err := s.readBFD(a); err != nil {
		return nil, err
	}
	slices.SortFunc(s.Sessions, func(a, b SessionState) int {
		return cmp.Or(cmp.Compare(a.VRF, b.VRF), cmp.Compare(a.Neighbor, b.Neighbor))
	})
	slices.SortStableFunc(s.BFD, func(a, b BFDState) int {
		return cmp.Or(cmp.Compare(a.VRF, b.VRF), a.Peer.Compare(b.Peer), cmp.Compare(a.Interface, b.Interface))
	})
	return s, nil
}

// neighborJSON is what is read of one neighbour.
type neighborJSON struct {
	State       string        `json:"bgpState"`
	Addr        string        `json:"bgpNeighborAddr"` // only of an unnumbered one
	PortForeign int           `json:"portForeign"`     // -1: no connection
	UpMsec      int64         `json:"bgpTimerUpMsec"`
	ASN         uint32        `json:"remoteAs"`
	RouterID    string        `json:"remoteRouterId"`
	Established uint64        `json:"connectionsEstablished"`
	Dropped     uint64        `json:"connectionsDropped"`
	DueTo       string        `json:"lastResetDueTo"`
	Reason      string        `json:"lastNotificationReason"`
	Description string        `json:"lastShutdownDescription"`
	Messages    MessageCounts `json:"messageStats"`
	Families    map[string]struct {
		Sent uint64 `json:"sentPrefixCounter"`
	} `json:"addressFamilyInfo"`
}

func (n *neighborJSON) state(vrf, name string) SessionState {
	s := SessionState{
		VRF: vrf, Neighbor: name, Addr: parseAddr(name), State: n.State, ASN: n.ASN, RouterID: parseAddr(n.RouterID),
		Established: n.Established, Dropped: n.Dropped, Reason: n.reason(), Messages: n.Messages,
	}
	if !s.Addr.IsValid() {
		s.Addr = parseAddr(n.Addr)
	}
	if s.RouterID.IsValid() && s.RouterID.IsUnspecified() {
		s.RouterID = netip.Addr{}
	}
	if n.PortForeign > 0 && n.PortForeign <= 65535 {
		s.Port = uint16(n.PortForeign)
	}
	if s.Up() {
		s.Uptime = time.Duration(min(max(n.UpMsec, 0), maxUptime)) * time.Millisecond
	}
	for _, f := range n.Families {
		s.SentPrefixes += f.Sent
	}
	return s
}

// reason puts the last end into the words that package bmp uses.
func (n *neighborJSON) reason() string {
	said := n.Reason
	if said != "" && n.Description != "" {
		said += fmt.Sprintf(" (%q)", n.Description)
	}
	switch {
	case said != "" && n.DueTo == "BGP Notification received":
		return "peer sent NOTIFICATION " + said
	case said != "" && n.DueTo == "BGP Notification send":
		return "we sent NOTIFICATION " + said
	}
	return n.DueTo
}

// bfdJSON is what is read of one BFD session, in either answer.
type bfdJSON struct {
	Peer       string `json:"peer"`
	Local      string `json:"local"`
	VRF        string `json:"vrf"`
	Interface  string `json:"interface"`
	MultiHop   bool   `json:"multihop"`
	Status     string `json:"status"`
	Diagnostic string `json:"diagnostic"`
	Remote     string `json:"remote-diagnostic"`
	BFDCounters
}

// bfdKey is what bfdd tells its sessions apart by.
type bfdKey struct {
	peer, local, vrf, link string
	multiHop               bool
}

func (b *bfdJSON) key() bfdKey { return bfdKey{b.Peer, b.Local, b.VRF, b.Interface, b.MultiHop} }

func (s *State) readBFD(a Answers) error {
	if a.BFDPeers == "" {
		return nil
	}
	var peers, counters []bfdJSON
	if err := json.Unmarshal([]byte(a.BFDPeers), &peers); err != nil {
		return fmt.Errorf("reading FRR's BFD sessions: %w", err)
	}
	if a.BFDCounters != "" {
		if err := json.Unmarshal([]byte(a.BFDCounters), &counters); err != nil {
			return fmt.Errorf("reading FRR's BFD counters: %w", err)
		}
	}
	counted := map[bfdKey]BFDCounters{}
	for _, c := range counters {
		counted[c.key()] = c.BFDCounters
	}
	for _, p := range peers {
		peer := parseAddr(p.Peer)
		if !peer.IsValid() {
			continue
		}
		status := p.Status
		if status == "shutdown" {
			status = "admin-down"
		}
		s.BFD = append(s.BFD, BFDState{
			VRF: vrfName(p.VRF), Peer: peer, Interface: p.Interface, Status: status,
			Diagnostic: p.Diagnostic, RemoteDiagnostic: p.Remote, Counters: counted[p.key()],
		})
	}
	return nil
}

// maxUptime bounds what is believed, in milliseconds: a time.Duration's most.
const maxUptime = math.MaxInt64 / int64(time.Millisecond)

// parseAddr returns the address that FRR prints, without zone; invalid where it
// prints a word in its place.
func parseAddr(text string) netip.Addr {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

// vrfName returns the name by which we know a VRF.
func vrfName(name string) string {
	if name == "default" {
		return ""
	}
	return name
}

// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"metallb.io/metallb-frr/pkg/frr"
)

// answers reads what FRR 10.3 said in a situation: a node with three neighbours,
// of which 192.0.2.9 does not exist and eth1 is unnumbered.
func answers(t testing.TB, situation string) frr.Answers {
	t.Helper()
	read := func(what string) string {
		text, err := os.ReadFile("testdata/state/" + situation + "-" + what + ".json")
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return frr.Answers{Neighbors: read("neighbors"), BFDPeers: read("bfd"), BFDCounters: read("counters")}
}

func state(t testing.TB, situation string) *frr.State {
	t.Helper()
	s, err := frr.FromJSON(answers(t, situation))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var addrs = cmpopts.EquateComparable(netip.Addr{})

func TestStateOfRealSessions(t *testing.T) {
	router := netip.MustParseAddr("192.0.2.2")
	link := netip.MustParseAddr("fe80::88e0:bcff:fec7:1e95")
	want := &frr.State{
		Sessions: []frr.SessionState{
			{
				Neighbor: "192.0.2.2", Addr: router, Port: 179, State: "Established", Uptime: 5 * time.Second, ASN: 65002, RouterID: router,
				Established: 1, SentPrefixes: 3, // two of IPv4, one of IPv6
				Messages: frr.MessageCounts{OpensSent: 1, OpensReceived: 1, UpdatesSent: 4, UpdatesReceived: 4, KeepalivesSent: 1, KeepalivesReceived: 1, TotalSent: 6, TotalReceived: 6},
			},
			{Neighbor: "192.0.2.9", Addr: netip.MustParseAddr("192.0.2.9"), State: "Idle", ASN: 65002},
			{
				Neighbor: "eth1", Addr: link, Port: 179, State: "Established", Uptime: 3 * time.Second, ASN: 65002, RouterID: router,
				Established: 1, SentPrefixes: 2,
				Messages: frr.MessageCounts{OpensSent: 3, OpensReceived: 1, UpdatesSent: 2, UpdatesReceived: 2, KeepalivesSent: 1, KeepalivesReceived: 1, TotalSent: 6, TotalReceived: 4},
			},
		},
		BFD: []frr.BFDState{
			{Peer: router, Interface: "eth0", Status: "up", Diagnostic: "ok", RemoteDiagnostic: "ok", Counters: frr.BFDCounters{ControlIn: 56, ControlOut: 56, Ups: 1, Notifications: 2}},
			{Peer: netip.MustParseAddr("192.0.2.9"), Status: "down", Diagnostic: "ok", RemoteDiagnostic: "ok", Counters: frr.BFDCounters{ControlOut: 7, Notifications: 1}},
			{Peer: link, Interface: "eth1", Status: "up", Diagnostic: "ok", RemoteDiagnostic: "ok", Counters: frr.BFDCounters{ControlIn: 30, ControlOut: 30, Ups: 2, Downs: 1, Notifications: 5}},
		},
	}
	got := state(t, "up")
	if diff := cmp.Diff(want, got, addrs); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	for neighbor, want := range map[string]*frr.BFDState{"192.0.2.2": &got.BFD[0], "eth1": &got.BFD[2], "eth0": nil, "192.0.2.3": nil} {
		if b := got.BFDOf("", neighbor); b != want {
			t.Errorf("BFD session of %s is %+v, want %+v", neighbor, b, want)
		}
	}
	if b := got.BFDOf("red", "192.0.2.2"); b != nil {
		t.Errorf("BFD session of 192.0.2.2 in VRF red is %+v, want none", b)
	}
}

func TestStateOfASessionThatThePeerShutDown(t *testing.T) {
	s := state(t, "down").Session("", "192.0.2.2")
	if want := `peer sent NOTIFICATION Cease/Administrative Shutdown ("power cut")`; s == nil || s.Up() || s.State != "Active" || s.Reason != want || s.Dropped != 1 || s.Port != 179 {
		t.Errorf("session %+v, want one that ended by %s", s, want)
	}
}

func TestStateWords(t *testing.T) {
	for _, c := range []struct{ situation, json, want string }{
		{"we ended it", `{"bgpState":"Idle","lastResetDueTo":"BGP Notification send","lastNotificationReason":"Cease/BFD Down"}`, "we sent NOTIFICATION Cease/BFD Down"},
		{"no NOTIFICATION", `{"bgpState":"Idle","lastResetDueTo":"Interface down"}`, "Interface down"},
		{"never up", `{"bgpState":"Idle","lastReset":"never"}`, ""},
	} {
		s, err := frr.FromJSON(frr.Answers{Neighbors: `{"red":{"vrfId":3,"vrfName":"red","192.0.2.2":` + c.json + `}}`})
		if err != nil || len(s.Sessions) != 1 || s.Sessions[0].VRF != "red" || s.Sessions[0].Reason != c.want {
			t.Errorf("%s: %+v, %v; want the reason %q in VRF red", c.situation, s, err, c.want)
		}
	}
	s, err := frr.FromJSON(frr.Answers{BFDPeers: `[{"peer":"2001:db8::2","vrf":"red","multihop":true,"status":"shutdown"},{"peer":"unknown"}]`})
	if err != nil || len(s.BFD) != 1 || s.BFD[0].Status != "admin-down" || s.BFD[0].VRF != "red" {
		t.Errorf("%+v, %v; want one BFD session that is admin-down", s, err)
	}
	for _, a := range []frr.Answers{{Neighbors: "% Unknown"}, {Neighbors: "[]"}, {BFDPeers: "{}"}, {BFDPeers: "[]", BFDCounters: "x"}} {
		if _, err := frr.FromJSON(a); err == nil || !strings.Contains(err.Error(), "reading FRR's B") {
			t.Errorf("%+v: error %v", a, err)
		}
	}
}

func FuzzFromJSON(f *testing.F) {
	for _, situation := range []string{"up", "down"} {
		a := answers(f, situation)
		f.Add(a.Neighbors, a.BFDPeers, a.BFDCounters)
	}
	f.Add("{}", "[]", "[]")
	f.Fuzz(func(t *testing.T, neighbors, bfd, counters string) {
		s, err := frr.FromJSON(frr.Answers{Neighbors: neighbors, BFDPeers: bfd, BFDCounters: counters})
		if (s == nil) == (err == nil) {
			t.Fatalf("state %v with error %v", s, err)
		}
		if err != nil {
			return
		}
		for _, x := range s.Sessions {
			if s.Session(x.VRF, x.Neighbor) == nil || x.State == "" || !x.Up() && x.Uptime != 0 || x.Uptime < 0 {
				t.Errorf("session %+v", x)
			}
		}
		for _, b := range s.BFD {
			if !b.Peer.IsValid() || !b.Peer.IsLinkLocalUnicast() && s.BFDOf(b.VRF, b.Peer.String()) == nil {
				t.Errorf("BFD session %+v", b)
			}
		}
	})
}

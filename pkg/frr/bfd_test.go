// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// bfdState is what FRR says of the BFD session with a neighbour: 0 values where
// there is none.
type bfdState struct {
	Peer       string `json:"peer"`
	ID         uint32 `json:"id"`
	Status     string `json:"status"`
	Downs      int    `json:"session-down"`
	Multiplier int    `json:"detect-multiplier"`
	Receive    int    `json:"receive-interval"`
	Transmit   int    `json:"transmit-interval"`
	Passive    bool   `json:"passive-mode"`
	MinimumTTL int    `json:"minimum-ttl"`
	Echo       int    `json:"echo-transmit-interval"`
}

func (p *pair) bfd(t *testing.T, neighbor string) bfdState {
	t.Helper()
	var out bfdState
	for _, command := range []string{"show bfd peers json", "show bfd peers counters json"} {
		var all []json.RawMessage
		text := p.node.Run(t, "vtysh", "-c", command)
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		for _, one := range all {
			if strings.Contains(string(one), `"peer":"`+neighbor+`"`) {
				if err := json.Unmarshal(one, &out); err != nil {
					t.Fatalf("%v in %s", err, one)
				}
			}
		}
	}
	return out
}

func (p *pair) waitForBFD(t *testing.T) {
	t.Helper()
	p.node.WaitFor(t, "show bfd peers json", `"status":"up"`)
	p.a.WaitFor(t, "show bfd peers json", `"status":"up"`)
}

// routerBFD is what the routers are told once BGP is up and the node has BFD: an
// end that has BFD from the start opens no BGP session before BFD is up.
const routerBFD = "router bgp 65000\n neighbor 192.0.2.1 bfd\n"

// Each field of a BFDProfile that is in use can be changed, and neither the BFD
// nor the BGP session notices.
func TestRealFRRChangeOfBFDProfile(t *testing.T) {
	t.Parallel()
	p := newPair(t, plainA)
	// Echo packets are sent back by what forwards, which here is the kernel.
	p.a.Run(t, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	const spec = plainPeer + ", bfdProfile: f"
	p.change(t, plainPeer, "")
	p.reached(t, p.a)
	p.change(t, spec, object("BFDProfile", "f", ""))
	p.a.Load(t, routerBFD)
	p.waitForBFD(t)
	session, first := p.connection(t, "192.0.2.2"), p.bfd(t, "192.0.2.2")
	for _, row := range []struct {
		profile string
		show    func(s bfdState) bool // the change is in force
	}{
		{"detectMultiplier: 7", func(s bfdState) bool { return s.Multiplier == 7 }},
		{"receiveInterval: 150", func(s bfdState) bool { return s.Multiplier == 3 && s.Receive == 150 }},
		{"transmitInterval: 120", func(s bfdState) bool { return s.Receive == 300 && s.Transmit == 120 }},
		{"receiveInterval: 100, transmitInterval: 100, detectMultiplier: 5", func(s bfdState) bool { return s.Receive == 100 && s.Transmit == 100 && s.Multiplier == 5 }},
		{"passiveMode: true", func(s bfdState) bool { return s.Passive && s.Receive == 300 }},
		{"echoInterval: 80", func(s bfdState) bool { return !s.Passive }},
		{"echoMode: true, echoInterval: 80", func(s bfdState) bool { return s.Echo == 80 }},
		{"minimumTtl: 250", func(bfdState) bool { return true }},
		{"", func(s bfdState) bool {
			return s.Multiplier == 3 && s.Receive == 300 && s.Transmit == 300 && !s.Passive && s.Echo == 0
		}},
	} {
		p.change(t, spec, object("BFDProfile", "f", row.profile))
		p.reached(t, p.a)
		now := p.bfd(t, "192.0.2.2")
		if now.Status != "up" || now.ID != first.ID || now.Downs != first.Downs || p.connection(t, "192.0.2.2") != session {
			t.Errorf("profile {%s}: BFD %+v, it was %+v; BGP kept %v", row.profile, now, first, p.connection(t, "192.0.2.2") == session)
		}
		if !row.show(now) {
			t.Errorf("profile {%s} is not in force: %+v", row.profile, now)
		}
	}
}

// A peer gets a profile, another one, and loses it again: its session stays as
// long as the router agrees. With the last peer the last profile goes.
func TestRealFRRProfileComesAndGoes(t *testing.T) {
	t.Parallel()
	p := newPair(t, plainA)
	profiles := object("BFDProfile", "f", "receiveInterval: 100") + object("BFDProfile", "g", "receiveInterval: 200")
	none := func() {
		t.Helper()
		if text := p.node.Running(t); strings.Contains(text, "profile") || strings.Contains(text, " bfd") {
			t.Errorf("BFD that nobody asked for:\n%s", text)
		}
	}
	p.change(t, plainPeer, profiles)
	p.reached(t, p.a)
	none()
	session, other := p.connection(t, "192.0.2.2"), p.connection(t, "198.51.100.2")
	// The router has no BFD: its session is left alone.
	p.change(t, plainPeer+", bfdProfile: f", profiles)
	p.change(t, plainPeer, "")
	p.reached(t, p.a)
	none()
	// The router has BFD.
	p.change(t, plainPeer+", bfdProfile: f", profiles)
	p.a.Load(t, routerBFD)
	p.waitForBFD(t)
	before := p.bfd(t, "192.0.2.2")
	if before.Receive != 100 {
		t.Errorf("not the profile's interval: %+v", before)
	}
	p.change(t, plainPeer+", bfdProfile: g", profiles)
	p.reached(t, p.a)
	if now := p.bfd(t, "192.0.2.2"); now.Receive != 200 || now.Downs != before.Downs || now.Status != "up" {
		t.Errorf("another profile: %+v, it was %+v", now, before)
	}
	if got := p.connection(t, "192.0.2.2"); got != session || got == 0 {
		t.Error("the BGP session was reset")
	}
	// A router with BFD takes the end of it for a failure, until it has none.
	p.change(t, plainPeer, "")
	p.node.WaitFor(t, "show bfd peers json", "[]")
	none()
	p.a.Load(t, "router bgp 65000\n no neighbor 192.0.2.1 bfd\n")
	p.reached(t, p.a)
	if got := p.connection(t, "198.51.100.2"); got != other || got == 0 {
		t.Error("the other BGP session was reset")
	}
}

// What FRR makes of echoMode and minimumTtl over several hops, which Findings
// warn of; with echoMode it would not open the session.
func TestRealFRRLimitsOfBFD(t *testing.T) {
	t.Parallel()
	p := newPair(t, plainA+" neighbor 192.0.2.1 ebgp-multihop\n")
	p.change(t, plainPeer+", ebgpMultiHop: true", "")
	p.reached(t, p.a)
	p.change(t, plainPeer+", ebgpMultiHop: true, bfdProfile: f", object("BFDProfile", "f", "minimumTtl: 200, echoMode: true, receiveInterval: 100"))
	p.a.Load(t, routerBFD)
	p.waitForBFD(t)
	if got := p.bfd(t, "192.0.2.2"); got.MinimumTTL != 1 || got.Echo != 0 || got.Receive != 100 {
		t.Errorf("%+v: the Findings MinimumTTLIgnored and EchoModeIgnored say 1 and no echo", got)
	}
}

// A router that does not send echo packets back never lets BFD stay up, which the
// Finding EchoModeNeedsRouter says.
func TestRealFRREchoThatNobodySendsBack(t *testing.T) {
	t.Parallel()
	p := newPair(t, plainA)
	p.a.Run(t, "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
	p.change(t, plainPeer, "")
	p.reached(t, p.a)
	p.change(t, plainPeer+", bfdProfile: f", object("BFDProfile", "f", "echoMode: true"))
	p.a.Load(t, routerBFD)
	p.node.WaitFor(t, "show bfd peers json", "echo function failed")
	p.a.Run(t, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	p.waitForBFD(t)
}

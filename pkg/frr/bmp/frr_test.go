// SPDX-License-Identifier: Apache-2.0

package bmp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

const nodeConf = `router bgp 65001
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 bmp targets speaker
  bmp connect 127.0.0.1 port 11019 min-retry 100 max-retry 500
 exit
 neighbor 192.0.2.2 remote-as 65002
 neighbor 192.0.2.2 timers 1 3
 neighbor 192.0.2.2 timers connect 1
 neighbor eth0 interface remote-as external
 neighbor eth0 timers connect 1
 address-family ipv6 unicast
  neighbor 192.0.2.2 activate
`

const routerConf = `router bgp 65002
 bgp router-id 192.0.2.2
 no bgp ebgp-requires-policy
 neighbor 192.0.2.1 remote-as 65001
 neighbor 192.0.2.1 passive
 neighbor 192.0.2.1 timers connect 1
`

// wait returns the first event that is as wanted.
func wait(t *testing.T, l *Listener, kind Kind, peer string) Event {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case e := <-l.Events():
			t.Logf("%v %v from AS %d, local %v, router %v: %s", e.Kind, e.Peer, e.ASN, e.Local, e.RouterID, e.Reason)
			if e.Kind == kind && (peer == "" || e.Peer.String() == peer) {
				return e
			}
		case <-timeout:
			t.Fatalf("no event %v of %s within 20 s", kind, peer)
		}
	}
}

func TestRealFRR(t *testing.T) {
	t.Parallel()
	node := frrtest.Start(t, frrtest.Options{})
	router := frrtest.Start(t, frrtest.Options{Listen: true})
	frrtest.Link(t, "eth0", node, "192.0.2.1/24", router, "192.0.2.2/24")
	l := listen(t)
	node.Forward(t, "127.0.0.1:11019", l.Addr().String())
	router.Load(t, routerConf)
	node.Load(t, nodeConf)

	wait(t, l, Connected, "")
	e := wait(t, l, Up, "192.0.2.2")
	if e.ASN != 65002 || e.Local.String() != "192.0.2.1" || e.RouterID.String() != "192.0.2.2" {
		t.Errorf("event %+v, want AS 65002, local address 192.0.2.1, router 192.0.2.2", e)
	}

	began := time.Now()
	router.Load(t, "router bgp 65002\n neighbor 192.0.2.1 shutdown message power cut\n")
	e = wait(t, l, Down, "192.0.2.2")
	t.Logf("down %v after the command began", e.At.Sub(began).Round(time.Millisecond))
	if want := `peer sent NOTIFICATION Cease/Administrative Shutdown ("power cut")`; e.Reason != want {
		t.Errorf("reason %q, want %q", e.Reason, want)
	}
	router.Load(t, "router bgp 65002\n no neighbor 192.0.2.1 shutdown\n")
	wait(t, l, Up, "192.0.2.2")

	// A router that falls silent.
	router.Run(t, "ip", "link", "set", "eth0", "down")
	if e = wait(t, l, Down, "192.0.2.2"); e.Reason == "" {
		t.Error("no reason")
	}
	router.Run(t, "ip", "link", "set", "eth0", "up")
	wait(t, l, Up, "192.0.2.2")

	began = time.Now()
	node.KillDaemon(t, "bgpd")
	e = wait(t, l, Disconnected, "")
	t.Logf("disconnected %v after the kill began", e.At.Sub(began).Round(time.Millisecond))
	node.StartDaemon(t, "bgpd")
	node.Load(t, nodeConf)
	wait(t, l, Connected, "")
	wait(t, l, Up, "192.0.2.2")
}

func TestListenerThatReturnsIsToldAll(t *testing.T) {
	t.Parallel()
	node := frrtest.Start(t, frrtest.Options{})
	router := frrtest.Start(t, frrtest.Options{Listen: true})
	frrtest.Link(t, "eth0", node, "192.0.2.1/24", router, "192.0.2.2/24")
	router.Load(t, routerConf)
	node.Load(t, strings.Replace(nodeConf, "router bgp 65001\n", "router bgp 65001\n neighbor 192.0.2.7 remote-as 65002\n", 1))
	router.WaitFor(t, "show bgp neighbors 192.0.2.1 json", `"bgpState":"Established"`)
	// Only now is there somebody to connect to.
	l := listen(t)
	node.Forward(t, "127.0.0.1:11019", l.Addr().String())
	wait(t, l, Connected, "")
	state := map[string]Kind{}
	for len(state) < 2 {
		select {
		case e := <-l.Events():
			state[e.Peer.String()] = e.Kind
		case <-time.After(10 * time.Second):
			t.Fatalf("told %v within 10 s", state)
		}
	}
	if got := fmt.Sprint(state); !strings.Contains(got, "192.0.2.2:up") || !strings.Contains(got, "down") {
		t.Errorf("states %s, want 192.0.2.2 up and the others down", got)
	}
}

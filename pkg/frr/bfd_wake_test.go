// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

// torConf is a router that has BFD for the node.
const torConf = `bfd
 profile lab
  transmit-interval 50
  receive-interval 50
  detect-multiplier 10
 exit
exit
router bgp 65000
 no bgp ebgp-requires-policy
 neighbor 10.0.0.11 remote-as 65100
 neighbor 10.0.0.11 timers connect 1
 neighbor 10.0.0.11 bfd
 neighbor 10.0.0.11 bfd profile lab
exit
`

// nodeAndRouter starts a node with the document, and a router.
func nodeAndRouter(t *testing.T, doc *frr.Document) (node, router *frrtest.FRR) {
	t.Helper()
	node, router = frrtest.Start(t, frrtest.Options{}), frrtest.Start(t, frrtest.Options{Listen: true})
	frrtest.Link(t, "eth0", node, "10.0.0.11/24", router, "10.0.0.1/24")
	router.Load(t, torConf)
	node.Load(t, doc.Text())
	return node, router
}

const (
	routerSession = "show bgp neighbors 10.0.0.11 json"
	established   = `"bgpState":"Established"`
)

// BFD is taken away on both sides, first on the router: it ends the session, and
// FRR keeps it idle until somebody starts it.
func TestSessionReturnsWithoutBFD(t *testing.T) {
	t.Parallel()
	with := documentOf(t, diffPeer("tor1", "10.0.0.1", ", bfdProfile: fast")+diffBFD)
	without := documentOf(t, diffPeer("tor1", "10.0.0.1", ""))
	node, router := nodeAndRouter(t, with)
	untilSession(t, node, "10.0.0.1", "both", bothStay)

	router.Load(t, "router bgp 65000\n no neighbor 10.0.0.11 bfd\nexit\n")
	node.WaitFor(t, "show bgp neighbors 10.0.0.1 json", `"bgpState":"Idle"`)
	node.Load(t, script(frr.Diff(with, without).Commands))
	router.WaitFor(t, routerSession, established)
}

// A router without BFD: FRR begins no session as long as BFD is down, and begins it
// when BFD is taken away. One that is established does not notice.
func TestSessionBeginsWhenOneSidedBFDGoes(t *testing.T) {
	t.Parallel()
	with := documentOf(t, diffPeer("tor1", "10.0.0.1", ", bfdProfile: fast")+diffBFD)
	without := documentOf(t, diffPeer("tor1", "10.0.0.1", ""))
	node, router := frrtest.Start(t, frrtest.Options{}), frrtest.Start(t, frrtest.Options{Listen: true})
	frrtest.Link(t, "eth0", node, "10.0.0.11/24", router, "10.0.0.1/24")
	router.Load(t, "router bgp 65000\n no bgp ebgp-requires-policy\n neighbor 10.0.0.11 remote-as 65100\n neighbor 10.0.0.11 passive\nexit\n")
	node.Load(t, with.Text())
	node.WaitFor(t, "show bfd peers brief", " down ")
	router.WaitFor(t, routerSession, `"bgpState":"Active"`)
	if out := node.Run(t, "vtysh", "-c", "show bgp neighbors 10.0.0.1 json"); !strings.Contains(out, `"bgpState":"Idle"`) {
		t.Errorf("the session with a router that has no BFD; want it idle:\n%s", out)
	}
	changes := script(frr.Diff(with, without).Commands)
	node.Load(t, changes)
	router.WaitFor(t, routerSession, established)

	again := changes[strings.LastIndex(changes, "router bgp"):]
	if !strings.Contains(again, "timers connect") {
		t.Fatalf("the last of the changes is\n%s", again)
	}
	node.Load(t, again)
	out := router.Run(t, "vtysh", "-c", routerSession)
	if !strings.Contains(out, established) || strings.Contains(out, `"connectionsDropped":1`) {
		t.Errorf("the session after its connect time was set again:\n%s", out)
	}
}

// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/need"
	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

// bfdPair is a node and a router. What the operating guide says of BFD that only
// one of them has is what is measured here; another version of FRR may do
// otherwise (8.4 keeps the BGP session).
type bfdPair struct{ node, router *frrtest.FRR }

const (
	noBFD   = ""
	withBFD = " neighbor %[1]s bfd\n neighbor %[1]s bfd profile fast\n"
)

func startPair(t *testing.T, node, router, profile string) bfdPair {
	t.Helper()
	p := bfdPair{frrtest.Start(t, frrtest.Options{}), frrtest.Start(t, frrtest.Options{Listen: true})}
	frrtest.Link(t, "eth0", p.node, "192.0.2.1/24", p.router, "192.0.2.2/24")
	p.load(t, p.router, 65002, "192.0.2.1", 65001, router, profile)
	p.load(t, p.node, 65001, "192.0.2.2", 65002, node, profile)
	return p
}

func (p bfdPair) load(t *testing.T, f *frrtest.FRR, as int, peer string, peerAS int, bfd, profile string) {
	t.Helper()
	if bfd != "" {
		bfd = fmt.Sprintf(bfd, peer)
	}
	f.Load(t, fmt.Sprintf(`bfd
 profile fast
  transmit-interval 100
  receive-interval 100
  detect-multiplier 10
%[1]s
router bgp %[2]d
 no bgp ebgp-requires-policy
 neighbor %[3]s remote-as %[4]d
 neighbor %[3]s timers connect 1
%[5]s`, profile, as, peer, peerAS, bfd))
}

// sessionOf is what an FRR says of its sessions with a neighbour.
func sessionOf(t *testing.T, f *frrtest.FRR, neighbor string) (frr.SessionState, frr.BFDState) {
	t.Helper()
	state, err := frr.FromJSON(frr.Answers{
		Neighbors: f.Run(t, "vtysh", "-c", frr.ShowNeighbors), BFDPeers: f.Run(t, "vtysh", "-c", frr.ShowBFDPeers),
	})
	if err != nil {
		t.Fatal(err)
	}
	s, b := state.Session("", neighbor), state.BFDOf("", neighbor)
	if s == nil {
		t.Fatal("no BGP session")
	}
	if b == nil {
		b = &frr.BFDState{}
	}
	return *s, *b
}

// untilSession waits for sessions with a neighbour as wanted.
func untilSession(t *testing.T, f *frrtest.FRR, neighbor, what string, want func(frr.SessionState, frr.BFDState) bool) {
	t.Helper()
	began := time.Now()
	for {
		s, b := sessionOf(t, f, neighbor)
		if want(s, b) {
			t.Logf("%s after %v: BGP %s (%s), BFD %s (here %s, there %s)", what, time.Since(began).Round(10*time.Millisecond), s.State, s.Reason, b.Status, b.Diagnostic, b.RemoteDiagnostic)
			return
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("waited 20 s for %s: BGP %s (%s), BFD %+v", what, s.State, s.Reason, b)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p bfdPair) seen(t *testing.T) (frr.SessionState, frr.BFDState) {
	t.Helper()
	return sessionOf(t, p.node, "192.0.2.2")
}

func (p bfdPair) until(t *testing.T, what string, want func(frr.SessionState, frr.BFDState) bool) {
	t.Helper()
	untilSession(t, p.node, "192.0.2.2", what, want)
}

// stays looks for 5 seconds, five connect times, whether BGP stays as it is.
func (p bfdPair) stays(t *testing.T, up bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < 5*time.Second; time.Sleep(100 * time.Millisecond) {
		if s, b := p.seen(t); s.Up() != up || b.Up() {
			t.Fatalf("after %v: BGP %s (%s), BFD %s; want BGP up: %t, BFD not up", time.Since(began), s.State, s.Reason, b.Status, up)
		}
	}
}

func bothUp(s frr.SessionState, b frr.BFDState) bool { return s.Up() && b.Up() }

// bothStay is bothUp for a while: a loss of BFD within the moment in which BGP becomes
// Established is lost on bgpd (10.3), and the session stays.
func bothStay(s frr.SessionState, b frr.BFDState) bool {
	return bothUp(s, b) && s.Uptime >= 2*time.Second
}
func lost(s frr.SessionState, b frr.BFDState) bool  { return !s.Up() && !b.Up() }
func bgpUp(s frr.SessionState, _ frr.BFDState) bool { return s.Up() }

func TestOneSidedBFD(t *testing.T) {
	t.Run("the router never had it", func(t *testing.T) {
		t.Parallel()
		p := startPair(t, withBFD, noBFD, "")
		p.stays(t, false)
		p.load(t, p.router, 65002, "192.0.2.1", 65001, withBFD, "")
		p.until(t, "BFD at the router too", bothUp)
	})
	t.Run("it is added to a session that is up", func(t *testing.T) {
		t.Parallel()
		p := startPair(t, noBFD, noBFD, "")
		p.until(t, "without BFD", bgpUp)
		p.load(t, p.node, 65001, "192.0.2.2", 65002, withBFD, "")
		p.stays(t, true)
		p.node.Run(t, "vtysh", "-c", "clear bgp 192.0.2.2")
		p.until(t, "reset", func(s frr.SessionState, _ frr.BFDState) bool { return !s.Up() })
		p.stays(t, false)
	})
	t.Run("the router gives it up", func(t *testing.T) {
		t.Parallel()
		p := startPair(t, withBFD, withBFD, "")
		p.until(t, "both", bothStay)
		p.router.Load(t, "router bgp 65002\n no neighbor 192.0.2.1 bfd\n")
		p.until(t, "loss", lost)
		if s, b := p.seen(t); s.Reason != "we sent NOTIFICATION Cease/BFD Down" || b.Diagnostic != "neighbor signaled session down" {
			t.Errorf("reason %q, diagnostic %q", s.Reason, b.Diagnostic)
		}
		p.stays(t, false)
	})
	t.Run("both passive", func(t *testing.T) {
		t.Parallel()
		startPair(t, withBFD, withBFD, "  passive-mode").stays(t, false)
	})
}

func TestBFDBlockedByAFirewall(t *testing.T) {
	nft, err := exec.LookPath("nft")
	if err != nil {
		need.Skip(t, "no nft (package nftables)")
	}
	for _, blocked := range []string{"node", "router"} {
		t.Run("at the "+blocked, func(t *testing.T) {
			t.Parallel()
			p := startPair(t, withBFD, withBFD, "")
			at := p.node
			if blocked == "router" {
				at = p.router
			}
			p.until(t, "both", bothStay)
			rules := func(text string) {
				cmd := exec.CommandContext(t.Context(), "nsenter", append(at.Enter()[1:4], nft, "-f", "-")...)
				cmd.Stdin = strings.NewReader(text)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("nft: %v: %s", err, out)
				}
			}
			rules("table inet f { chain in { type filter hook input priority 0; udp dport { 3784, 4784 } drop; }; }")
			p.until(t, "loss", lost)
			if s, _ := p.seen(t); !strings.Contains(strings.ToLower(s.Reason), "bfd down") {
				t.Errorf("reason %q, want one of BFD", s.Reason)
			}
			p.stays(t, false)
			rules("flush ruleset")
			p.until(t, "return", bothUp)
		})
	}
}

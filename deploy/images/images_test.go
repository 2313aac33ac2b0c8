// SPDX-License-Identifier: Apache-2.0

// Package images_test runs the container frr as the pod runs it, from the
// image's own root file system, against another FRR.
package images_test

import (
	"context"
	"strings"
	"testing"
	"time"
)

// nodeConf is what a speaker leaves on disk; %s takes neighbour lines.
const nodeConf = `frr defaults traditional
log stdout informational
bgp route-map delay-timer 1
route-map web permit 10
 set tag 7
route-map 10.9.0.2-in deny 20
route-map 10.9.0.2-out permit 7
 match tag 7
router bgp 64512
 bgp router-id 10.9.0.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 no bgp network import-check
 bgp graceful-restart preserve-fw-state
 neighbor 10.9.0.2 remote-as 64513
 neighbor 10.9.0.2 timers connect 1
 neighbor 10.9.0.2 EXTRA
 address-family ipv4 unicast
  network 198.51.100.1/32 route-map web
  neighbor 10.9.0.2 activate
  neighbor 10.9.0.2 route-map 10.9.0.2-in in
  neighbor 10.9.0.2 route-map 10.9.0.2-out out
`

const routerConf = `frr defaults traditional
log stdout informational
router bgp 64513
 bgp router-id 10.9.0.2
 bgp log-neighbor-changes
 no bgp ebgp-requires-policy
 neighbor 10.9.0.1 remote-as 64512
 neighbor 10.9.0.1 timers connect 1
`

// Routers need port 179; only the node does without.
func startRouter(t *testing.T, conf string) *pod {
	t.Helper()
	r := startPod(t, "router", conf)
	r.exec(t, "sh", "-c", `sed -i 's/-p 0 -M bmp/-M bmp/' /etc/frr/daemons && kill $(cat /run/frr/bgpd.pid)`)
	r.log.wait(t, "bgpd state -> up", 10*time.Second)
	return r
}

// established starts a node and a router and returns when the node's route is
// in the router's kernel.
func established(t *testing.T, extra string) (node, router *pod, routes *lines) {
	t.Helper()
	return connected(t, strings.Replace(nodeConf, "EXTRA", extra, 1), routerConf)
}

func connected(t *testing.T, onNode, onRouter string) (node, router *pod, routes *lines) {
	t.Helper()
	router = startRouter(t, onRouter)
	node = startPod(t, "node", onNode)
	routes = router.routes(t)
	join(t, node, router, "10.9.0.1/24", "10.9.0.2/24")
	routes.wait(t, "198.51.100.1", 20*time.Second)
	return node, router, routes
}

func TestEntrypointStartsAllDaemons(t *testing.T) {
	p := startPod(t, "node", "")
	daemons := strings.Fields(p.exec(t, "vtysh", "-c", "show daemons"))
	for _, want := range []string{"mgmtd", "zebra", "bgpd", "bfdd", "watchfrr"} {
		if !contains(daemons, want) {
			t.Errorf("show daemons = %q, want %s among them", daemons, want)
		}
	}
	if contains(daemons, "staticd") {
		t.Errorf("show daemons = %q, want no staticd", daemons)
	}
	if v := p.exec(t, "vtysh", "-c", "show version"); !strings.Contains(v, "FRRouting 10.") {
		t.Errorf("show version = %q, want FRRouting 10", v)
	}
	if m := p.exec(t, "vtysh", "-c", "show modules"); !strings.Contains(m, "bgpd_bmp") {
		t.Errorf("show modules = %q, want bgpd_bmp", m)
	}
	p.exec(t, "frr-entrypoint", "alive")
	p.exec(t, "sh", "-c", "kill -STOP $(cat /run/frr/bfdd.pid)")
	if out, err := p.try(t, "frr-entrypoint", "alive"); err == nil {
		t.Errorf("alive while bfdd is stopped: %q, want a failure", out)
	}
	p.exec(t, "sh", "-c", "kill -CONT $(cat /run/frr/bfdd.pid)")
	// The pod is on the host's network: no port may be taken but BFD's.
	if s := p.exec(t, "ss", "-Htln"); strings.TrimSpace(s) != "" {
		t.Errorf("listening TCP ports:\n%s\nwant none", s)
	}
	p.exec(t, "sh", "-c", "grep -q '^frr defaults traditional' /etc/frr/frr.conf")
	// Not one capability is left in force when nothing needs it.
	if s := p.exec(t, "sh", "-c", "grep CapEff /proc/$(cat /run/frr/bgpd.pid)/status"); !strings.HasSuffix(strings.TrimSpace(s), "0000000000000000") {
		t.Errorf("bgpd at rest has %q", s)
	}
}

func TestKilledDaemonIsBackWithItsConfiguration(t *testing.T) {
	node, _, routes := established(t, "description tor1")
	// The second kill follows at once: a supervisor that backs off would show.
	for _, daemon := range []string{"bgpd", "bgpd", "bfdd", "zebra"} {
		routes.mark()
		start := time.Now()
		node.exec(t, "sh", "-c", "kill -9 $(cat /run/frr/"+daemon+".pid)")
		back := waitFor(t, 10*time.Second, func() bool {
			out, err := node.try(t, "vtysh", "-d", daemon, "-c", "show running-config")
			return err == nil && (daemon != "bgpd" || strings.Contains(out, "network 198.51.100.1/32 route-map web"))
		}).Sub(start)
		t.Logf("%s killed: back with its configuration after %v", daemon, back.Round(10*time.Millisecond))
		if back > 4*time.Second {
			t.Errorf("%s took %v to come back with its configuration, want at most 4s", daemon, back)
		}
		if daemon != "bfdd" { // with zebra watchfrr starts the others again too
			routes.wait(t, "Deleted 198.51.100.1", 10*time.Second)
			routes.wait(t, "198.51.100.1", 20*time.Second)
			t.Logf("route back at the router after %v", time.Since(start).Round(10*time.Millisecond))
		}
	}
}

// The speaker has a daemon started again by writing its name to the pipe; the
// others, and the routes, are left alone.
func TestSpeakerHasADaemonStartedAgain(t *testing.T) {
	node, _, routes := established(t, "description tor1")
	routes.mark()
	numbers := func() string {
		return node.exec(t, "sh", "-c", "cd /run/frr; cat zebra.pid bgpd.pid bfdd.pid")
	}
	others, before := numbers(), node.exec(t, "cat", "/run/frr/mgmtd.pid")
	node.exec(t, "sh", "-c", "printf 'sshd\nmgmtd\n' > /run/frr/requests")
	waitFor(t, 10*time.Second, func() bool {
		now, err := node.try(t, "cat", "/run/frr/mgmtd.pid")
		_, down := node.try(t, "frr-entrypoint", "alive")
		return err == nil && now != before && down == nil
	})
	if numbers() != others {
		t.Errorf("daemons that nobody named were started again too")
	}
	for _, want := range []string{"starting mgmtd again: the speaker asks for it", `request for "sshd", which is no daemon, ignored`} {
		if !node.log.has(want) {
			t.Errorf("the container's log lacks %q", want)
		}
	}
	if routes.has("Deleted 198.51.100.1") {
		t.Errorf("the route was withdrawn meanwhile")
	}
}

func TestKilledContainerComesBackWithWhatTheSpeakerLeft(t *testing.T) {
	node, _, routes := established(t, "description tor1")
	routes.mark()
	start := time.Now()
	// The volumes stay: sockets of nobody, and numbers of processes that are
	// others by now.
	node.cmd.Process.Kill()
	<-within(t, node.done, 5*time.Second)
	routes.wait(t, "Deleted 198.51.100.1", 10*time.Second)
	node.start(t)
	routes.wait(t, "198.51.100.1", 20*time.Second)
	t.Logf("route back at the router after %v", time.Since(start).Round(10*time.Millisecond))
}

func TestExitWithdrawsBeforeItStops(t *testing.T) {
	node, router, routes := established(t, "description tor1")
	routes.mark()
	router.log.mark()
	start := time.Now()
	terminate(t, node)
	waitFor(t, 5*time.Second, func() bool {
		return strings.Contains(router.exec(t, "vtysh", "-c", "show bgp ipv4 unicast 198.51.100.1/32"), "graceful-shutdown")
	})
	t.Logf("routes marked with GRACEFUL_SHUTDOWN after %v", time.Since(start).Round(10*time.Millisecond))
	if routes.has("Deleted 198.51.100.1") {
		t.Errorf("route withdrawn before the routers could prefer another node")
	}
	routes.wait(t, "Deleted 198.51.100.1", 5*time.Second)
	withdrawn := time.Now()
	t.Logf("withdrawn after %v", withdrawn.Sub(start).Round(10*time.Millisecond))
	if s := router.exec(t, "vtysh", "-c", "show bgp neighbors 10.9.0.1"); !strings.Contains(s, "BGP state = Established") {
		t.Errorf("session is down at the withdrawal; it must stay up until the traffic has moved")
	}
	router.log.wait(t, "in vrf default Down", 5*time.Second)
	// On a busy machine the withdrawal is seen late.
	if d := time.Since(withdrawn); d < 400*time.Millisecond {
		t.Errorf("session closed %v after the withdrawal, want about a second", d)
	}
	<-within(t, node.done, 10*time.Second)
	t.Logf("ended after %v", time.Since(start).Round(10*time.Millisecond))
	if code := node.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("entrypoint ended with status %d, want 0", code)
	}
}

// A neighbour with graceful restart keeps the routes through an orderly exit:
// that is what its user asked for.
func TestExitLeavesGracefulRestartNeighborsTheirRoutes(t *testing.T) {
	node, router, routes := established(t, "graceful-restart")
	routes.mark()
	terminate(t, node)
	<-within(t, node.done, 12*time.Second)
	router.log.wait(t, "in vrf default Down", 5*time.Second)
	if routes.has("Deleted 198.51.100.1") {
		t.Errorf("route withdrawn from a neighbour with graceful restart:\n%s", routes)
	}
	if s := router.exec(t, "ip", "route", "show", "198.51.100.1"); !strings.Contains(s, "via 10.9.0.1") {
		t.Errorf("ip route show 198.51.100.1 = %q at the router, want it kept via 10.9.0.1", s)
	}
}

// terminate sends SIGTERM to the container's process 1, as the kubelet does.
func terminate(t *testing.T, p *pod) {
	t.Helper()
	p.exec(t, "kill", "-TERM", "1")
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// waitFor asks until the answer is yes and returns when that was.
func waitFor(t *testing.T, limit time.Duration, ask func() bool) time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ask() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not so within %v", limit)
		}
	}
	return time.Now()
}

// within returns a channel that is closed when done is, and fails the test when
// that takes longer than the limit.
func within(t *testing.T, done <-chan struct{}, limit time.Duration) <-chan struct{} {
	t.Helper()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("not ended within %v", limit)
	}
	return done
}

// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/frr/bmp"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
	"metallb.io/metallb-frr/pkg/frr/vtysh"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/telemetry"
)

const nodeConf = `bfd
 profile fast
  transmit-interval 100
  receive-interval 100
  detect-multiplier 20
router bgp 65001
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 no bgp network import-check
 bmp targets speaker
  bmp connect 127.0.0.1 port 11019 min-retry 100 max-retry 500
 exit
 neighbor 192.0.2.2 remote-as 65002
 neighbor 192.0.2.2 timers connect 1
 neighbor 192.0.2.2 bfd
 neighbor 192.0.2.2 bfd profile fast
 neighbor eth1 interface remote-as external
 neighbor eth1 timers connect 1
 neighbor eth1 bfd
 neighbor eth1 bfd profile fast
 address-family ipv4 unicast
  network 203.0.113.1/32
  network 203.0.113.2/32
`

const routerConf = `bfd
 profile fast
  transmit-interval 100
  receive-interval 100
  detect-multiplier 20
router bgp 65002
 bgp router-id 192.0.2.2
 no bgp ebgp-requires-policy
 neighbor 192.0.2.1 remote-as 65001
 neighbor 192.0.2.1 passive
 neighbor 192.0.2.1 bfd
 neighbor 192.0.2.1 bfd profile fast
 neighbor eth1 interface remote-as external
 neighbor eth1 bfd
 neighbor eth1 bfd profile fast
`

// real is a speaker's part that follows sessions, on a real FRR.
type real struct {
	*Speaker
	lines        []string
	node, router *frrtest.FRR
}

func startReal(t *testing.T, node frrtest.Options, p *plan.NodePlan) *real {
	t.Helper()
	r := &real{node: frrtest.Start(t, node), router: frrtest.Start(t, frrtest.Options{Listen: true})}
	frrtest.Link(t, "eth0", r.node, "192.0.2.1/24", r.router, "192.0.2.2/24")
	listener, err := bmp.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	r.node.Forward(t, "127.0.0.1:11019", listener.Addr().String())
	metrics, err := telemetry.NewSpeaker(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	driver := vtysh.New(vtysh.Options{Command: r.node.Vtysh()})
	t.Cleanup(func() { driver.Close() })
	log := funcr.New(func(_, args string) { r.lines = append(r.lines, args) }, funcr.Options{})
	r.Speaker = New(Options{Node: "n1", FRR: driver, BMP: listener, Log: log, Metrics: metrics})
	r.passed = true
	r.result = &plan.Result{Plan: p}
	r.intent = &intent.Intent{Config: &intent.Config{}}
	r.sessions.plan(p)
	r.asker.label(r.sessions)
	r.asker.ask(r.sessions, false, false)
	go r.asker.run(t.Context())
	return r
}

// until lets the speaker hear until done.
func (r *real) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for !done() {
		select {
		case e := <-r.BMP.Events():
			r.heard(e)
		case a := <-r.asker.answers:
			r.answered(a)
		case <-limit:
			t.Fatalf("waited 30 s for %s; logged:\n%s", what, strings.Join(r.lines, "\n"))
		}
	}
}

func (r *real) logged(parts ...string) bool {
	for _, l := range r.lines {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(l, p)
		}
		if all {
			return true
		}
	}
	return false
}

// reported is the session in the latest report; in the default VRF.
func (r *real) reported(address string) v1beta1.SessionStatus { return r.in("", address) }

func (r *real) in(vrf, address string) v1beta1.SessionStatus {
	if latest := r.latest.Load(); latest != nil {
		for _, s := range latest.sessions {
			if s.Address == address && s.VRF == vrf {
				return s
			}
		}
	}
	return v1beta1.SessionStatus{}
}

func TestUnnumberedSessionsAndBFDOfRealFRR(t *testing.T) {
	t.Parallel()
	bfd := &intent.BFDProfile{Name: "fast"}
	p := planWith("192.0.2.2")
	p.Routers[0].Sessions[0].Peer.BFD = bfd
	p.Routers[0].Sessions = append(p.Routers[0].Sessions, &plan.Session{ID: "eth1", Peer: &intent.Peer{Name: "link", Interface: "eth1", Port: 179, BFD: bfd}})
	r := startReal(t, frrtest.Options{}, p)
	frrtest.Link(t, "eth1", r.node, "198.51.100.1/24", r.router, "198.51.100.2/24")
	r.router.Load(t, routerConf)
	r.node.Load(t, nodeConf)
	for _, s := range []struct{ peer, addr string }{{"peer-192.0.2.2", "192.0.2.2"}, {"link", "eth1"}} {
		r.until(t, "session and BFD session of "+s.addr, func() bool {
			st := r.reported(s.addr)
			return st.Peer == s.peer && st.State == v1beta1.SessionEstablished && st.BFD == "up" && !st.Since.IsZero()
		})
		who := `"peer"="` + s.peer + `" "addr"="` + s.addr + `"`
		if !r.logged("BGP session established", who) || !r.logged("BFD session up", who) {
			t.Errorf("no lines of %s in the log:\n%s", s.addr, strings.Join(r.lines, "\n"))
		}
	}

	r.scrape(t)

	// The unnumbered session ends, and bgpd's report names no interface.
	r.lines = nil
	r.router.Load(t, "router bgp 65002\n neighbor eth1 shutdown message power cut\n")
	began := time.Now()
	r.until(t, "the end of eth1", func() bool { return r.reported("eth1").State == v1beta1.SessionDown })
	t.Logf("end of the unnumbered session seen after %v", time.Since(began).Round(time.Millisecond))
	if want := "Cease/Administrative Shutdown"; !r.logged("BGP session lost", `"addr"="eth1"`, want) || !strings.Contains(r.reported("eth1").Reason, want) {
		t.Errorf("reported %+v and logged\n%s\nwant the reason %q", r.reported("eth1"), strings.Join(r.lines, "\n"), want)
	}
	if r.logged("192.0.2.2") {
		t.Errorf("the other session is in the log:\n%s", strings.Join(r.lines, "\n"))
	}

	// A link that goes down, and returns.
	r.router.Load(t, "router bgp 65002\n no neighbor eth1 shutdown\n")
	r.until(t, "the return of eth1", func() bool { st := r.reported("eth1"); return st.State == v1beta1.SessionEstablished && st.BFD == "up" })
	r.lines = nil
	r.router.Run(t, "ip", "link", "set", "eth1", "down")
	began = time.Now()
	r.until(t, "the loss of eth1", func() bool { st := r.reported("eth1"); return st.State == v1beta1.SessionDown && st.BFD != "up" })
	t.Logf("link down seen after %v, reported %+v, logged\n%s", time.Since(began).Round(time.Millisecond), r.reported("eth1"), strings.Join(r.lines, "\n"))
	if !r.logged("BFD session down", `"addr"="eth1"`, `"diagnostic"=`) {
		t.Errorf("no line of the BFD session's end in the log:\n%s", strings.Join(r.lines, "\n"))
	}
}

// Two routers have the same address, one of them in a VRF.
func TestSameAddressInAVRFOfRealFRR(t *testing.T) {
	t.Parallel()
	bfd := &intent.BFDProfile{Name: "fast"}
	p, red := planWith("192.0.2.2"), planWith("192.0.2.2").Routers[0]
	red.VRF, red.Sessions[0].ID, red.Sessions[0].Peer.Name, red.Sessions[0].Peer.BFD = "red", "192.0.2.2-red", "red", bfd
	p.Routers = append(p.Routers, red)
	r := startReal(t, frrtest.Options{VRFs: []string{"red"}}, p)
	other := frrtest.Start(t, frrtest.Options{Listen: true})
	frrtest.Link(t, "eth1", r.node, "192.0.2.1/24", other, "192.0.2.2/24")
	r.node.Move(t, "eth1", "red", "192.0.2.1/24")
	other.Load(t, routerConf)
	r.node.Load(t, strings.ReplaceAll(nodeConf, "eth1", "eth7")+strings.Replace(nodeConf[strings.Index(nodeConf, "router bgp"):strings.Index(nodeConf, " neighbor eth1")], "65001", "65001 vrf red", 1))
	state := func(vrf string) v1beta1.SessionState { return r.in(vrf, "192.0.2.2").State }
	r.until(t, "the session in the VRF", func() bool { return state("red") == v1beta1.SessionEstablished && r.in("red", "192.0.2.2").BFD == "up" })
	if got := state(""); got != v1beta1.SessionDown || r.in("", "192.0.2.2").BFD != "" {
		t.Errorf("the session outside the VRF, whose router does not answer, is %+v", r.in("", "192.0.2.2"))
	}
	if got, err := r.State(t.Context()); err != nil || !got.Session("red", "192.0.2.2").Up() || got.Session("", "192.0.2.2").Up() {
		t.Errorf("FRR's state is %+v, %v; want the session in the VRF up", got, err)
	}
	if !r.sessions.pushed {
		t.Error("bgpd reported nothing of the VRF")
	}
	other.Load(t, "router bgp 65002\n neighbor 192.0.2.1 shutdown\n")
	began := time.Now()
	r.until(t, "the end of the session in the VRF", func() bool { return state("red") == v1beta1.SessionDown })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the end was seen after %v: bgpd's report did not make us ask", took)
	}
	t.Logf("end seen after %v", time.Since(began).Round(time.Millisecond))
	// Without a report: asked about every second.
	r.node.Load(t, "router bgp 65001 vrf red\n no bmp targets speaker\n")
	r.sessions.pushed = false
	r.asker.ask(r.sessions, true, true)
	other.Load(t, "router bgp 65002\n no neighbor 192.0.2.1 shutdown\n")
	r.until(t, "the session's return", func() bool { return state("red") == v1beta1.SessionEstablished })
}

// scrape looks at the metrics of r's sessions until they are as they must be.
func (r *real) scrape(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		wrong := r.scrapeOnce(t)
		if len(wrong) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Errorf("after 15 s:\n%s", strings.Join(wrong, "\n"))
			return
		}
	}
}

// scrapeOnce returns what is wrong in one scrape.
func (r *real) scrapeOnce(t *testing.T) (wrong []string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if _, err := telemetry.NewFRR(registry, r.State); err != nil {
		t.Fatal(err)
	}
	got, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]float64{}
	for _, f := range got {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			series[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	for _, want := range scrapeWants {
		tor := "192.0.2.2:179"
		if strings.HasPrefix(want.name, "bfd") {
			tor = "192.0.2.2"
		}
		for _, peer := range []string{tor, "eth1"} {
			name := "metallb_" + want.name + " peer=" + peer + " vrf=default"
			if v, ok := series[name]; !ok || v < want.least || v > want.most {
				wrong = append(wrong, fmt.Sprintf("%s is %v (there: %t), want %v to %v", name, v, ok, want.least, want.most))
			}
		}
	}
	if n := len(series); n != 12*2+8*2+1 {
		wrong = append(wrong, fmt.Sprintf("%d series, want those of two sessions and the errors", n))
	}
	return wrong
}

// scrapeWants are bounds of each metric of a session that is up.
var scrapeWants = []struct {
	name        string
	least, most float64
}{
	{"bgp_session_up", 1, 1}, {"bgp_announced_prefixes_total", 2, 2}, {"bgp_updates_total", 2, 10}, {"bgp_updates_total_received", 1, 10},
	{"bgp_opens_sent", 1, 10}, {"bgp_opens_received", 1, 10}, {"bgp_notifications_sent", 0, 10}, {"bgp_keepalives_sent", 1, 10},
	{"bgp_keepalives_received", 1, 10}, {"bgp_route_refresh_sent", 0, 10}, {"bgp_total_sent", 4, 40}, {"bgp_total_received", 3, 40},
	{"bfd_session_up", 1, 1}, {"bfd_control_packet_input", 3, 1e6}, {"bfd_control_packet_output", 3, 1e6}, {"bfd_echo_packet_input", 0, 0},
	{"bfd_echo_packet_output", 0, 0}, {"bfd_session_up_events", 1, 100}, {"bfd_session_down_events", 0, 100}, {"bfd_zebra_notifications", 1, 100},
}

func TestAliveAndScrapesWithoutADaemon(t *testing.T) {
	t.Parallel()
	node := frrtest.Start(t, frrtest.Options{})
	driver := vtysh.New(vtysh.Options{Command: node.Vtysh()})
	t.Cleanup(func() { driver.Close() })
	metrics, err := telemetry.NewSpeaker(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Node: "n1", FRR: driver, Metrics: metrics})
	if err := s.Alive(t.Context()); err != nil {
		t.Errorf("with all daemons: %v", err)
	}
	if _, err := s.State(t.Context()); err != nil {
		t.Errorf("with all daemons: %v", err)
	}
	for _, d := range vtysh.Daemons() {
		node.KillDaemon(t, d)
		var down *vtysh.DownError
		if err := s.Alive(t.Context()); !errors.As(err, &down) || down.Daemon != d {
			t.Errorf("alive without %s: %v, want a DownError", d, err)
		}
		if _, err := s.State(t.Context()); !errors.As(err, &down) {
			t.Errorf("state without %s: %v, want a DownError", d, err)
		}
		node.StartDaemon(t, d)
		if err := s.Alive(t.Context()); err != nil {
			t.Errorf("with %s back: %v", d, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	node.Signal(t, "bfdd", "STOP")
	if err := s.Alive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with bfdd hanging: %v, want the end of the time that there was", err)
	}
}

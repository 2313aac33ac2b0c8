// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

// node is a thin speaker: it applies one document again whenever a daemon has
// ended or come back, until that succeeds.
type node struct {
	*Driver
	events chan DaemonEvent
}

func newNode(t testing.TB, f *frrtest.FRR, o Options) *node {
	t.Helper()
	o.RunDir = f.Path("/run/frr")
	n := &node{Driver: driver(t, f, o), events: make(chan DaemonEvent, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); n.Watch(ctx, func(e DaemonEvent) { n.events <- e }) }()
	t.Cleanup(func() { cancel(); <-done })
	for range 4 {
		if e := n.event(t); !e.Up {
			t.Fatalf("%s is reported as down", e.Daemon)
		}
	}
	return n
}

func (n *node) event(t testing.TB) DaemonEvent {
	t.Helper()
	select {
	case e := <-n.events:
		return e
	case <-time.After(15 * time.Second):
		t.Fatal("no report of a daemon within 15 s")
		return DaemonEvent{}
	}
}

// back waits until the daemons named are up again and doc is in force.
func (n *node) back(t testing.TB, doc *frr.Document, down ...string) {
	t.Helper()
	missing := map[string]bool{}
	for _, d := range down {
		missing[d] = true
	}
	for {
		n.Forget()
		a, err := n.Apply(t.Context(), doc)
		if err == nil && len(missing) == 0 {
			clean(t, a)
			return
		}
		var gone *DownError
		if err != nil && !errors.As(err, &gone) {
			t.Logf("meanwhile: %v", err)
		}
		if e := n.event(t); e.Up {
			delete(missing, e.Daemon)
		}
	}
}

// The end of each daemon is told at once. With it back everything is in force
// again, and what need not suffer does not: without BFD only bgpd's own death
// costs routes.
func TestEachDaemonKilled(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	n := newNode(t, f, Options{})
	far := newFar(t, f, n.Driver, 5, false)
	doc := document(5, plain(false))
	before := sorted(f.Running(t))
	for _, daemon := range []string{"zebra", "mgmtd", "bfdd", "bgpd"} {
		flaps := far.flaps(t)
		at := time.Now()
		f.KillDaemon(t, daemon)
		e := n.event(t)
		if e.Daemon != daemon || e.Up {
			t.Fatalf("reported %+v, want the end of %s", e, daemon)
		}
		if noticed := e.At.Sub(at); noticed > time.Second {
			t.Errorf("%s: its end was noticed after %v", daemon, noticed)
		} else {
			t.Logf("%s: its end was noticed within %v of the order to kill it", daemon, noticed.Round(time.Millisecond))
		}
		go f.StartDaemon(t, daemon)
		n.back(t, doc, daemon)
		t.Logf("%s: all in force %v after the kill", daemon, time.Since(at).Round(time.Millisecond))
		drift(t, n.Driver, 0)
		if after := sorted(f.Running(t)); after != before {
			t.Errorf("with %s back the running configuration was\n%s\nis\n%s", daemon, before, after)
		}
		if daemon == "bgpd" {
			far.router.WaitFor(t, "show bgp neighbors 192.0.2.1 json", `"connectionsDropped":1`)
		}
		far.routes.Wait(t, "10.0.0.3")
		lost := far.settled(t, n.Driver, 5, plain(false))
		if now := far.flaps(t); daemon != "bgpd" && (now != flaps || len(lost) > 0) {
			t.Errorf("%s: the session ended %s times, before %s; routes lost %q", daemon, now, flaps, lost)
		}
	}
}

// BFD sessions come back after every daemon's end, in whatever order daemons find
// each other again; typing it again does not disturb those that are there.
func TestBFDAfterDaemonsKilled(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, kill string }{{"the order that FRR forgets", "zebra bfdd"}, {"zebra", "zebra"}, {"bfdd", "bfdd"}, {"mgmtd", "mgmtd"}} {
		t.Run(c.name, func(t *testing.T) {
			f := frrtest.Start(t, frrtest.Options{})
			n := newNode(t, f, Options{})
			far := newFar(t, f, n.Driver, 5, true)
			f.WaitFor(t, "show bfd peers brief", "up")
			flaps := far.flaps(t)
			if again, err := n.ReviveBFD(t.Context()); again != 0 || err != nil {
				t.Errorf("with all sessions there: %d revived, %v", again, err)
			}
			f.Load(t, "router bgp 65100\n neighbor 192.0.2.2 bfd\n")
			if now := far.flaps(t); now != flaps {
				t.Errorf("typed again, the line ended the session")
			}
			doc := document(5, plain(true))
			for _, daemon := range strings.Fields(c.kill) {
				f.KillDaemon(t, daemon)
				go f.StartDaemon(t, daemon)
				n.back(t, doc, daemon)
			}
			tick := time.NewTicker(200 * time.Millisecond)
			defer tick.Stop()
			var revived int
			for end := time.Now().Add(15 * time.Second); ; <-tick.C {
				again, err := n.ReviveBFD(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				revived += again
				brief := f.Run(t, "vtysh", "-c", "show bfd peers brief")
				summary := f.Run(t, "vtysh", "-c", "show bgp neighbors 192.0.2.2 json")
				if containsWord(brief, "up") && strings.Contains(summary, `"bgpState":"Established"`) {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("15 s later, with %d revived:\n%s", revived, brief)
				}
			}
			far.settled(t, n.Driver, 5, plain(true))
			t.Logf("revived %d times; the session ended %s times, before %s", revived, far.flaps(t), flaps)
		})
	}
}

// An FRR that is started again as a whole, bare or with its file, is brought to
// the whole configuration.
func TestWholeFRRRestarted(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	n := newNode(t, f, Options{})
	far := newFar(t, f, n.Driver, 5, false)
	doc := document(5, plain(false))
	before := sorted(f.Running(t))
	for _, file := range []string{"", doc.Text(), document(3, plain(false)).Text()} {
		for _, daemon := range frrtest.Daemons {
			f.KillDaemon(t, daemon)
		}
		far.routes.WaitGone(t, "10.0.0.3")
		go func() {
			for _, daemon := range frrtest.Daemons {
				f.StartDaemon(t, daemon)
			}
			if file != "" { // as watchfrr does, at the same time as the Driver
				f.Load(t, file)
			}
		}()
		n.back(t, doc, frrtest.Daemons...)
		far.routes.Wait(t, "10.0.0.3")
		far.settled(t, n.Driver, 5, plain(false))
		if found, err := n.Drift(t.Context()); err != nil || len(found) > 0 {
			repair(t, n.Driver, doc)
		}
		if after := sorted(f.Running(t)); after != before {
			t.Errorf("with a file of %d bytes: the running configuration was\n%s\nis\n%s", len(file), before, after)
		}
	}
}

// A vtysh that is killed in the middle of a load leaves part of it behind. The
// next Apply completes it, whatever part that is.
func TestLoadKilledHalfway(t *testing.T) {
	t.Parallel()
	seeds := uint64(12)
	if os.Getenv("METALLB_SOAK") != "" {
		seeds = 200
	}
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	far := newFar(t, f, d, 5, false)
	flaps := far.flaps(t)
	was := document(5, plain(false))
	halves := 0
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 3))
		doc := document(6+r.IntN(200), plain(false), many(r.IntN(40)), edit(nil, "out map 192.0.2.2 web.v4", "65000:100", fmt.Sprintf("65000:%d", seed+1)))
		pid := d.shell.cmd.Process.Pid
		timer := time.AfterFunc(time.Duration(r.IntN(60_000))*time.Microsecond, func() { syscall.Kill(-pid, syscall.SIGKILL) })
		_, err := d.Apply(t.Context(), doc)
		timer.Stop()
		if err != nil {
			halves++
		}
		clean(t, apply(t, d, doc))
		drift(t, d, 0)
		if delta := frr.Diff(frr.ParseRunning(f.Running(t)), doc); len(delta.Commands) > 0 {
			t.Fatalf("seed %d: the running configuration differs by %q", seed, texts(delta.Commands))
		}
		clean(t, apply(t, d, was))
	}
	t.Logf("%d of %d loads were broken off", halves, seeds)
	if halves == 0 {
		t.Error("no load was broken off")
	}
	for _, r := range far.settled(t, d, 5, plain(false)) {
		if strings.HasPrefix(r, "10.0.0.") && len(r) == len("10.0.0.1") && r < "10.0.0.5" {
			t.Errorf("route %s, which was always wanted, was lost for a moment", r)
		}
	}
	if now := far.flaps(t); now != flaps {
		t.Errorf("the session has ended %s times, before %s", now, flaps)
	}
}

// many is a fragment of that many route-map entries: what makes a load a batch.
func many(n int) [2]string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "route-map many permit %d\n set tag %d\n", i+1, i+1)
	}
	return [2]string{"class many", text.String()}
}

// A bgpd that does not answer for a while delays a change; for longer than the
// time limit, it is tried again, and nothing is lost of what was there.
func TestHangingDaemon(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{Timeout: 2 * time.Second})
	far := newFar(t, f, d, 5, false)
	flaps := far.flaps(t)
	for _, hang := range []time.Duration{time.Second, 3 * time.Second} {
		f.Signal(t, "bgpd", "STOP")
		go func() {
			time.Sleep(hang) // the fault itself, nothing is waited for
			f.Signal(t, "bgpd", "CONT")
		}()
		began := time.Now()
		tries := 1
		for ; ; tries++ {
			_, err := d.Apply(t.Context(), document(6, plain(false)))
			if err == nil {
				break
			}
			t.Logf("hanging for %v: %v", hang, err)
			if time.Since(began) > 15*time.Second {
				t.Fatal("no success within 15 s")
			}
		}
		if hang < 2*time.Second && tries > 1 {
			t.Errorf("a bgpd that hangs for %v took %d tries", hang, tries)
		}
		far.routes.Wait(t, "10.0.0.5")
		clean(t, apply(t, d, document(5, plain(false))))
		far.routes.WaitGone(t, "10.0.0.5")
		drift(t, d, 0)
	}
	for _, r := range far.settled(t, d, 5, plain(false)) {
		if r != "10.0.0.5" {
			t.Errorf("route %s was lost", r)
		}
	}
	if now := far.flaps(t); now != flaps {
		t.Errorf("the session has ended %s times, before %s", now, flaps)
	}
}

// Somebody in configuration mode keeps no repair out. Somebody with the lock
// keeps out only what is loaded as one transaction, and only for as long.
func TestConfigurationLockHeld(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	doc := document(1, many(40))
	clean(t, apply(t, d, doc))
	other, err := startShell(f.Vtysh(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer other.kill()
	for _, c := range []struct {
		mode, typed string
		locked      bool
	}{
		{"configure terminal", "router bgp 65100\n neighbor 192.0.2.2 description mine\nroute-map web.v4 permit 1\n set tag 8\n", false},
		{"configure terminal file-lock", "router bgp 65100\n neighbor 192.0.2.2 description mine\n", false},
		{"configure terminal file-lock", "no route-map many\n", true},
	} {
		f.Load(t, c.typed)
		if _, err := other.ask(t.Context(), c.mode); err != nil {
			t.Fatal(err)
		}
		drift(t, d, -1)
		if _, err := d.Repair(t.Context(), doc); c.locked != errors.Is(err, ErrLocked) || !c.locked && err != nil {
			t.Errorf("repair of %q while another session is in %q: %v", c.typed, c.mode, err)
		}
		if _, err := other.ask(t.Context(), "end"); err != nil {
			t.Fatal(err)
		}
		if c.locked {
			drift(t, d, -1)
			repair(t, d, doc)
		}
		drift(t, d, 0)
	}
}

// A refusal inside a large load leaves the rest in force, is told once for each
// Apply, and the file does not have it.
func TestRefusalsInABatch(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	path := filepath.Join(t.TempDir(), "frr.conf")
	d := driver(t, f, Options{ConfFile: path})
	bad := [2]string{"neighbor 192.0.2.9", "router bgp 65100\n neighbor 192.0.2.9 remote-as 65100000000\n neighbor 192.0.2.9 description nine\n neighbor 192.0.2.9 timers 3 9\n"}
	a := apply(t, d, document(5, many(30), bad))
	if a.Commands < 60 || len(a.Refused) == 0 {
		t.Fatalf("typed %d commands, refused %+v", a.Commands, a.Refused)
	}
	for _, r := range a.Refused {
		if r.Origins[0].Name != "neighbor 192.0.2.9" || r.Message == "" {
			t.Errorf("refused %+v, want lines of the bad neighbour only", r)
		}
	}
	drift(t, d, 0)
	if b := apply(t, d, document(5, many(30), bad)); b.Commands != 0 || len(b.Refused) != len(a.Refused) {
		t.Errorf("the same again: typed %d, refused %+v", b.Commands, b.Refused)
	}
	if b := apply(t, d, document(6, many(30), bad)); b.Commands != 1 {
		t.Errorf("one network more: typed %d, want 1", b.Commands)
	}
	has(t, f, " neighbor 192.0.2.2 remote-as 65000", "  network 10.0.0.5/32 route-map web.v4", "route-map many permit 30")
	if strings.Contains(f.Running(t), "192.0.2.9") {
		t.Errorf("the refused neighbour is there")
	}
	bad[1] = strings.Replace(bad[1], "65100000000", "65009", 1)
	clean(t, apply(t, d, document(6, many(30), bad)))
	has(t, f, " neighbor 192.0.2.9 remote-as 65009", " neighbor 192.0.2.9 description nine", " neighbor 192.0.2.9 timers 3 9")
	bad[1] = strings.Replace(bad[1], "65009", "65100000000", 1)
	apply(t, d, document(6, many(30), bad))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(text), "65100000000") || !strings.Contains(string(text), "network 10.0.0.5/32") {
		t.Errorf("the file: %v\n%s", err, text)
	}
}

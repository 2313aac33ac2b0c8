// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"bufio"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

// stuckMgmtd brings mgmtd to hold its own lock for ever: zebra stops in the middle
// of taking its configuration.
func stuckMgmtd(t *testing.T, f *frrtest.FRR) {
	t.Helper()
	for try := range 30 {
		f.KillDaemon(t, "zebra")
		f.LaunchDaemon(t, "zebra")
		// It begins some 30 ms after its start, and takes some 20 ms.
		time.Sleep(time.Duration(20+5*try) * time.Millisecond)
		f.Signal(t, "zebra", "STOP")
		said := f.Run(t, "sh", "-c", "printf 'configure terminal\\nroute-map x permit 1\\n' | timeout 1 vtysh -d mgmtd 2>&1; :")
		if strings.Contains(said, "could not lock running DS") {
			return
		}
	}
	t.Fatal("mgmtd was not caught while zebra takes its configuration in 30 tries")
}

// A mgmtd that holds its own lock is started again, but not before it had time to
// release it; what it refused meanwhile is in force then.
func TestMgmtdStartedAgainWhenItsLockIsStuck(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	pipe := f.Path("/run/frr/requests")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	asked, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer asked.Close()

	d := New(Options{Command: append(f.Vtysh(), "-d", "mgmtd"), RunDir: f.Path("/run/frr"), Daemons: []string{"mgmtd"}})
	defer d.Close()
	doc := func(n int) *frr.Document { return frr.ParseConf(many(n)[1]) }
	clean(t, apply(t, d, doc(300)))
	stuckMgmtd(t, f)
	began := time.Now()
	for {
		_, err := d.Apply(t.Context(), doc(301))
		if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "by mgmtd itself") {
			t.Fatalf("Apply: %v, want ErrLocked by mgmtd itself", err)
		}
		if strings.Contains(err.Error(), "started again") {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatal("no request for mgmtd within 10 s")
		}
		time.Sleep(100 * time.Millisecond) // as the speaker does between two tries
	}
	if took := time.Since(began); took < lockPatience {
		t.Errorf("mgmtd was given %v, want %v at least", took, lockPatience)
	}
	if _, err := d.Apply(t.Context(), doc(301)); !errors.Is(err, ErrLocked) {
		t.Errorf("Apply before mgmtd has started again: %v", err)
	}
	if err := asked.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(asked)
	if !lines.Scan() || lines.Text() != "mgmtd" {
		t.Fatalf("the container is asked for %q (%v), want mgmtd", lines.Text(), lines.Err())
	}
	f.KillDaemon(t, "mgmtd")
	f.StartDaemon(t, "mgmtd")
	d.Forget()
	clean(t, apply(t, d, doc(301)))
	if running := f.Run(t, "vtysh", "-d", "mgmtd", "-c", "show running-config"); !strings.Contains(running, "route-map many permit 301") {
		t.Errorf("mgmtd has\n%s", running)
	}
	if lines.Scan() {
		t.Errorf("the container is asked a second time, for %q", lines.Text())
	}
	f.Signal(t, "zebra", "CONT")
}

// A lock of somebody else's is respected, however long it is held.
func TestLockOfAnotherSessionIsRespected(t *testing.T) {
	d := New(Options{RunDir: t.TempDir()})
	d.stuck.since = time.Now().Add(-time.Hour)
	err := d.unstick(verdict{refusal: "command failed, could not lock candidate DS", locked: true}.lockError())
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "by another session") || strings.Contains(err.Error(), "again") {
		t.Errorf("the error is %v", err)
	}
	d.stuck.since = time.Now().Add(-time.Hour)
	err = d.unstick(verdict{refusal: "command failed, could not lock running DS", locked: true}.lockError())
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "asking the frr container to start mgmtd again: ") {
		t.Errorf("with nobody to ask the error is %v", err)
	}
}

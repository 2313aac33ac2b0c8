// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

func TestRestartedDaemonGetsItsConfigurationBack(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	clean(t, apply(t, d, document(20)))
	before := f.Running(t)
	for _, told := range []bool{true, false} {
		for _, daemon := range []string{"bgpd", "bfdd", "zebra", "mgmtd"} {
			f.KillDaemon(t, daemon)
			if told {
				d.Forget()
			}
			_, err := d.Apply(t.Context(), document(21))
			var down *DownError
			if !errors.As(err, &down) || down.Daemon != daemon {
				t.Errorf("Apply without %s: %v, want a DownError", daemon, err)
			}
			f.StartDaemon(t, daemon)
			if told {
				d.Forget()
			}
			clean(t, apply(t, d, document(20)))
			if after := f.Running(t); sorted(after) != sorted(before) {
				t.Errorf("with %s back: running configuration was\n%s\nis\n%s", daemon, before, after)
			}
		}
	}
}

func TestDaemonRestartedBehindTheBack(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	clean(t, apply(t, d, document(20)))
	f.KillDaemon(t, "bgpd")
	f.StartDaemon(t, "bgpd")
	// The change itself finds out, and one call is enough.
	clean(t, apply(t, d, document(21)))
	has(t, f, " neighbor 192.0.2.2 remote-as 65000", "  network 10.0.0.3/32 route-map web.v4", "  network 10.0.0.20/32 route-map web.v4")
}

func TestVtyshKilled(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	clean(t, apply(t, d, document(1)))
	syscall.Kill(d.shell.cmd.Process.Pid, syscall.SIGKILL)
	if _, err := d.Apply(t.Context(), document(2)); err == nil {
		t.Error("Apply through a killed vtysh succeeds")
	} else {
		t.Log(err)
	}
	if a := clean(t, apply(t, d, document(2))); a.Commands != 1 {
		t.Errorf("typed %d commands, want 1", a.Commands)
	}
	has(t, f, "  network 10.0.0.1/32 route-map web.v4")
}

func TestVtyshHangs(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{Timeout: 2 * time.Second})
	clean(t, apply(t, d, document(1)))
	syscall.Kill(d.shell.cmd.Process.Pid, syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := d.Apply(ctx, document(2)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Apply through a stopped vtysh: %v, want the context's error", err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("Apply outlived its context by %v", took)
	}
	clean(t, apply(t, d, document(2)))

	pid := d.shell.cmd.Process.Pid
	syscall.Kill(pid, syscall.SIGSTOP)
	if _, err := d.Apply(t.Context(), document(3)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Apply through a stopped vtysh: %v, want a deadline's error", err)
	} else {
		t.Log(err)
	}
	if syscall.Kill(pid, 0) == nil {
		t.Error("the stopped vtysh is still there")
	}
	clean(t, apply(t, d, document(3)))
	has(t, f, "  network 10.0.0.2/32 route-map web.v4")
}

func TestLockedConfiguration(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	other, err := startShell(f.Vtysh(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer other.kill()
	if _, err := other.ask(t.Context(), "configure terminal file-lock"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Apply(t.Context(), document(1)); !errors.Is(err, ErrLocked) {
		t.Errorf("Apply while another session has the lock: %v, want ErrLocked", err)
	}
	if _, err := other.ask(t.Context(), "end"); err != nil {
		t.Fatal(err)
	}
	clean(t, apply(t, d, document(1)))
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 5 {
				if _, err := d.Apply(t.Context(), document(i+j)); err != nil {
					t.Error(err)
				}
				var summary map[string]any
				if err := d.Show(t.Context(), "show bgp summary json", &summary); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	clean(t, apply(t, d, document(3)))
	has(t, f, "  network 10.0.0.2/32 route-map web.v4", "-  network 10.0.0.3/32 route-map web.v4")
}

// sorted is text with its lines in order: FRR prints some settings in the order
// in which daemons started.
func sorted(text string) string {
	return strings.Join(sortedLines(text), "\n")
}

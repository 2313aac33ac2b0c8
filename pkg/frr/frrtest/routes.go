// SPDX-License-Identifier: Apache-2.0

package frrtest

import (
	"bufio"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// RouteLog is what the kernel of an FRR has reported of its routes.
type RouteLog struct {
	mu      sync.Mutex
	present map[string]time.Time // when it was last added
	deleted []string
	changed chan struct{} // capacity 1
}

// WatchRoutes notes from now on every route that f's kernel gets or loses.
func (f *FRR) WatchRoutes(t testing.TB) *RouteLog {
	t.Helper()
	enter := f.Enter("ip", "-o", "monitor", "route", "label")
	cmd := exec.Command(enter[0], enter[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("watching routes: %v", err)
	}
	w := &RouteLog{present: map[string]time.Time{}, changed: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			w.note(lines.Text())
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-done
		cmd.Wait()
	})
	// The monitor is there once it shows a route of ours.
	f.wait(t, "the route monitor", func() bool {
		f.Run(t, "ip", "route", "replace", "blackhole", "198.51.100.255/32")
		f.Run(t, "ip", "route", "del", "blackhole", "198.51.100.255/32")
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.deleted) > 0
	})
	w.Forget()
	return w
}

func (w *RouteLog) note(line string) {
	_, line, _ = strings.Cut(line, "[ROUTE]")
	words := slices.DeleteFunc(strings.Fields(line), func(s string) bool { return s == "blackhole" || s == "unicast" || s == "local" })
	if len(words) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if words[0] == "Deleted" && len(words) > 1 {
		delete(w.present, words[1])
		w.deleted = append(w.deleted, words[1])
	} else {
		w.present[words[0]] = time.Now()
	}
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Wait returns when the kernel has route ("10.0.0.1", "10.0.0.0/24"), with the
// time at which it came. Only routes that came since WatchRoutes are known.
func (w *RouteLog) Wait(t testing.TB, route string) time.Time {
	t.Helper()
	var came time.Time
	w.wait(t, route+" to be there", func() (ok bool) { came, ok = w.present[route]; return ok })
	return came
}

// WaitGone returns when the kernel has lost route.
func (w *RouteLog) WaitGone(t testing.TB, route string) {
	t.Helper()
	w.wait(t, route+" to be gone", func() bool { _, ok := w.present[route]; return !ok })
}

func (w *RouteLog) wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	limit := time.After(timeLimit)
	for {
		w.mu.Lock()
		ok := done()
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-w.changed:
		case <-limit:
			t.Fatalf("waited %v for the route %s", timeLimit, what)
		}
	}
}

// Deleted returns the routes that the kernel has lost since Forget, each as often
// as it did, also those that came back.
func (w *RouteLog) Deleted() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.deleted)
}

// Forget drops what was noted of lost routes.
func (w *RouteLog) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deleted = nil
}

// SPDX-License-Identifier: Apache-2.0

package members

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
)

// burn tells a copy of this program to keep every core busy.
const burn = "METALLB_TEST_BURN"

func TestMain(m *testing.M) {
	if os.Getenv(burn) != "" {
		load()
		<-time.After(2 * time.Hour) // the test that started it ends it before
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// load keeps two goroutines busy for each core.
func load() {
	for range 2 * runtime.NumCPU() {
		go func() {
			for x := 1; x != 0; x += 2 {
			}
		}()
	}
}

// busy keeps all cores busy from another process, until the test ends.
func busy(t testing.TB) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), burn+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is of the thread
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		runtime.UnlockOSThread()
	})
}

// TestNobodyIsTakenForDead keeps every core busy, twice over, beside members that
// all share one process, and lets none of them be declared dead. METALLB_SOAK=1
// has 100 members for 30 minutes; METALLB_SOAK may be a time as well.
func TestNobodyIsTakenForDead(t *testing.T) {
	n, d := 30, 8*time.Second
	if soak := os.Getenv("METALLB_SOAK"); soak != "" {
		n, d = 100, 30*time.Minute
		if given, err := time.ParseDuration(soak); err == nil {
			d = given
		}
	}
	var deaths, objections, failed atomic.Int64
	watch := funcr.New(func(_, args string) {
		switch {
		case strings.Contains(args, "member is dead or has left"), strings.Contains(args, "member is silent"):
			deaths.Add(1)
			t.Log(args)
		case strings.Contains(args, "Refuting a suspect message"):
			objections.Add(1)
		case strings.Contains(args, "no acks received"):
			failed.Add(1)
		}
	}, funcr.Options{Verbosity: 1})
	all := cluster(t, n, func(o *Options) { o.Log = watch })
	busy(t)
	deaths.Store(0)
	cpu, packets := atRest(all, d)
	t.Logf("%d members, %v: %d probes failed, %d suspects objected; %.2f cores, %.0f packets a second", n, d, failed.Load(), objections.Load(), cpu, packets)
	if deaths.Load() > 0 {
		t.Errorf("%d times a living member was taken for dead", deaths.Load())
	}
}

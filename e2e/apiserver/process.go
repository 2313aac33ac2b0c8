// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// endLimit is how long a process may take to end before it is killed.
const endLimit = 10 * time.Second

// process is a child that ends with the test, or with the test's process.
type process struct {
	name  string
	ended chan struct{} // closed when it has ended

	mu     sync.Mutex
	output bytes.Buffer
}

// launch starts a program in dir. The kernel kills the child when the thread
// that started it ends, so that thread is kept until the child has ended.
func launch(t testing.TB, dir, program string, args ...string) (*process, error) {
	t.Helper()
	p := &process{name: filepath.Base(program), ended: make(chan struct{})}
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, p, p
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is of no interest; what it said is kept
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.name, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-p.ended:
		case <-time.After(endLimit):
			_ = cmd.Process.Kill()
			<-p.ended
		}
	})
	return p, nil
}

// Write keeps the first 64 KiB of what the process says.
func (p *process) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if room := 1<<16 - p.output.Len(); room > 0 {
		p.output.Write(data[:min(room, len(data))])
	}
	return len(data), nil
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.TrimSpace(p.output.String())
}

// statePrefix begins the names of the folders that stateDir makes.
const statePrefix = "metallb-apiserver-"

// stateDir makes a folder for the test's processes, removed at its end. It holds
// a lock on it, so that folders of killed tests can be told: those are removed
// here.
func stateDir(t testing.TB) string {
	t.Helper()
	removeAbandoned(os.TempDir())
	dir, err := os.MkdirTemp("", statePrefix)
	if err != nil {
		t.Fatalf("making a folder for the API server: %v", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("removing the API server's folder: %v", err)
		}
		lock.Close()
	})
	return dir
}

// lockDir locks a folder until the file is closed or the process ends.
func lockDir(dir string) (*os.File, error) {
	file, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("locking: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", dir, err), file.Close())
	}
	return file, nil
}

// removeAbandoned removes the folders in parent that nobody holds a lock on. One
// that was just made may not be locked yet and is left alone.
func removeAbandoned(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, statePrefix+"*")) // the pattern is constant
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < 10*time.Second {
			continue
		}
		if lock, err := lockDir(dir); err == nil {
			os.RemoveAll(dir) // what cannot be removed is left to the next run
			lock.Close()
		}
	}
}

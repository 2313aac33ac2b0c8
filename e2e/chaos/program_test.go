// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is a running controller.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{}

	mu   sync.Mutex
	said bytes.Buffer
	more chan struct{} // closed at the next output
}

// launch starts a controller. It ends with the test, or with the test's process:
// the kernel kills it when the thread that started it ends, so that thread is kept.
func (w *world) launch(kubeconfig string, flags ...string) *program {
	w.t.Helper()
	path, err := build()
	if err != nil {
		w.t.Fatal(err)
	}
	p := &program{t: w.t, ended: make(chan struct{}), more: make(chan struct{})}
	p.cmd = exec.Command(path, append([]string{
		"--namespace=" + namespace, "--kubeconfig=" + kubeconfig, "--port=0", "--health-probe-port=0",
		"--webhook-mode=disabled", "--disable-cert-rotation",
	}, flags...)...)
	p.cmd.Env = []string{"HOME=" + os.TempDir(), "TMPDIR=" + os.TempDir()}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait() // how it ended is asked of ProcessState
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		w.t.Fatalf("start the controller: %v", err)
	}
	w.t.Cleanup(func() {
		p.kill()
		if w.t.Failed() {
			w.t.Logf("controller %d said:\n%s", p.cmd.Process.Pid, p.tail())
		}
	})
	return p
}

// Write keeps what the program says.
func (p *program) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said.Write(data)
	close(p.more)
	p.more = make(chan struct{})
	return len(data), nil
}

func (p *program) text() (string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String(), p.more
}

// tail returns the last of what it said.
func (p *program) tail() string {
	const most = 8 << 10
	text, _ := p.text()
	return text[max(0, len(text)-most):]
}

// says waits until the program has said something.
func (p *program) says(what string) {
	p.t.Helper()
	if !p.saysWithin(limit, what) {
		p.t.Fatalf("the controller did not say %q within %v:\n%s", what, limit, p.tail())
	}
}

// saysWithin reports whether the program has said something by then.
func (p *program) saysWithin(limit time.Duration, what string) bool {
	p.t.Helper()
	end := time.After(limit)
	for {
		text, more := p.text()
		if strings.Contains(text, what) {
			return true
		}
		select {
		case <-more:
		case <-p.ended:
			p.t.Fatalf("the controller ended (%v) before it said %q:\n%s", p.cmd.ProcessState, what, p.tail())
		case <-end:
			return false
		}
	}
}

// leads reports whether the program has become the leader.
func (p *program) leads() bool {
	text, _ := p.text()
	return strings.Contains(text, acquired)
}

// acquired is what client-go's leader election logs.
const acquired = "Successfully acquired lease"

func (p *program) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("signal %v: %v", s, err)
	}
}

// kill ends the program at once and returns when it has ended.
func (p *program) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.wait()
}

// wait waits for the program's end.
func (p *program) wait() {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(limit):
		p.t.Fatalf("the controller has not ended within %v:\n%s", limit, p.tail())
	}
}

// over reports whether the program has ended.
func (p *program) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// either waits until one of two programs has become the leader and returns which.
func either(t *testing.T, a, b *program) int {
	t.Helper()
	end := time.After(limit)
	for {
		_, moreA := a.text()
		_, moreB := b.text()
		switch {
		case a.leads() && !a.over():
			return 0
		case b.leads() && !b.over():
			return 1
		}
		select {
		case <-moreA:
		case <-moreB:
		case <-end:
			t.Fatalf("no leader within %v; they say:\n%s\n%s", limit, a.tail(), b.tail())
		}
	}
}

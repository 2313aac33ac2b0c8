// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// perLine is added to an exchange's time limit for each of its lines. One takes
// some tenths of a millisecond, a route-map entry in a large configuration some
// milliseconds.
const perLine = 10 * time.Millisecond

// window is the most lines that are typed before their answers are looked at.
const window = 1024

// shell is a running vtysh.
type shell struct {
	cmd     *exec.Cmd
	in      pipe
	out     pipe
	timeout time.Duration
	read    []byte // from out, behind the last whole line
	marks   int    // exchanges so far

	bulk  *os.File      // read by vtysh as bulkFile
	extra time.Duration // added to the time limit of the next exchange
}

// pipe is what os/exec's pipes are.
type pipe interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
}

func startShell(command []string, timeout time.Duration) (*shell, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = environment()
	// Its own process group, so that what a wrapper starts ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting vtysh: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting vtysh: %w", err)
	}
	cmd.Stderr = cmd.Stdout // warnings belong between the answers
	bulk, err := newBulk()
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = []*os.File{bulk}
	if err := cmd.Start(); err != nil {
		bulk.Close()
		return nil, fmt.Errorf("starting vtysh: %w", err)
	}
	s := &shell{cmd: cmd, timeout: timeout, bulk: bulk}
	var ok, also bool
	s.in, ok = in.(pipe)
	s.out, also = out.(pipe)
	if !ok || !also {
		s.kill()
		return nil, errors.New("starting vtysh: its pipes take no deadlines")
	}
	return s, nil
}

// environment keeps vtysh's line editor from scrolling long lines sideways and
// from taking bytes above 127 for keys, and answers out of a pager.
func environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains([]string{"VTYSH_PAGER", "VTYSH_LOG", "INPUTRC", "TERM", "LANG", "COLUMNS", "LINES"}, name) ||
			strings.HasPrefix(name, "LC_")
	})
	return append(env, "VTYSH_HISTFILE=/dev/null", "INPUTRC=/dev/null", "TERM=dumb", "COLUMNS=32000", "LINES=100", "LC_ALL=C.UTF-8")
}

// kill ends vtysh and everything in its process group.
func (s *shell) kill() {
	// The process is not waited for yet, so its number is still its own.
	syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	s.cmd.Wait()
	s.bulk.Close()
}

// reply is what came of one line.
type reply struct {
	text   []string
	prompt string // the configuration node that vtysh was in afterwards, "" outside
}

// longPast as a deadline ends what waits now.
var longPast = time.Unix(1, 0)

// until sets the deadline of both pipes; those of os/exec always take one.
func (s *shell) until(deadline time.Time) {
	_ = s.in.SetDeadline(deadline)
	_ = s.out.SetDeadline(deadline)
}

// exchange types lines and returns the answer to each. After an error the shell
// is of no use any more.
func (s *shell) exchange(ctx context.Context, lines []string) ([]reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	s.marks++
	// vtysh ignores comments; its echo shows that all before was answered.
	mark := "!" + strconv.Itoa(s.marks)
	limit := s.timeout + s.extra + time.Duration(len(lines))*perLine
	deadline := time.Now().Add(limit)
	s.until(deadline)
	stop := context.AfterFunc(ctx, func() {
		s.until(longPast)
	})
	defer stop()

	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(s.in, quote(lines, mark))
		written <- err
	}()
	replies, err := s.replies(append(slices.Clip(lines), mark))
	if err != nil {
		_ = s.in.SetDeadline(longPast)
	}
	werr := <-written
	switch {
	case ctx.Err() != nil && (err != nil || werr != nil):
		return nil, fmt.Errorf("talking to vtysh: %w", context.Cause(ctx))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("vtysh gave no answer within %v: %w", limit, err)
	case err != nil:
		return nil, fmt.Errorf("reading from vtysh: %w", err)
	case werr != nil:
		return nil, fmt.Errorf("writing to vtysh: %w", werr)
	}
	return replies, nil
}

// quote is what is written for lines.
func quote(lines []string, mark string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strings.ReplaceAll(l, "?", "\x16?"))
		b.WriteByte('\n')
	}
	b.WriteString(mark)
	b.WriteByte('\n')
	return b.String()
}

// replies reads until the echo of the last of lines and returns the answers to
// all the others.
func (s *shell) replies(lines []string) ([]reply, error) {
	p := parser{lines: lines}
	buf := make([]byte, 64<<10)
	for {
		n, err := s.out.Read(buf)
		s.read = append(s.read, buf[:n]...)
		if s.read, err = p.feed(s.read, err); err != nil || p.done() {
			return p.replies, err
		}
	}
}

// ask types one line and returns the answer.
func (s *shell) ask(ctx context.Context, line string) (string, error) {
	replies, err := s.exchange(ctx, []string{line})
	if err != nil {
		return "", err
	}
	text := replies[0].text
	if v := judge(text); v.refusal != "" {
		return "", fmt.Errorf("%q: %w", line, &refusedError{v.refusal})
	}
	return strings.Join(text, "\n"), nil
}

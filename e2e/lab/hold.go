// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A running lab that outlives its starter has three files beside its directory:
// DIR.json says which processes own it, DIR.spec.json what it was made from,
// and DIR.log what its holder said.
type holderState struct {
	Holder, Init           int    // process ids, outside
	HolderStart, InitStart uint64 // their start times, in clock ticks since boot
	Kubeconfig             string
}

func statePath(dir string) string { return dir + ".json" }
func specPath(dir string) string  { return dir + ".spec.json" }
func logPath(dir string) string   { return dir + ".log" }

// Start brings a lab up that goes on when the program ends, until [Stop]. It
// needs root and is called outside. The caller's program must call [RunIn] or
// [Main] first in main, as for any use of this package.
func Start(ctx context.Context, spec Spec, progress io.Writer) error {
	spec, err := spec.withDefaults()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("starting lab %s: needs root", spec.Name)
	}
	if s, err := readState(spec.Dir); err == nil && s.alive() {
		return fmt.Errorf("starting lab %s: it is up already; take it down first", spec.Name)
	}
	if err := startHolder(ctx, spec, progress); err != nil {
		return fmt.Errorf("starting lab %s: %w", spec.Name, err)
	}
	return nil
}

func startHolder(ctx context.Context, spec Spec, progress io.Writer) error {
	if err := os.MkdirAll(filepath.Dir(spec.Dir), 0o755); err != nil {
		return err
	}
	b, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	if err := os.WriteFile(specPath(spec.Dir), b, 0o644); err != nil {
		return err
	}
	log, err := os.Create(logPath(spec.Dir))
	if err != nil {
		return err
	}
	defer log.Close()
	out, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := self(stageHold, argVar+"="+spec.Dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, w, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	w.Close()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	defer stop()
	// The holder's standard output ends when the lab is up, or when it failed.
	last := ""
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if last = sc.Text(); last != upLine {
			fmt.Fprintln(progress, last)
		}
	}
	if last == upLine {
		return nil
	}
	err = cmd.Wait()
	said, rerr := os.ReadFile(logPath(spec.Dir))
	return errors.Join(context.Cause(ctx), err, rerr, fmt.Errorf("it ended: %s", tail(said, 4000)))
}

// upLine is what a holder says last.
const upLine = "up"

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// holdStage owns a lab until its first process ends.
func holdStage() error {
	dir := os.Getenv(argVar)
	started := func(pid int) error {
		start, err := startTime(pid)
		if err != nil {
			return err
		}
		own, err := startTime(os.Getpid())
		if err != nil {
			return err
		}
		// From here on only what is inside may keep the starter waiting.
		if err := detachStdout(); err != nil {
			return err
		}
		return writeState(dir, holderState{os.Getpid(), pid, own, start, filepath.Join(dir, "kubeconfig")})
	}
	status, err := hold(stageUp, dir, started)
	if err == nil && status != 0 {
		err = fmt.Errorf("the lab ended with status %d", status)
	}
	return errors.Join(err, ignoreNotExist(os.Remove(statePath(dir))))
}

func ignoreNotExist(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func detachStdout() error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	return unix.Dup2(int(null.Fd()), 1)
}

// upStage brings the lab up inside and ends. What it started stays.
func upStage() error {
	inside = true
	var spec Spec
	b, err := os.ReadFile(specPath(os.Getenv(argVar)))
	if err == nil {
		err = json.Unmarshal(b, &spec)
	}
	if err != nil {
		return err
	}
	if _, err := Up(context.Background(), spec, os.Stdout); err != nil {
		return err
	}
	_, err = fmt.Println(upLine)
	return err
}

func writeState(dir string, s holderState) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	tmp := statePath(dir) + ".new"
	return errors.Join(os.WriteFile(tmp, b, 0o644), os.Rename(tmp, statePath(dir)))
}

func readState(dir string) (holderState, error) {
	var s holderState
	b, err := os.ReadFile(statePath(dir))
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	return s, err
}

func (s holderState) alive() bool {
	got, err := startTime(s.Init)
	return err == nil && got == s.InitStart && !zombie(s.Init)
}

// Running reports whether the lab with its files in dir is up, and the file
// with the administrator's credentials.
func Running(dir string) (kubeconfig string, up bool) {
	s, err := readState(dir)
	if err != nil || !s.alive() {
		return "", false
	}
	return s.Kubeconfig, true
}

// Stop ends the lab that [Start] left running and removes its files. It is no
// error if there is none.
func Stop(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	s, err := readState(dir)
	if err == nil && s.alive() {
		err = killWait(ctx, s.Init)
	}
	if err == nil {
		err = s.waitHolder(ctx)
	}
	if err = ignoreNotExist(err); err != nil {
		return fmt.Errorf("stopping the lab in %s: %w", dir, err)
	}
	errs := []error{removeStaleCgroups()}
	for _, f := range []string{dir, statePath(dir), specPath(dir), logPath(dir)} {
		errs = append(errs, os.RemoveAll(f))
	}
	return errors.Join(errs...)
}

// waitHolder waits until the holder has cleaned up and ended.
func (s holderState) waitHolder(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 20*time.Second, errors.New("not ended after 20 seconds"))
	defer cancel()
	return poll(ctx, "the lab's holder", 20*time.Millisecond, func() error {
		got, err := startTime(s.Holder)
		if err == nil && got == s.HolderStart && !zombie(s.Holder) {
			return fmt.Errorf("process %d is still there", s.Holder)
		}
		return nil
	})
}

// JoinCommand returns a command that runs inside the lab with its files in dir,
// with the machine's own files but the lab's processes and network.
func JoinCommand(ctx context.Context, dir, name string, args ...string) (*exec.Cmd, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s, err := readState(dir)
	if err != nil || !s.alive() {
		return nil, fmt.Errorf("entering the lab in %s: it is not up", dir)
	}
	wd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	ns := []string{"-t", strconv.Itoa(s.Init), "-m", "-p", "-n", "--wdns=" + wd, "--", name}
	cmd := exec.CommandContext(ctx, "nsenter", append(ns, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd, nil
}

// joinSelf runs this program again inside the lab in dir and returns its exit
// status.
func joinSelf(dir string) int {
	exe, err := os.Executable()
	if err == nil {
		var cmd *exec.Cmd
		if cmd, err = JoinCommand(context.Background(), dir, exe, os.Args[1:]...); err == nil {
			cmd.Env = append(os.Environ(), stageVar+"="+stageInside)
			if err = cmd.Run(); err == nil {
				return 0
			}
		}
	}
	if ee := (*exec.ExitError)(nil); errors.As(err, &ee) && ee.ExitCode() > 0 {
		return ee.ExitCode()
	}
	fmt.Fprintln(os.Stderr, "lab:", err)
	return 1
}

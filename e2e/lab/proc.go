// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// poll calls f every interval until it returns nil, and gives f's last error
// once ctx is done.
func poll(ctx context.Context, what string, interval time.Duration, f func() error) error {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (last: %w)", what, context.Cause(ctx), err)
		case <-t.C:
		}
	}
}

// killWait kills a process, which need not be a child, and waits until it is
// gone.
func killWait(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("killing process %d: %w", pid, err)
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("waiting for process %d to end: %w", pid, err)
		case ctx.Err() != nil:
			return fmt.Errorf("waiting for process %d to end: %w", pid, context.Cause(ctx))
		}
	}
}

func pidFile(member string) string { return filepath.Join(runDir, "pid", member) }

// recordPid notes the first process of a member of the lab.
func recordPid(member string, pid int) error {
	if err := os.WriteFile(pidFile(member), []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return fmt.Errorf("recording the process of %s: %w", member, err)
	}
	return nil
}

// memberPid returns the first process of a running member of the lab.
func memberPid(member string) (int, error) {
	b, err := os.ReadFile(pidFile(member))
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("%s is not running", member)
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(b))
}

// descendants returns the processes below pid whose name is name, which the
// kernel cuts at 15 characters.
func descendants(pid int, name string) ([]int, error) {
	ents, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	parent, comm := map[int]int{}, map[int]string{}
	for _, e := range ents {
		p, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // it has ended meanwhile
		}
		open, end := strings.IndexByte(string(b), '('), strings.LastIndexByte(string(b), ')')
		f := strings.Fields(string(b[end+1:]))
		if open < 0 || len(f) < 2 {
			continue
		}
		parent[p], _ = strconv.Atoi(f[1])
		comm[p] = string(b[open+1 : end])
	}
	var out []int
	for p, c := range comm {
		for a := p; c == name && a > 1; a = parent[a] {
			if a == pid {
				out = append(out, p)
				break
			}
		}
	}
	return out, nil
}

// zombie reports whether a process has ended but was not waited for.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(b), ") Z ")
}

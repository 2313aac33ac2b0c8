// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"metallb.io/metallb-frr/pkg/frr/bmp"
)

// frrDaemons are those of the speaker's Pod, in the order of their start.
var frrDaemons = []string{"mgmtd", "zebra", "bgpd", "bfdd"}

// hostScript makes a host of the namespaces that it runs in: FRR's root file
// system, read-only, with what must be writable laid over it.
const hostScript = `set -eu
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
for d in etc/frr run var/lib/frr var/tmp/frr var/log tmp; do
	mount -t tmpfs -o mode=777 frr "$root/$d"
done
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -m 777 "$root/run/frr" "$root/var/log/frr"
ip link set lo up
cd "$root"
exec chroot . sh -c 'umask 0; : >/etc/frr/frr.conf; : >/etc/frr/vtysh.conf; chmod 640 /etc/frr/*; echo ready; cat >/dev/null; exit'
`

// host is a machine that runs FRR: network, mount and process namespaces that
// end with stop, or with the bench.
type host struct {
	name  string
	pid   int // of its first process
	in    io.Closer
	first *exec.Cmd
}

func startHost(ctx context.Context, name, root string) (*host, error) {
	if _, err := os.Stat(filepath.Join(root, "usr/lib/frr/bgpd")); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	cmd := exec.CommandContext(ctx, "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", hostScript, "sh", root)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	h := &host{name: name, in: in, first: cmd}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil && line != "ready\n" {
		err = fmt.Errorf("it says %q", line)
	}
	if err == nil {
		h.pid, err = onlyChild(cmd.Process.Pid)
	}
	if err != nil {
		h.stop()
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return h, nil
}

func onlyChild(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// stop ends the host with everything that runs on it.
func (h *host) stop() {
	h.in.Close()
	_ = h.first.Process.Kill() // --kill-child takes the rest along
	_ = h.first.Wait()
}

func (h *host) netns() string { return fmt.Sprintf("/proc/%d/ns/net", h.pid) }

// path returns where a file of the host's is found from outside.
func (h *host) path(name string) string { return fmt.Sprintf("/proc/%d/root%s", h.pid, name) }

// enter returns the command that runs another one on the host.
func (h *host) enter(args ...string) []string {
	return append([]string{"nsenter", "--target", strconv.Itoa(h.pid), "--net", "--mount", "--root", "--wd", "--"}, args...)
}

// run runs a command on the host and returns what it printed and its own and its
// children's processor time.
func (h *host) run(ctx context.Context, args ...string) (string, time.Duration, error) {
	enter := h.enter(args...)
	cmd := exec.CommandContext(ctx, enter[0], enter[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var took time.Duration
	if s := cmd.ProcessState; s != nil {
		took = s.UserTime() + s.SystemTime()
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		text := out.String()
		err = fmt.Errorf("%s on %s: %w\n%s", strings.Join(args, " "), h.name, err, text[max(0, len(text)-2000):])
	}
	return out.String(), took, err
}

// startFRR starts the daemons and waits until each takes commands. listens: bgpd
// accepts sessions, as a router's does.
func (h *host) startFRR(ctx context.Context, listens bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("not within 30 seconds"))
	defer cancel()
	for _, d := range frrDaemons {
		args := []string{"--target", strconv.Itoa(h.pid), "--net", "--mount", "--pid", "--root", "--wd", "--",
			"/usr/lib/frr/" + d, "-d", "-u", "root", "-g", "root", "-A", "127.0.0.1", "-P", "0", "--limit-fds", "1024", "--log", "file:/tmp/frr.log"}
		switch d {
		case "zebra":
			args = append(args, "-s", "90000000")
		case "bgpd":
			args = append(args, "-M", "bmp")
			if !listens {
				args = append(args, "-p", "0")
			}
		}
		// No pipe for output: a daemon keeps it open.
		if err := exec.CommandContext(ctx, "nsenter", args...).Run(); err != nil {
			return fmt.Errorf("starting %s on %s: %w", d, h.name, err)
		}
		for {
			_, _, err := h.run(ctx, "vtysh", "-d", d, "-c", "show version")
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("starting %s on %s: %w", d, h.name, err)
			}
			time.Sleep(10 * time.Millisecond) // FRR has no event for it
		}
	}
	return nil
}

// configure gives FRR a whole configuration.
func (h *host) configure(ctx context.Context, conf string) error {
	if err := os.WriteFile(h.path("/etc/frr/frr.conf"), []byte(conf), 0o640); err != nil {
		return err
	}
	_, _, err := h.run(ctx, "vtysh", "-b")
	return err
}

// daemons returns the process numbers of FRR's daemons on the host.
func (h *host) daemons() ([]int, error) {
	own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", h.pid))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range frrDaemons {
		found, err := processes(name, func(pid int) bool {
			in, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
			return err == nil && in == own
		})
		if err != nil {
			return nil, err
		}
		if len(found) != 1 {
			return nil, fmt.Errorf("%s runs %d %s, want one", h.name, len(found), name)
		}
		pids = append(pids, found[0])
	}
	return pids, nil
}

// processes returns those of that name that belong.
func processes(name string, belongs func(pid int) bool) ([]int, error) {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, file := range names {
		text, err := os.ReadFile(file)
		if err != nil || strings.TrimSpace(string(text)) != name {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(file, "/")[2]); err == nil && belongs(pid) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// cpu returns the processor time that processes have used, all threads together,
// to the nanosecond (/proc/PID/schedstat).
func cpu(pids []int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil || len(files) == 0 {
			return 0, fmt.Errorf("reading the processor time of process %d: it is gone", pid)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return 0, fmt.Errorf("reading the processor time of process %d: %w", pid, err)
			}
			ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("reading the processor time of process %d: %w", pid, err)
			}
			sum += time.Duration(ns)
		}
	}
	return sum, nil
}

// ownCPU returns the processor time that this process has used.
func ownCPU() (time.Duration, error) {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0, err
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), nil
}

// listenBMP takes bgpd's reports on the host's loopback, as the speaker does.
func (h *host) listenBMP(ctx context.Context) (*bmp.Listener, error) {
	type result struct {
		l   *bmp.Listener
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		ns, err := os.Open(h.netns())
		if err != nil {
			done <- result{nil, err}
			return
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- result{nil, fmt.Errorf("entering the network of %s: %w", h.name, err)}
			return
		}
		l, err := bmp.Listen(ctx, "127.0.0.1:11019")
		done <- result{l, err}
	}()
	r := <-done
	if r.err != nil {
		return nil, r.err
	}
	go func() {
		for {
			select {
			case <-r.l.Events():
			case <-ctx.Done():
				return
			}
		}
	}()
	return r.l, nil
}

// cable connects two hosts; each end gets a name and an address.
func cable(ctx context.Context, a *host, nameA, addrA string, b *host, nameB, addrB string) error {
	if out, err := exec.CommandContext(ctx, "ip", "link", "add", nameA, "netns", strconv.Itoa(a.pid), "type", "veth",
		"peer", "name", nameB, "netns", strconv.Itoa(b.pid)).CombinedOutput(); err != nil {
		return fmt.Errorf("connecting %s and %s: %w\n%s", a.name, b.name, err, out)
	}
	for _, end := range []struct {
		h          *host
		name, addr string
	}{{a, nameA, addrA}, {b, nameB, addrB}} {
		for _, args := range [][]string{{"ip", "address", "add", end.addr, "dev", end.name}, {"ip", "link", "set", end.name, "up"}} {
			if _, _, err := end.h.run(ctx, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

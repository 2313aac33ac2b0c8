// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const containerdSocket = "/run/containerd/containerd.sock"

// node0Stage moves a node's first process into the node's cgroups and gives it
// a view in which these are the topmost, before it becomes the node.
func node0Stage() error {
	arg, err := readNodeArg(os.Getenv(argVar))
	if err != nil {
		return err
	}
	runtime.LockOSThread() // unshare and exec must happen on one thread
	if err := joinCgroups(arg.Cgroups); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("making a cgroup namespace: %w", err)
	}
	env := append(os.Environ(), stageVar+"="+stageNode)
	return fmt.Errorf("starting over as a node: %w", unix.Exec("/proc/self/exe", os.Args, env))
}

func readNodeArg(file string) (nodeArg, error) {
	var arg nodeArg
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &arg)
	}
	if err != nil {
		return arg, fmt.Errorf("reading the node's settings: %w", err)
	}
	return arg, nil
}

// nodeStage is a node's first process. It never returns without an error.
func nodeStage(file string) error {
	arg, err := readNodeArg(file)
	if err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(arg.Name)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	for _, step := range []func() error{arg.mounts, arg.mountCgroups, fixTunables, propagate, arg.writeConfigs} {
		if err := step(); err != nil {
			return err
		}
	}
	os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	return arg.supervise()
}

// A mountPoint is one call of mount(2).
type mountPoint struct {
	src, dst, fs string
	flags        uintptr
	data         string
}

func mountAll(points []mountPoint) error {
	for _, m := range points {
		if err := os.MkdirAll(m.dst, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.src, m.dst, m.fs, m.flags, m.data); err != nil {
			return fmt.Errorf("mounting %s%s on %s: %w", m.fs, m.src, m.dst, err)
		}
	}
	return nil
}

// mounts gives the node its own /proc, /sys, /run and /var/lib; the rest of the
// machine's files are seen as they are.
func (a nodeArg) mounts() error {
	const safe = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	dir := func(name string) string { return filepath.Join(a.Dir, name) }
	return mountAll([]mountPoint{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{"proc", "/proc", "proc", safe, ""},
		{"sysfs", "/sys", "sysfs", safe, ""},
		{"tmpfs", "/sys/fs/cgroup", "tmpfs", safe, "mode=755"},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
		{"tmpfs", "/var/lib", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
		{dir("kubelet"), "/var/lib/kubelet", "", unix.MS_BIND, ""},
		{dir("containerd"), "/var/lib/containerd", "", unix.MS_BIND, ""},
		{dir("cni"), "/var/lib/cni", "", unix.MS_BIND, ""},
		{dir("log"), "/var/log", "", unix.MS_BIND, ""},
	})
}

// mountCgroups mounts the hierarchies that the node was put into.
func (a nodeArg) mountCgroups() error {
	if len(a.Hierarchies) == 1 && a.Hierarchies[0].Name == "" {
		return mountUnified()
	}
	for _, h := range a.Hierarchies {
		dst := filepath.Join(cgroupMount, h.Name)
		if err := mountAll([]mountPoint{{"cgroup", dst, "cgroup", 0, h.Opts}}); err != nil {
			return err
		}
	}
	return nil
}

// mountUnified mounts the unified hierarchy and moves the process out of the
// topmost cgroup, which may then hand its controllers down.
func mountUnified() error {
	if err := unix.Unmount(cgroupMount, 0); err != nil {
		return fmt.Errorf("unmounting %s: %w", cgroupMount, err)
	}
	if err := mountAll([]mountPoint{{"cgroup2", cgroupMount, "cgroup2", 0, ""}}); err != nil {
		return err
	}
	leaf := filepath.Join(cgroupMount, "init")
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := joinCgroups([]string{leaf}); err != nil {
		return err
	}
	return delegateAll(cgroupMount)
}

// fixTunables covers the settings of the whole machine that kubelet would
// change with files that already say what it wants.
func fixTunables() error {
	for name, value := range map[string]string{
		"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
		"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
	} {
		src := filepath.Join("/run/lab-sysctl", strings.ReplaceAll(name, "/", "."))
		if err := os.MkdirAll(filepath.Dir(src), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(src, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(src, "/proc/sys/"+name, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("covering sysctl %s: %w", name, err)
		}
	}
	return nil
}

// propagate lets the mounts of pods be seen by kubelet and the other way.
func propagate() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("sharing mounts within the node: %w", err)
	}
	return nil
}

// supervise starts the node's daemons, starts each again a second after it has
// ended, and reaps everything else.
func (a nodeArg) supervise() error {
	daemons := a.daemons()
	running := map[int]int{} // process -> index in daemons
	start := func(i int) error {
		pid, err := startDaemon(daemons[i])
		if err == nil {
			running[pid] = i
		}
		return err
	}
	for i := range daemons {
		if err := start(i); err != nil {
			return err
		}
		if i == 0 {
			if err := waitSocket(containerdSocket); err != nil {
				return err
			}
		}
	}
	again := make(chan int, len(daemons))
	dead := make(chan int)
	go reap(dead)
	for {
		select {
		case pid := <-dead:
			if i, ok := running[pid]; ok {
				delete(running, pid)
				fmt.Fprintf(os.Stderr, "%s ended, starting it again\n", daemons[i][0])
				time.AfterFunc(time.Second, func() { again <- i })
			}
		case i := <-again:
			if err := start(i); err != nil {
				return err
			}
		}
	}
}

// reap waits for children for ever and tells their ids.
func reap(dead chan<- int) {
	for {
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		switch {
		case err == nil:
			dead <- pid
		case errors.Is(err, syscall.ECHILD):
			time.Sleep(100 * time.Millisecond) // all daemons are down, for a moment
		}
	}
}

// startDaemon starts a program with its output in /var/log/NAME.log.
func startDaemon(argv []string) (pid int, err error) {
	name := filepath.Base(argv[0])
	log, err := os.OpenFile("/var/log/"+name+".log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	pid, err = syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{
		Dir: "/", Env: []string{"PATH=" + os.Getenv("PATH")},
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, fmt.Errorf("starting %s: %w", name, err)
	}
	return pid, nil
}

// waitSocket waits until something listens on a Unix socket.
func waitSocket(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return poll(ctx, path, 20*time.Millisecond, func() error {
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
		}
		return err
	})
}

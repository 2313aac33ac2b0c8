// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A program that uses the lab plays several parts, each as a process of its
// own; stageVar tells a new process which one is its.
const (
	stageVar    = "METALLB_LAB_STAGE"
	stageHold   = "hold"              // outside: owns a lab that outlives its starter
	stageSweep  = "sweep"             // outside: removes the cgroups in the end
	stageInit   = "init"              // first process of the outer namespaces
	stageInside = "inside"            // the caller's program, inside
	stageUp     = "up"                // brings a lab up, inside, then ends
	stageNode0  = "node0"             // a node's first process, before its cgroup namespace
	stageNode   = "node"              // a node's first process
	stageRouter = "router"            // a router's first process
	stageFwd    = "forward"           // makes the API server reachable on loopback
	childVar    = "METALLB_LAB_CHILD" // the stage that stageInit starts
	idVar       = "METALLB_LAB_ID"    // names the lab's cgroups
	portVar     = "METALLB_LAB_PORT"  // loopback port of the API server
	argVar      = "METALLB_LAB_ARG"   // a stage's argument, a file name
)

// listenerFD is the loopback listener made outside and handed down.
const listenerFD = 3

// runDir is the lab's own state inside the outer namespaces, on a tmpfs.
const runDir = "/run/lab"

var inside bool

// Inside reports whether the program runs inside namespaces made by this
// package, so that [Up] may be called.
func Inside() bool { return inside }

// Dispatch plays the part that the process was started for, if it was started
// by this package, and exits; else it returns. A program that uses [Start]
// calls it first in main; [Main] and [RunIn] do it themselves.
func Dispatch() {
	stage := os.Getenv(stageVar)
	os.Unsetenv(stageVar)
	switch stage {
	case "":
	case stageInside:
		inside = true
	default:
		status, err := play(stage)
		if err != nil {
			fmt.Fprintf(os.Stderr, "lab: %s: %v\n", stage, err)
			status = 1
		}
		os.Exit(status)
	}
}

// Main runs the program inside outer namespaces of its own and exits with
// run's result. Without root it calls run where it is, and [Inside] is false.
// When the calling process ends, in whatever way, all that was started inside
// ends with it.
func Main(run func() int) {
	Dispatch()
	if inside || os.Geteuid() != 0 {
		os.Exit(run())
	}
	status, err := hold(stageInside, "", nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		status = 1
	}
	os.Exit(status)
}

// RunIn is like [Main], but run is called inside the lab that [Start] left
// running with its files in dir, and nothing ends with the program.
func RunIn(dir string, run func() int) {
	Dispatch()
	if inside {
		os.Exit(run())
	}
	os.Exit(joinSelf(dir))
}

// play is the whole life of a process in one of the package's own parts.
func play(stage string) (status int, err error) {
	switch stage {
	case stageHold:
		return 0, holdStage()
	case stageSweep:
		return 0, sweepStage()
	case stageInit:
		return initStage()
	case stageUp:
		return 0, upStage()
	case stageNode0:
		return 0, node0Stage()
	case stageNode:
		return 0, nodeStage(os.Getenv(argVar))
	case stageRouter:
		return 0, routerStage(os.Getenv(argVar))
	case stageFwd:
		return 0, forwardStage()
	}
	return 0, fmt.Errorf("%s=%q is not a part of this program", stageVar, stage)
}

// self returns a command that starts this program again in the given stage.
func self(stage string, env ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), stageVar+"="+stage)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

// hold starts the outer namespaces with child as their program and waits until
// their first process ends. That process ends at once when this one does, and a
// sweeper then removes the cgroups that are left. started, when not nil, is told
// the first process's id.
func hold(child, arg string, started func(pid int) error) (status int, err error) {
	runtime.LockOSThread() // Pdeathsig follows the thread, not the process
	defer runtime.UnlockOSThread()
	if err := errors.Join(removeStaleCgroups(), loadBridgeFilter()); err != nil {
		return 0, err
	}
	start, err := startTime(os.Getpid())
	if err != nil {
		return 0, err
	}
	id, err := labID(os.Getpid(), start)
	if err != nil {
		return 0, err
	}
	swept, err := startSweeper(id)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, swept()) }()
	cmd, err := startInit(child, id, arg)
	if err != nil {
		return 0, fmt.Errorf("starting the outer namespaces: %w", err)
	}
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(sig)
	go func() {
		for range sig {
			cmd.Process.Kill()
		}
	}()
	if started != nil {
		if err := started(cmd.Process.Pid); err != nil {
			cmd.Process.Kill()
			return 0, errors.Join(err, ignoreExit(cmd.Wait()))
		}
	}
	err = ignoreExit(cmd.Wait())
	if status = cmd.ProcessState.ExitCode(); status < 0 {
		status = 128 + int(cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	}
	return status, err
}

// loadBridgeFilter loads the kernel module without which packets between two
// pods of a node bypass kube-proxy's rules, and leaves it without effect on the
// machine's own bridges. Where it is not to be had, such packets go astray.
func loadBridgeFilter() error {
	const dir = "/proc/sys/net/bridge/"
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := exec.Command("modprobe", "br_netfilter").Run(); err != nil {
		return nil
	}
	var errs []error
	for _, f := range []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"} {
		errs = append(errs, os.WriteFile(dir+f, []byte("0"), 0))
	}
	return errors.Join(errs...)
}

// startInit starts the first process of the outer namespaces and hands it a
// loopback listener of the machine's, for the API server.
func startInit(child, id, arg string) (*exec.Cmd, error) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	lf, err := ln.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	defer lf.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	cmd := self(stageInit, childVar+"="+child, idVar+"="+id, argVar+"="+arg, portVar+"="+strconv.Itoa(port))
	cmd.ExtraFiles = []*os.File{lf}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd, cmd.Start()
}

// startSweeper starts a process that removes the cgroups of the lab id once
// this one has ended, even by SIGKILL, or has called swept, which waits for it.
func startSweeper(id string) (swept func() error, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := self(stageSweep, idVar+"="+id)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r, nil, nil
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("starting the sweeper: %w", err)
	}
	return func() error {
		w.Close()
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("removing the cgroups of lab %s below %s: %w", id, cgroupMount, err)
		}
		return nil
	}, nil
}

// sweepStage waits for the end of its standard input, then removes cgroups.
func sweepStage() error {
	hs, err := hierarchies()
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return removeCgroups(hs, os.Getenv(idVar))
}

// ignoreExit drops the error by which Wait reports a process's exit status.
func ignoreExit(err error) error {
	if ee := (*exec.ExitError)(nil); errors.As(err, &ee) {
		return nil
	}
	return err
}

// initStage is the first process of the outer namespaces: it prepares them,
// starts the program, and reaps whatever is left to it. With stageUp as its
// program it stays for good once that has succeeded.
func initStage() (status int, err error) {
	unix.CloseOnExec(listenerFD)
	if err := prepareOuter(); err != nil {
		return 0, err
	}
	child := os.Getenv(childVar)
	cmd := self(child)
	attr := &syscall.ProcAttr{Env: cmd.Env, Files: []uintptr{0, 1, 2, listenerFD}}
	pid, err := syscall.ForkExec(cmd.Path, cmd.Args, attr)
	if err != nil {
		return 0, fmt.Errorf("starting %s: %w", child, err)
	}
	for {
		var ws syscall.WaitStatus
		got, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.ECHILD):
			select {} // nothing will ever become a child again
		case err != nil:
			return 0, fmt.Errorf("waiting for children: %w", err)
		case got != pid:
		case child == stageUp && ws.ExitStatus() == 0:
			// The starter's terminal or pipe must be let go.
			if err := detachOutput(); err != nil {
				return 0, err
			}
		case ws.Signaled():
			return 128 + int(ws.Signal()), nil
		default:
			return ws.ExitStatus(), nil
		}
	}
}

// prepareOuter gives the outer namespaces a /proc, an empty /run and a
// loopback interface.
func prepareOuter() error {
	for _, m := range []struct {
		src, dst, fs string
		flags        uintptr
		data         string
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
	} {
		if err := unix.Mount(m.src, m.dst, m.fs, m.flags, m.data); err != nil {
			return fmt.Errorf("mounting %s on %s: %w", m.fs, m.dst, err)
		}
	}
	for _, d := range []string{"/run/lock", "/run/netns", runDir, filepath.Join(runDir, "netns"), filepath.Join(runDir, "pid")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	return loopbackUp()
}

func detachOutput() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for fd := range 3 {
		if err := unix.Dup2(int(null.Fd()), fd); err != nil {
			return fmt.Errorf("detaching descriptor %d: %w", fd, err)
		}
	}
	return null.Close()
}

// startTime returns when a process started, in clock ticks since boot. With
// the id it names a process for good.
func startTime(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the start time of process %d: %w", pid, err)
	}
	// The second field is the name in parentheses and may hold anything.
	rest := string(b[strings.LastIndexByte(string(b), ')')+1:])
	f := strings.Fields(rest)
	if len(f) < 20 {
		return 0, fmt.Errorf("reading the start time of process %d: short line %q", pid, rest)
	}
	return strconv.ParseUint(f[19], 10, 64)
}

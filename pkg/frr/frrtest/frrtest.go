// SPDX-License-Identifier: Apache-2.0

package frrtest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Options say how an FRR is started. The zero value is FRR as it runs on a node.
type Options struct {
	// Listen: bgpd accepts connections on port 179, as a router does. On a
	// node it does not.
	Listen bool
	// Without names daemons that are not started.
	Without []string
	// VRFs are names of VRFs that there are, without interfaces. Each is a
	// network namespace, which FRR takes for one, so that the kernel need not
	// know VRF devices.
	VRFs []string
}

// FRR is a running one.
type FRR struct {
	opts Options
	pid  int // of the process that holds the namespaces
}

// Daemons are those that Start starts, in this order.
var Daemons = []string{"mgmtd", "zebra", "bgpd", "bfdd"}

// timeLimit is for each thing that the package waits for.
const timeLimit = 15 * time.Second

// script prepares the namespaces and holds them until its input ends.
const script = `set -eu
root=$1
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
for d in etc/frr run var/lib/frr var/tmp/frr tmp; do
	mount -t tmpfs -o mode=777 frr "$root/$d"
done
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -m 777 "$root/run/frr"
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
ip link set lo up
cd "$root"
exec chroot . sh -c 'umask 0; : >/etc/frr/frr.conf; : >/etc/frr/vtysh.conf; chmod 640 /etc/frr/*; echo ready; cat >/dev/null; exit'
`

// Start starts an FRR with an empty configuration. It ends with the test, and
// its log is printed if the test fails.
func Start(t testing.TB, opts Options) *FRR {
	t.Helper()
	root := rootFileSystem(t)
	cmd := exec.Command("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
		"sh", "-c", script, "sh", root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// The pipe's other end is this process's: it closes however we end.
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting namespaces for FRR: %v", err)
	}
	f := &FRR{opts: opts}
	t.Cleanup(func() {
		if t.Failed() && f.pid != 0 {
			t.Logf("FRR's log:\n%s", f.Log())
		}
		in.Close()
		cmd.Process.Kill() // --kill-child takes the rest along
		cmd.Wait()
	})
	waitReady(t, out)
	f.pid = onlyChild(t, cmd.Process.Pid)
	for _, v := range opts.VRFs {
		f.Run(t, "ip", "netns", "add", v)
		f.Run(t, "ip", "netns", "exec", v, "ip", "link", "set", "lo", "up")
	}
	for _, d := range Daemons {
		if !slices.Contains(opts.Without, d) {
			f.StartDaemon(t, d)
		}
	}
	return f
}

func waitReady(t testing.TB, out io.Reader) {
	t.Helper()
	if d, ok := out.(interface{ SetReadDeadline(time.Time) error }); ok {
		d.SetReadDeadline(time.Now().Add(timeLimit))
	}
	var said []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "ready" {
			return
		}
		said = append(said, lines.Text())
	}
	t.Fatalf("preparing namespaces for FRR: %s", strings.Join(said, "\n"))
}

func onlyChild(t testing.TB, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatalf("children of process %d: %v", pid, err)
	}
	return child
}

// Enter returns the command that runs another one inside f's namespaces and root
// file system.
func (f *FRR) Enter(args ...string) []string {
	return append([]string{"nsenter", "--target", strconv.Itoa(f.pid), "--net", "--mount", "--root", "--wd", "--"}, args...)
}

// Vtysh returns the command that starts f's vtysh.
func (f *FRR) Vtysh() []string { return f.Enter("vtysh") }

// Path returns where a file of f's is to be found from outside.
func (f *FRR) Path(name string) string {
	return filepath.Join("/proc", strconv.Itoa(f.pid), "root", name)
}

// Log returns what the daemons have logged.
func (f *FRR) Log() string {
	text, err := os.ReadFile(f.Path("/tmp/frr.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// StartDaemon starts one daemon and returns when it takes commands.
func (f *FRR) StartDaemon(t testing.TB, name string) {
	t.Helper()
	f.LaunchDaemon(t, name)
	f.wait(t, name+" to take commands", func() bool {
		_, err := f.try("vtysh", "-d", name, "-c", "show version")
		return err == nil
	})
}

// LaunchDaemon starts one daemon and returns when it is in the background.
func (f *FRR) LaunchDaemon(t testing.TB, name string) {
	t.Helper()
	// Started from within the process namespace, so that it ends with it.
	args := []string{"nsenter", "--target", strconv.Itoa(f.pid), "--net", "--mount", "--pid", "--root", "--wd", "--",
		"/usr/lib/frr/" + name, "-d", "-u", "root", "-g", "root", "-A", "127.0.0.1", "-P", "0",
		"--limit-fds", "1024", "--log", "file:/tmp/frr.log"}
	switch name {
	case "zebra":
		args = append(args, "-s", "90000000")
		if len(f.opts.VRFs) > 0 {
			args = append(args, "-w")
		}
	case "bgpd":
		args = append(args, "-M", "bmp")
		if !f.opts.Listen {
			args = append(args, "-p", "0")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
	defer cancel()
	// No pipe for output: a daemon keeps it open.
	if err := exec.CommandContext(ctx, args[0], args[1:]...).Run(); err != nil {
		t.Fatalf("starting FRR's %s: %v\n%s", name, err, f.Log())
	}
}

// KillDaemon kills one daemon and returns when it is gone.
func (f *FRR) KillDaemon(t testing.TB, name string) {
	t.Helper()
	f.Signal(t, name, "KILL")
	f.wait(t, name+" to be gone", func() bool {
		_, err := f.try("sh", "-c", f.kill(name, "0"))
		return err != nil
	})
}

// Signal sends a signal to a daemon, such as "STOP".
func (f *FRR) Signal(t testing.TB, name, signal string) {
	t.Helper()
	f.Run(t, "sh", "-c", f.kill(name, signal))
}

// kill is the shell command that does so; daemons' numbers are those of their
// own process namespace.
func (f *FRR) kill(name, signal string) string {
	return fmt.Sprintf("exec nsenter --target %d --pid sh -c 'kill -%s $(cat /run/frr/%s.pid)'", f.pid, signal, name)
}

// Run runs a command inside and returns what it printed; the test fails if it
// fails.
func (f *FRR) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := f.try(args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (f *FRR) try(args ...string) (string, error) { return f.feed("", args...) }

func (f *FRR) feed(input string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
	defer cancel()
	enter := f.Enter(args...)
	cmd := exec.CommandContext(ctx, enter[0], enter[1:]...)
	cmd.Stdin = strings.NewReader(input)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Load gives configuration text to a fresh vtysh; the test fails if any line is
// refused.
func (f *FRR) Load(t testing.TB, text string) {
	t.Helper()
	// Without --no-fork one process per daemon would read, each a part.
	if out, err := f.feed(text, "vtysh", "--no-fork", "-f", "/dev/stdin"); err != nil {
		t.Fatalf("loading configuration: %v\n%s", err, out)
	}
}

// Running returns the running configuration.
func (f *FRR) Running(t testing.TB) string {
	t.Helper()
	return f.Run(t, "vtysh", "-c", "show running-config")
}

// WaitFor returns when what "vtysh -c command" prints contains want.
func (f *FRR) WaitFor(t testing.TB, command, want string) {
	t.Helper()
	var last string
	f.wait(t, fmt.Sprintf("%q in %q", want, command), func() bool {
		last, _ = f.try("vtysh", "-c", command)
		return strings.Contains(last, want)
	})
}

// wait asks done until it is so: FRR has no event for what is waited for here.
func (f *FRR) wait(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(timeLimit); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %v for %s", timeLimit, what)
		}
	}
}

// Link connects a and b by an Ethernet cable, which is interface name in both,
// and gives the ends their addresses ("192.0.2.1/24").
func Link(t testing.TB, name string, a *FRR, addrA string, b *FRR, addrB string) {
	t.Helper()
	command(t, "ip", "link", "add", name, "netns", strconv.Itoa(a.pid), "type", "veth",
		"peer", "name", name, "netns", strconv.Itoa(b.pid))
	a.Run(t, "ip", "address", "add", addrA, "dev", name)
	b.Run(t, "ip", "address", "add", addrB, "dev", name)
	a.Run(t, "ip", "link", "set", name, "up")
	b.Run(t, "ip", "link", "set", name, "up")
}

// Move puts an interface of f's into one of its VRFs, where it gets an address.
func (f *FRR) Move(t testing.TB, name, vrf, addr string) {
	t.Helper()
	f.Run(t, "ip", "link", "set", name, "netns", vrf)
	f.Run(t, "ip", "netns", "exec", vrf, "ip", "address", "add", addr, "dev", name)
	f.Run(t, "ip", "netns", "exec", vrf, "ip", "link", "set", name, "up")
}

func command(t testing.TB, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
	defer cancel()
	if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

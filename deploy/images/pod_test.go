// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/need"
)

// capabilities are those that the chart gives the container frr, in the
// spelling of setpriv.
const capabilities = ",+net_admin,+net_raw,+net_bind_service,+sys_admin"

// sandboxScript makes what a pod has beside its containers: the image's root
// file system, read-only and with our layer over it, and empty volumes. It ends
// when its input does. Its arguments are the root file system, this directory
// and a directory to mount on.
const sandboxScript = `set -eu
rootfs=$1 images=$2 dir=$3 root=$3/root
mount -t tmpfs t "$dir"
mkdir "$dir/upper" "$dir/work" "$root"
mount -t overlay o -o "lowerdir=$rootfs,upperdir=$dir/upper,workdir=$dir/work" "$root"
mkdir -p "$root/usr/share/metallb/frr"
cp "$images"/frr/* "$root/usr/share/metallb/frr/"
install -m 0755 "$images/frr-entrypoint" "$root/usr/bin/frr-entrypoint"
mount -o remount,ro "$root"
mount --rbind /dev "$root/dev"
for v in etc/frr run/frr tmp var/lib/frr var/tmp/frr; do
	mount -t tmpfs -o mode=777 v "$root/$v"
done
if [ -n "$FRR_CONF" ]; then printf '%s' "$FRR_CONF" >"$root/etc/frr/frr.conf"; fi
ip link set lo up
echo sandbox ready
exec cat
`

// containerScript runs a command in the sandbox as root with the container's
// capabilities and no way to gain others. Its arguments are the root and the
// command.
const containerScript = `set -eu
root=$1; shift
mount -t proc proc "$root/proc"
exec chroot "$root" setpriv --no-new-privs --groups 102 --inh-caps -all \
	--bounding-set "-all` + capabilities + `" "$@"
`

// pod is a pod with one container, frr, in namespaces of its own.
type pod struct {
	name    string
	root    string // its root, seen from inside its mount namespace
	sandbox int    // the process that holds all namespaces but the container's
	log     *lines

	cmd  *exec.Cmd // the container
	init int       // the container's process 1, by the number that it has here
	done chan struct{}
}

// startPod makes a pod, with conf as the frr.conf that a speaker left behind
// (empty: none), and starts its container.
func startPod(t *testing.T, name, conf string) *pod {
	t.Helper()
	rootfs := rootFileSystem(t)
	images, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &pod{name: name, root: filepath.Join(dir, "root"), log: newLines()}
	cmd := exec.Command("unshare", "--mount", "--net", "--ipc", "--uts", "--propagation", "private",
		"sh", "-c", sandboxScript, "sh", rootfs, images, dir)
	cmd.Env = append(os.Environ(), "FRR_CONF="+conf)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if _, err := cmd.StdinPipe(); err != nil { // held open until the test's end
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting pod %s: %v", name, err)
	}
	p.sandbox = cmd.Process.Pid
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, p.log)
		}
	})
	p.log.wait(t, "sandbox ready", 10*time.Second)
	p.start(t)
	return p
}

// start runs the container and returns when all its daemons are up.
func (p *pod) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command("nsenter", "-t", fmt.Sprint(p.sandbox), "-m", "-n", "-i", "-u",
		"unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private",
		"sh", "-c", containerScript, "sh", p.root, "/usr/bin/tini", "--", "/usr/bin/frr-entrypoint")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting the container of %s: %v", p.name, err)
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		cmd.Process.Kill() // --kill-child takes all of the container along
		<-done
	})
	p.cmd, p.done = cmd, done
	p.log.wait(t, "all daemons up", 15*time.Second)
	p.init = onlyChild(t, cmd.Process.Pid)
}

// exec runs a command in the pod, as kubectl exec would, and returns what it
// prints.
func (p *pod) exec(t *testing.T, args ...string) string {
	t.Helper()
	out, err := p.try(t, args...)
	if err != nil {
		t.Fatalf("in %s: %s: %v\n%s", p.name, strings.Join(args, " "), err, out)
	}
	return out
}

func (p *pod) try(t *testing.T, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	out, err := p.command(ctx, args...).CombinedOutput()
	return string(out), err
}

func (p *pod) command(ctx context.Context, args ...string) *exec.Cmd {
	enter := []string{"-t", fmt.Sprint(p.init), "-m", "-n", "-p", "-i", "-u",
		"chroot", p.root, "setpriv", "--no-new-privs", "--groups", "102", "--inh-caps", "-all",
		"--bounding-set", "-all" + capabilities}
	return exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
}

// ip runs the machine's own ip in the pod's network.
func (p *pod) ip(t *testing.T, args ...string) {
	t.Helper()
	all := append([]string{"-t", fmt.Sprint(p.sandbox), "-n", "ip"}, args...)
	if out, err := exec.Command("nsenter", all...).CombinedOutput(); err != nil {
		t.Fatalf("in %s: ip %s: %v\n%s", p.name, strings.Join(args, " "), err, out)
	}
}

// routes follows the changes of the pod's kernel routes until the test ends.
func (p *pod) routes(t *testing.T) *lines {
	t.Helper()
	l := newLines()
	cmd := exec.CommandContext(t.Context(), "nsenter", "-t", fmt.Sprint(p.sandbox), "-n", "ip", "-o", "monitor", "label", "route")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdout, cmd.Stderr = l, l
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Wait() })
	return l
}

// join lays a cable between two pods.
func join(t *testing.T, a, b *pod, addrA, addrB string) {
	t.Helper()
	a.ip(t, "link", "add", "e0", "type", "veth", "peer", "name", "e0", "netns", fmt.Sprint(b.sandbox))
	a.ip(t, "addr", "add", addrA, "dev", "e0")
	b.ip(t, "addr", "add", addrB, "dev", "e0")
	a.ip(t, "link", "set", "e0", "up")
	b.ip(t, "link", "set", "e0", "up")
}

// rootFileSystem returns the image's first layer, unpacked by build.
func rootFileSystem(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		need.Skip(t, "needs root for namespaces and chroot")
	}
	dir, err := filepath.Abs("../../out/rootfs/frr")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "usr/lib/frr/bgpd")); err != nil {
		need.Skip(t, fmt.Sprintf("no root file system of the image; run deploy/images/build rootfs first: %v", err))
	}
	return dir
}

func onlyChild(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	var child int
	if n, err := fmt.Sscan(string(bytes.TrimSpace(b)), &child); n != 1 {
		t.Fatalf("process %d has no child: %q, %v", pid, b, err)
	}
	return child
}

// lines collects a program's output and wakes who waits for a line of it.
type lines struct {
	mu   sync.Mutex
	cond *sync.Cond
	all  []string
	part []byte
	from int // wait looks from here
}

func newLines() *lines {
	l := &lines{}
	l.cond = sync.NewCond(&l.mu)
	return l
}

var _ io.Writer = (*lines)(nil)

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := bufio.NewScanner(io.MultiReader(bytes.NewReader(l.part), bytes.NewReader(b)))
	var got []string
	for s.Scan() {
		got = append(got, s.Text())
	}
	l.part = nil
	if len(got) > 0 && !bytes.HasSuffix(b, []byte("\n")) {
		l.part = []byte(got[len(got)-1])
		got = got[:len(got)-1]
	}
	l.all = append(l.all, got...)
	l.cond.Broadcast()
	return len(b), nil
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.all, "\n")
}

// mark makes the next wait look only at lines that are still to come.
func (l *lines) mark() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.from = len(l.all)
}

// has reports whether a line since the mark holds the text.
func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.all[l.from:] {
		if strings.Contains(line, text) {
			return true
		}
	}
	return false
}

// wait returns when a line since the mark holds the text, and moves the mark
// behind it.
func (l *lines) wait(t *testing.T, text string, limit time.Duration) {
	t.Helper()
	late := time.AfterFunc(limit, func() { l.mu.Lock(); l.cond.Broadcast(); l.mu.Unlock() })
	defer late.Stop()
	deadline := time.Now().Add(limit)
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for ; l.from < len(l.all); l.from++ {
			if strings.Contains(l.all[l.from], text) {
				l.from++
				return
			}
		}
		if !time.Now().Before(deadline) {
			t.Fatalf("no line with %q within %v", text, limit)
		}
		l.cond.Wait()
	}
}

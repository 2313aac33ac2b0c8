// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testBeside starts a lab that would outlive this program, as `lab up` does,
// while the first is up with the same addresses; it then kills its holder and
// looks for what is left.
func testBeside(t *testing.T, ctx context.Context, l *Lab) {
	spec := Spec{Name: "test-beside", Nodes: 1, Routers: 1, LANClients: 1, Dir: filepath.Join(filepath.Dir(l.Spec.Dir), "test-beside")}
	before := namespaces(t)
	if err := Start(ctx, spec, t.Output()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := Stop(context.WithoutCancel(ctx), spec.Dir); err != nil {
			t.Error(err)
		}
	}()
	kubeconfig, up := Running(spec.Dir)
	if !up {
		t.Fatal("the lab is not up after Start")
	}
	kubectl := exec.CommandContext(ctx, filepath.Join(l.Spec.Bin, "kubectl"), "--kubeconfig="+kubeconfig, "get", "nodes", "-o=name")
	if got, err := output(kubectl); err != nil || got != "node/n1\n" {
		t.Errorf("kubectl from outside: %q, %v", got, err)
	}
	waitAnswer(t, ctx, l, l.Node(0).Addr4, "node=n1") // the first lab is as it was
	s, err := readState(spec.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(namespaces(t)) <= len(before) || len(cgroupsOf(t, s)) == 0 {
		t.Fatal("the second lab has no namespaces or cgroups that could leak; the test would prove nothing")
	}
	if err := unix.Kill(s.Holder, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wait, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err = poll(wait, "everything of the second lab to be gone", 50*time.Millisecond, func() error {
		if left := cgroupsOf(t, s); len(left) > 0 {
			return fmt.Errorf("cgroups left: %v", left)
		}
		for ns, who := range namespaces(t) {
			if before[ns] == "" {
				return fmt.Errorf("namespace %s is left, with %s", ns, who)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), spec.Dir) {
		t.Errorf("mounts are left, or could not be read (%v):\n%s", err, mounts)
	}
}

// namespaces returns the process, mount and network namespaces of all processes
// with the name of one process in each.
func namespaces(t *testing.T) map[string]string {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/*")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range links {
		switch filepath.Base(f) {
		case "pid", "mnt", "net":
			ns, err := os.Readlink(f)
			comm, cerr := os.ReadFile(filepath.Join(filepath.Dir(f), "../comm"))
			if err == nil && cerr == nil {
				out[ns] = strings.TrimSpace(string(comm))
			}
		}
	}
	return out
}

// cgroupsOf returns the top cgroups of a lab that are there.
func cgroupsOf(t *testing.T, s holderState) []string {
	t.Helper()
	hs, err := hierarchies()
	id, iderr := labID(s.Holder, s.HolderStart)
	if err = errors.Join(err, iderr); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, h := range hs {
		dir := filepath.Join(h.top(), id)
		if _, err := os.Stat(dir); err == nil {
			out = append(out, dir)
		}
	}
	return out
}

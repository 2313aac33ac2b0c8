// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	cgroupMount = "/sys/fs/cgroup"
	cgroupTop   = "metallb-lab" // parent of all labs' cgroups
)

// A hierarchy is one mounted cgroup hierarchy.
type hierarchy struct {
	Name string // directory below cgroupMount; "" for the unified one
	Opts string // mount options of a version 1 hierarchy
	Path string // where this process is in it
}

// hierarchies returns the version 1 hierarchies in use, or the unified one
// where there is nothing else.
func hierarchies() ([]hierarchy, error) {
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("reading own cgroups: %w", err)
	}
	var v1, v2 []hierarchy
	for line := range strings.Lines(string(b)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		h := hierarchy{Name: f[1], Opts: f[1], Path: f[2]}
		if f[1] == "" {
			v2 = append(v2, h)
			continue
		}
		if name, named := strings.CutPrefix(f[1], "name="); named {
			h.Name, h.Opts = name, "none,name="+name
		}
		if _, err := os.Stat(filepath.Join(cgroupMount, h.Name)); err != nil {
			continue // not mounted
		}
		if _, err := os.Stat(filepath.Join(cgroupMount, h.Name, h.Path)); err != nil {
			h.Path = "/" // in a container that is shown only its own part
		}
		v1 = append(v1, h)
	}
	if len(v1) > 0 {
		return v1, nil
	}
	return v2, nil
}

// top is the directory in which the labs' cgroups are made. In version 1 it is
// below the process's own cgroup; the unified hierarchy allows no processes in
// inner cgroups, so there it is at the root.
func (h hierarchy) top() string {
	if h.Name == "" {
		return filepath.Join(cgroupMount, cgroupTop)
	}
	return filepath.Join(cgroupMount, h.Name, h.Path, cgroupTop)
}

// makeCgroups makes the cgroups of one node of the lab id and returns their
// directories, one for each hierarchy.
func makeCgroups(hs []hierarchy, id, node string) (dirs []string, err error) {
	for _, h := range hs {
		dir := filepath.Join(h.top(), id, node)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("making cgroup: %w", err)
		}
		chain := []string{h.top(), filepath.Join(h.top(), id), dir}
		switch {
		case h.Name == "":
			for _, d := range append([]string{cgroupMount}, chain[:2]...) {
				if err := delegateAll(d); err != nil {
					return nil, err
				}
			}
		case slices.Contains(strings.Split(h.Name, ","), "cpuset"):
			for _, d := range chain {
				if err := inheritCpuset(d); err != nil {
					return nil, err
				}
			}
		}
		dirs = append(dirs, dir)
	}
	return dirs, nil
}

// inheritCpuset gives a version 1 cpuset its parent's processors and memory,
// without which it takes no process.
func inheritCpuset(dir string) error {
	for _, f := range []string{"cpuset.cpus", "cpuset.mems"} {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(dir), f))
		if err != nil {
			return fmt.Errorf("reading the parent's %s: %w", f, err)
		}
		if err := os.WriteFile(filepath.Join(dir, f), b, 0); err != nil {
			return fmt.Errorf("setting %s: %w", f, err)
		}
	}
	return nil
}

// delegateAll makes all of a unified cgroup's controllers available below it.
func delegateAll(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("reading cgroup controllers: %w", err)
	}
	for c := range strings.FieldsSeq(string(b)) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0); err != nil {
			return fmt.Errorf("delegating cgroup controller %s in %s: %w", c, dir, err)
		}
	}
	return nil
}

// joinCgroups moves the process into the cgroups in dirs.
func joinCgroups(dirs []string) error {
	for _, d := range dirs {
		if err := os.WriteFile(filepath.Join(d, "cgroup.procs"), []byte("0"), 0); err != nil {
			return fmt.Errorf("joining cgroup: %w", err)
		}
	}
	return nil
}

// removeCgroups removes the cgroups of the lab id, or with "id/node" those of a
// node, whose processes have ended or are about to.
func removeCgroups(hs []hierarchy, id string) (err error) {
	// The kernel tells nobody when a cgroup becomes free; hence the retries.
	deadline := time.Now().Add(10 * time.Second)
	for {
		err = nil
		for _, h := range hs {
			err = errors.Join(err, removeTree(filepath.Join(h.top(), id)))
			// Fails, rightly, while other labs are there.
			_ = unix.Rmdir(h.top())
		}
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// removeTree removes a directory of cgroups, deepest first.
func removeTree(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	for _, d := range slices.Backward(dirs) {
		if rerr := unix.Rmdir(d); rerr != nil && !errors.Is(rerr, unix.ENOENT) {
			err = errors.Join(err, fmt.Errorf("removing cgroup %s: %w", d, rerr))
		}
	}
	return err
}

// removeStaleCgroups removes what labs have left whose owner was killed.
func removeStaleCgroups() error {
	hs, err := hierarchies()
	if err != nil {
		return err
	}
	stale := map[string]bool{}
	for _, h := range hs {
		ents, err := os.ReadDir(h.top())
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("looking for cgroups left behind: %w", err)
		}
		for _, e := range ents {
			if e.IsDir() && !ownerAlive(e.Name()) {
				stale[e.Name()] = true
			}
		}
	}
	for id := range stale {
		if err := removeCgroups(hs, id); err != nil {
			return err
		}
	}
	return nil
}

// labID names the lab that a process owns: by the process namespace, since two
// of these know different processes by the same number, the process's id, and
// when it started.
func labID(pid int, start uint64) (string, error) {
	ns, err := os.Readlink("/proc/self/ns/pid") // "pid:[4026531836]"
	if err != nil {
		return "", fmt.Errorf("reading own process namespace: %w", err)
	}
	return fmt.Sprintf("%s-%d-%d", strings.Trim(ns, "pid:[]"), pid, start), nil
}

// ownerAlive reports whether the owner of the lab id lives, as far as can be
// seen from here: it does if it belongs to another process namespace.
func ownerAlive(id string) bool {
	f := strings.Split(id, "-")
	if len(f) != 3 {
		return true // not a lab's
	}
	pid, err := strconv.Atoi(f[1])
	if err != nil {
		return true
	}
	start, err := strconv.ParseUint(f[2], 10, 64)
	if err != nil {
		return true
	}
	if own, err := labID(pid, start); err != nil || own != id {
		return true
	}
	got, err := startTime(pid)
	return err == nil && got == start && !zombie(pid)
}

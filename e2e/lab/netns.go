// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A netNS is a network namespace that is kept by a file below runDir.
type netNS struct{ name string }

func (n netNS) path() string { return filepath.Join(runDir, "netns", n.name) }

func (n netNS) exists() bool {
	var st unix.Statfs_t
	return unix.Statfs(n.path(), &st) == nil && st.Type == unix.NSFS_MAGIC
}

// create makes the namespace, with its loopback interface up.
func (n netNS) create() error {
	f, err := os.Create(n.path())
	if err != nil {
		return fmt.Errorf("making network namespace %s: %w", n.name, err)
	}
	f.Close()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = unix.Mount("/proc/thread-self/ns/net", n.path(), "", unix.MS_BIND, "")
		}
		if err == nil {
			err = loopbackUp()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return fmt.Errorf("making network namespace %s: %w", n.name, err)
	}
	return nil
}

// remove lets go of the namespace; it vanishes with its last process.
func (n netNS) remove() error {
	err := unix.Unmount(n.path(), unix.MNT_DETACH)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		err = nil
	}
	if rerr := os.Remove(n.path()); !errors.Is(rerr, os.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	if err != nil {
		return fmt.Errorf("removing network namespace %s: %w", n.name, err)
	}
	return nil
}

// do calls f on a thread that is in the namespace. What f starts or opens
// belongs to the namespace; goroutines that f starts do not.
func (n netNS) do(f func() error) error {
	runtime.LockOSThread()
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("opening own network namespace: %w", err)
	}
	defer unix.Close(home)
	there, err := unix.Open(n.path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("opening network namespace %s: %w", n.name, err)
	}
	defer unix.Close(there)
	if err := unix.Setns(there, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("entering network namespace %s: %w", n.name, err)
	}
	ferr := f()
	if err := unix.Setns(home, unix.CLONE_NEWNET); err != nil {
		// The thread stays locked and ends with this goroutine.
		return errors.Join(ferr, fmt.Errorf("leaving network namespace %s: %w", n.name, err))
	}
	runtime.UnlockOSThread()
	return ferr
}

// start starts cmd in the namespace.
func (n netNS) start(cmd *exec.Cmd) error { return n.do(cmd.Start) }

// link calls f with a netlink handle into the namespace.
func (n netNS) link(f func(h *netlink.Handle) error) error { return linkAt(n.path(), f) }

func linkAt(path string, f func(h *netlink.Handle) error) error {
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return fmt.Errorf("opening network namespace %s: %w", path, err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("opening netlink in %s: %w", path, err)
	}
	defer h.Close()
	return f(h)
}

// sysctl sets "net/..." values, given as "key=value", in the namespace.
func (n netNS) sysctl(settings ...string) error {
	return n.do(func() error {
		for _, s := range settings {
			key, value, _ := strings.Cut(s, "=")
			if err := os.WriteFile("/proc/sys/"+key, []byte(value), 0); err != nil {
				return fmt.Errorf("setting %s in %s: %w", s, n.name, err)
			}
		}
		return nil
	})
}

// loopbackUp brings up the loopback interface of the thread's namespace.
func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("bringing up the loopback interface: %w", err)
	}
	return nil
}

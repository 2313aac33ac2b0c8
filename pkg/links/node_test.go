// SPDX-License-Identifier: Apache-2.0

package links_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"metallb.io/metallb-frr/e2e/need"
	"metallb.io/metallb-frr/pkg/links"
)

// timeLimit is for each thing that a test waits for.
const timeLimit = 20 * time.Second

// A node is a network namespace of the test's own.
type node struct {
	t  testing.TB
	ns netns.NsHandle
	*netlink.Handle
}

func newNode(t testing.TB) *node {
	t.Helper()
	if os.Getuid() != 0 {
		need.Skip(t, "network namespaces take root")
	}
	type made struct {
		ns  netns.NsHandle
		err error
	}
	ch := make(chan made)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		ns, err := netns.New()
		ch <- made{ns, err}
	}()
	m := <-ch
	if m.err != nil {
		t.Fatal("making a network namespace:", m.err)
	}
	n := &node{t: t, ns: m.ns}
	var err error
	if n.Handle, err = netlink.NewHandleAt(n.ns, unix.NETLINK_ROUTE); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.Close()
		n.ns.Close()
	})
	return n
}

// in calls f on a thread that is in the namespace, on a goroutine of its own.
func (n *node) in(f func()) {
	go func() {
		runtime.LockOSThread() // never unlocked
		if err := netns.Set(n.ns); err != nil {
			n.t.Error("entering the network namespace:", err)
			return
		}
		f()
	}()
}

// sysctl sets a value below /proc/sys/net.
func (n *node) sysctl(path, value string) {
	n.t.Helper()
	done := make(chan error)
	n.in(func() { done <- os.WriteFile("/proc/sys/net/"+path, []byte(value), 0) })
	n.must(<-done)
}

// must ends the test if one of several steps failed.
func (n *node) must(errs ...error) {
	n.t.Helper()
	if err := errors.Join(errs...); err != nil {
		n.t.Fatal(err)
	}
}

// add makes an interface and returns it with its index.
func (n *node) add(l netlink.Link) netlink.Link {
	n.t.Helper()
	err := n.LinkAdd(l)
	if errors.Is(err, unix.EOPNOTSUPP) {
		// Not need.Skip: nothing that could be built or installed helps.
		n.t.Skipf("this kernel has no interfaces of kind %s", l.Type())
	}
	n.must(err)
	return n.link(l.Attrs().Name)
}

func (n *node) link(name string) netlink.Link {
	n.t.Helper()
	l, err := n.LinkByName(name)
	n.must(err)
	return l
}

// veth makes a pair of Ethernet interfaces that are up: name, and name with a "p".
// Without IPv6 duplicate address detection: addresses are in use at once.
func (n *node) veth(name string) netlink.Link {
	n.t.Helper()
	n.sysctl("ipv6/conf/default/accept_dad", "0")
	l := n.add(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "p"})
	n.must(n.LinkSetUp(l), n.LinkSetUp(n.link(name+"p")))
	return l
}

func addr(s string) *netlink.Addr {
	a, err := netlink.ParseAddr(s)
	if err != nil {
		panic(err)
	}
	return a
}

// A watch is a Watch that runs, and what it has reported.
type watch struct {
	t      testing.TB
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	reports [][]links.Link
	more    chan struct{} // closed at the next report
	trouble []error
}

// watch starts one. report is called in its report function, if not nil.
func (n *node) watch(o links.Options, report func([]links.Link)) *watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{t: n.t, cancel: cancel, done: make(chan struct{}), more: make(chan struct{})}
	o.Trouble = func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.trouble = append(w.trouble, err)
	}
	n.in(func() {
		defer close(w.done)
		err := links.Watch(ctx, o, func(ls []links.Link) {
			w.mu.Lock()
			w.reports = append(w.reports, ls)
			close(w.more)
			w.more = make(chan struct{})
			w.mu.Unlock()
			if report != nil {
				report(ls)
			}
		})
		if err != nil {
			n.t.Error("Watch:", err)
		}
	})
	n.t.Cleanup(func() {
		w.end()
		for _, err := range w.trouble {
			n.t.Error("trouble:", err)
		}
	})
	w.until("first report", func([]links.Link) bool { return true })
	return w
}

// end ends it, and waits until it did.
func (w *watch) end() {
	w.t.Helper()
	w.cancel()
	select {
	case <-w.done:
	case <-time.After(timeLimit):
		w.t.Fatal("Watch has not returned")
	}
}

// until waits for a report of which ok is true, and returns it. It need not be the
// last one, but none before the last that until returned is looked at.
func (w *watch) until(what string, ok func([]links.Link) bool) []links.Link {
	w.t.Helper()
	limit := time.After(timeLimit)
	for {
		w.mu.Lock()
		var last []links.Link
		if n := len(w.reports); n > 0 {
			last = w.reports[n-1]
			if ok(last) {
				w.mu.Unlock()
				return last
			}
		}
		more := w.more
		w.mu.Unlock()
		select {
		case <-more:
		case <-limit:
			w.t.Fatalf("no report of %s; the last one:\n%s", what, show(last))
		}
	}
}

// untilLink waits until an interface is as ok says.
func (w *watch) untilLink(name, what string, ok func(links.Link) bool) links.Link {
	w.t.Helper()
	ls := w.until(name+" "+what, func(ls []links.Link) bool {
		l, there := find(ls, name)
		return there && ok(l)
	})
	l, _ := find(ls, name)
	return l
}

// count returns how many reports there were.
func (w *watch) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.reports)
}

func find(ls []links.Link, name string) (links.Link, bool) {
	i := slices.IndexFunc(ls, func(l links.Link) bool { return l.Name == name })
	if i < 0 {
		return links.Link{}, false
	}
	return ls[i], true
}

func show(ls []links.Link) string {
	var s string
	for _, l := range ls {
		s += fmt.Sprintf("%+v\n", l)
	}
	return s
}

// now returns what a Watch that starts now reports first.
func (n *node) now() []links.Link {
	n.t.Helper()
	w := n.watch(links.Options{}, nil)
	w.end()
	return w.reports[0]
}

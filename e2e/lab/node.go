// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Node is a Kubernetes node with namespaces of its own of every kind. Its
// first process runs containerd, kubelet and kube-proxy, and starts them again
// when they end, as an init system does.
type Node struct {
	Name         string
	Addr4, Addr6 netip.Addr
	lab          *Lab
	index        int
	ns           netNS
	lan          port
}

// Node returns node i, counted from 0. The node's name is n1 for the first.
func (l *Lab) Node(i int) *Node {
	ns := netNS{nodeName(i)}
	return &Node{
		Name: ns.name, Addr4: host(LAN4, firstHost+i), Addr6: host(LAN6, firstHost+i),
		lab: l, index: i, ns: ns, lan: port{ns, "eth0", lanBridge, firstHost + i},
	}
}

// Nodes returns all nodes.
func (l *Lab) Nodes() []*Node {
	var ns []*Node
	for i := range l.Spec.Nodes {
		ns = append(ns, l.Node(i))
	}
	return ns
}

// Dir holds the node's state and logs: log/kubelet.log and so on.
func (n *Node) Dir() string { return filepath.Join(n.lab.Spec.Dir, n.Name) }

func (n *Node) plug() error {
	return errors.Join(n.lab.plugMember(n.ns, n.lan), n.lab.podRoutes(n.ns, n.index), unreachable(n.ns, n.lab.Spec.Unreachable))
}

// nodeArg is what a node's first process is told, in a file.
type nodeArg struct {
	Name, Dir, Bin, PKI, ProxyMode string
	Addr4, Addr6                   netip.Addr
	Pods                           [2]netip.Prefix
	Hierarchies                    []hierarchy
	Cgroups                        []string // the node's directory in each hierarchy
}

// start starts the node's first process on whatever state the node has.
func (n *Node) start(ctx context.Context) error {
	if err := n.lab.giveImages(ctx, filepath.Join(n.Dir(), "containerd")); err != nil {
		return fmt.Errorf("starting node %s: %w", n.Name, err)
	}
	for _, d := range []string{"kubelet", "cni", "log"} {
		if err := os.MkdirAll(filepath.Join(n.Dir(), d), 0o755); err != nil {
			return err
		}
	}
	groups, err := makeCgroups(n.lab.hierarchies, n.lab.id, n.Name)
	if err != nil {
		return fmt.Errorf("starting node %s: %w", n.Name, err)
	}
	modes := n.lab.Spec.ProxyMode
	b, err := json.Marshal(nodeArg{
		Name: n.Name, Dir: n.Dir(), Bin: n.lab.Spec.Bin, PKI: n.lab.pkiDir(), ProxyMode: modes[n.index%len(modes)],
		Addr4: n.Addr4, Addr6: n.Addr6, Pods: podNets(n.index), Hierarchies: n.lab.hierarchies, Cgroups: groups,
	})
	if err != nil {
		return err
	}
	arg := filepath.Join(n.Dir(), "node.json")
	if err := os.WriteFile(arg, b, 0o644); err != nil {
		return err
	}
	cmd := self(stageNode0, argVar+"="+arg)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
	}
	return n.lab.daemon(n.ns, n.Name, cmd, filepath.Join(n.Dir(), "log", "init.log"))
}

// WaitReady waits until the named nodes, or all without names, are Ready and
// their kubelets have been heard of after since (unless that is zero), for at
// most 3 minutes.
func (l *Lab) WaitReady(ctx context.Context, since time.Time, names ...string) error {
	if len(names) == 0 {
		for _, n := range l.Nodes() {
			names = append(names, n.Name)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Minute, errors.New("not Ready after 3 minutes; logs are in "+l.Spec.Dir))
	defer cancel()
	for _, name := range names {
		err := poll(ctx, "node "+name, 50*time.Millisecond, func() error {
			if !since.IsZero() {
				heard, err := l.heard(ctx, name)
				if err != nil {
					return err
				}
				if !heard.After(since) {
					return fmt.Errorf("last heard of at %s", heard)
				}
			}
			ready, err := l.Ready(ctx, name)
			if err == nil && !ready {
				err = errors.New("not Ready")
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// waitProxy waits until the node's kube-proxy has its rules in force, for at
// most a minute. Its health check does not tell: it is content before it has
// written any.
func (n *Node) waitProxy(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("no rules after a minute; logs are in "+n.Dir()))
	defer cancel()
	return poll(ctx, "kube-proxy on "+n.Name, 50*time.Millisecond, func() error {
		try, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		c, err := n.Dial(try, "tcp", "10.96.0.1:443")
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

// heard returns when the node's kubelet has last renewed its lease.
func (l *Lab) heard(ctx context.Context, name string) (time.Time, error) {
	var lease struct {
		Spec struct{ RenewTime time.Time }
	}
	err := l.get(ctx, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/"+name, &lease)
	return lease.Spec.RenewTime, err
}

// Ready reports whether the API server has the node as Ready.
func (l *Lab) Ready(ctx context.Context, name string) (bool, error) {
	var node struct {
		Status struct {
			Conditions []struct{ Type, Status string }
		}
	}
	if err := l.get(ctx, "/api/v1/nodes/"+name, &node); err != nil {
		return false, err
	}
	for _, c := range node.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True", nil
		}
	}
	return false, nil
}

// Command returns a command that will run in all of the node's namespaces.
func (n *Node) Command(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	pid, err := memberPid(n.Name)
	if err != nil {
		return nil, err
	}
	ns := []string{"-t", strconv.Itoa(pid), "-m", "-p", "-n", "-u", "-i", "-C", "--", name}
	return exec.CommandContext(ctx, "nsenter", append(ns, args...)...), nil
}

// Exec runs a command in all of the node's namespaces and returns its output.
func (n *Node) Exec(ctx context.Context, name string, args ...string) (string, error) {
	cmd, err := n.Command(ctx, name, args...)
	if err != nil {
		return "", err
	}
	return output(cmd)
}

// LinkDown pulls the node's cables; the node sees it.
func (n *Node) LinkDown() error { return n.onPorts(port.linkDown) }

// LinkUp plugs the node's cables back in.
func (n *Node) LinkUp() error { return n.onPorts(port.linkUp) }

// Drop makes the switch lose all of the node's frames, in both directions, and
// with false stop doing so. Nobody sees a link go down.
func (n *Node) Drop(on bool) error {
	return n.onPorts(func(p port) error { return p.drop(on) })
}

// onPorts calls f for all ports that the node is plugged into.
func (n *Node) onPorts(f func(port) error) error {
	ports, err := n.ports()
	for _, p := range ports {
		err = errors.Join(err, f(p))
	}
	return err
}

// KillProcess kills, with SIGKILL, all of the node's processes of that name,
// those in its containers too. It is an error if there are none.
func (n *Node) KillProcess(name string) error {
	pid, err := memberPid(n.Name)
	if err != nil {
		return err
	}
	pids, err := descendants(pid, name)
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return fmt.Errorf("killing %s on %s: there is no such process", name, n.Name)
	}
	for _, p := range pids {
		if err := unix.Kill(p, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("killing %s on %s: %w", name, n.Name, err)
		}
	}
	return nil
}

// Crash kills all of the node's processes at once but leaves its network stack
// with all addresses and rules, which goes on forwarding.
func (n *Node) Crash(ctx context.Context) error {
	pid, err := memberPid(n.Name)
	if err != nil {
		return err
	}
	if err := killWait(ctx, pid); err != nil {
		return fmt.Errorf("crashing node %s: %w", n.Name, err)
	}
	return os.Remove(pidFile(n.Name))
}

// PowerCut turns the node off: first its link goes, then everything in it at
// once. What it has on disk stays.
func (n *Node) PowerCut(ctx context.Context) error {
	if _, err := memberPid(n.Name); err != nil {
		return fmt.Errorf("cutting power: %w", err)
	}
	if err := errors.Join(n.LinkDown(), n.Crash(ctx)); err != nil {
		return err
	}
	return n.removeNetwork()
}

// removeNetwork takes the node's interfaces and its network namespace away.
func (n *Node) removeNetwork() error {
	return errors.Join(n.onPorts(port.unplug), n.ns.remove())
}

// ports returns those that the node is plugged into.
func (n *Node) ports() (out []port, err error) {
	err = netNS{switchName}.link(func(h *netlink.Handle) error {
		links, err := h.LinkList()
		for _, l := range links {
			if ifname, ok := strings.CutPrefix(l.Attrs().Name, n.Name+"-"); ok {
				out = append(out, n.port(ifname))
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the ports of %s: %w", n.Name, err)
	}
	return out, nil
}

// PowerOn starts the node after [Node.PowerCut] or [Node.Crash] on what it has
// on disk. It does not wait until the node is Ready; see [Lab.WaitReady].
func (n *Node) PowerOn(ctx context.Context) error {
	if _, err := memberPid(n.Name); err == nil {
		return fmt.Errorf("starting node %s: it is running", n.Name)
	}
	if n.ns.exists() {
		if err := n.removeNetwork(); err != nil {
			return err
		}
	}
	if err := removeCgroups(n.lab.hierarchies, filepath.Join(n.lab.id, n.Name)); err != nil {
		return err
	}
	if err := n.plug(); err != nil {
		return err
	}
	return n.start(ctx)
}

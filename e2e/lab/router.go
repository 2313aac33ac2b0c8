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

	"golang.org/x/sys/unix"
)

// A Router is a top-of-rack router: FRR between the nodes and the clients.
type Router struct {
	Name             string
	Addr4, Addr6     netip.Addr // towards the nodes
	Client4, Client6 netip.Addr // towards the clients
	lab              *Lab
	index            int
	ns               netNS
	lan, clients     port
}

// Router returns router i, counted from 0. The router's name is tor1 for the
// first.
func (l *Lab) Router(i int) *Router {
	ns := netNS{routerName(i)}
	return &Router{
		Name: ns.name, Addr4: host(LAN4, i+1), Addr6: host(LAN6, i+1),
		Client4: host(ClientNet4, i+1), Client6: host(ClientNet6, i+1),
		lab: l, index: i, ns: ns, lan: port{ns, "eth0", lanBridge, i + 1}, clients: port{ns, "eth1", clientBridge, i + 1},
	}
}

// Routers returns all routers.
func (l *Lab) Routers() []*Router {
	var rs []*Router
	for i := range l.Spec.Routers {
		rs = append(rs, l.Router(i))
	}
	return rs
}

// DefaultRouterConf is the frr.conf of router i: an eBGP session to every node,
// over IPv4 and over IPv6, each for both address families and with BFD, and
// ECMP. BFD goes as fast as the node asks for, down to 50 ms.
func DefaultRouterConf(s Spec, i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `frr defaults traditional
hostname %s
service integrated-vtysh-config
bfd
 profile lab
  transmit-interval 50
  receive-interval 50
 exit
exit
router bgp %d
 bgp router-id %s
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp bestpath as-path multipath-relax
`, routerName(i), s.RouterASN, host(LAN4, i+1))
	for _, group := range []string{"nodes4", "nodes6"} {
		fmt.Fprintf(&b, " neighbor %s peer-group\n neighbor %[1]s remote-as %d\n neighbor %[1]s bfd\n neighbor %[1]s bfd profile lab\n neighbor %[1]s timers 3 9\n neighbor %[1]s timers connect 1\n", group, s.NodeASN)
	}
	for n := range s.Nodes {
		fmt.Fprintf(&b, " neighbor %s peer-group nodes4\n neighbor %s peer-group nodes6\n", host(LAN4, firstHost+n), host(LAN6, firstHost+n))
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		fmt.Fprintf(&b, " address-family %s unicast\n  neighbor nodes4 activate\n  neighbor nodes6 activate\n  maximum-paths 16\n exit-address-family\n", family)
	}
	b.WriteString("exit\n")
	return b.String()
}

// conf is the router's frr.conf.
func (r *Router) conf() string {
	if c := r.lab.Spec.RouterConf; r.index < len(c) && c[r.index] != "" {
		return c[r.index]
	}
	return DefaultRouterConf(r.lab.Spec, r.index)
}

// Dir holds the router's configuration (etc) and log.
func (r *Router) Dir() string { return filepath.Join(r.lab.Spec.Dir, r.Name) }

// routerArg is what a router's first process is told, in a file.
type routerArg struct{ Name, Root, Etc string }

const frrDaemons = `bgpd=yes
bfdd=yes
vtysh_enable=yes
zebra_options="-A 127.0.0.1 -s 90000000 --limit-fds 4096"
mgmtd_options="-A 127.0.0.1"
staticd_options="-A 127.0.0.1"
bgpd_options="-A 127.0.0.1 --limit-fds 4096 -M bmp"
bfdd_options="-A 127.0.0.1"
watchfrr_options="--interval 1 --min-restart-interval 1 --max-restart-interval 5"
`

// Start starts FRR and waits until it answers. The first time it gets the
// configuration of the spec; later the one it had.
func (r *Router) Start(ctx context.Context) error {
	etc := filepath.Join(r.Dir(), "etc")
	if _, err := os.Stat(etc); err != nil {
		if err := os.MkdirAll(etc, 0o755); err != nil {
			return err
		}
		for name, text := range map[string]string{"frr.conf": r.conf(), "daemons": frrDaemons, "vtysh.conf": "service integrated-vtysh-config\n"} {
			if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o644); err != nil {
				return err
			}
		}
	}
	b, err := json.Marshal(routerArg{r.Name, r.lab.Spec.RouterRoot, etc})
	if err != nil {
		return err
	}
	arg := filepath.Join(r.Dir(), "router.json")
	if err := os.WriteFile(arg, b, 0o644); err != nil {
		return err
	}
	cmd := self(stageRouter, argVar+"="+arg)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
	}
	if err := r.lab.daemon(r.ns, r.Name, cmd, filepath.Join(r.Dir(), "frr.log")); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("not answering after a minute; its log is in "+r.Dir()))
	defer cancel()
	return poll(ctx, "router "+r.Name, 50*time.Millisecond, func() error {
		out, err := r.Vtysh(ctx, "show bgp summary json")
		if err == nil && !json.Valid([]byte(out)) {
			err = fmt.Errorf("bgpd is not up: %s", strings.TrimSpace(out))
		}
		return err
	})
}

// Stop kills FRR with all its processes. The routes that it had made stay in
// the kernel, which goes on forwarding.
func (r *Router) Stop(ctx context.Context) error {
	pid, err := memberPid(r.Name)
	if err != nil {
		return err
	}
	if err := killWait(ctx, pid); err != nil {
		return fmt.Errorf("stopping router %s: %w", r.Name, err)
	}
	return os.Remove(pidFile(r.Name))
}

// LinkDown pulls the router's cable towards the nodes; LinkUp plugs it back in.
func (r *Router) LinkDown() error { return r.lan.linkDown() }

// LinkUp undoes LinkDown.
func (r *Router) LinkUp() error { return r.lan.linkUp() }

// Drop makes the switch lose all frames between the router and the nodes, and
// with false stop doing so.
func (r *Router) Drop(on bool) error { return r.lan.drop(on) }

// KillProcess kills the router's processes of that name, such as "bgpd";
// watchfrr starts them again.
func (r *Router) KillProcess(name string) error {
	return (&Node{Name: r.Name}).KillProcess(name)
}

// Command returns a command that will run in the router's namespaces.
func (r *Router) Command(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	pid, err := memberPid(r.Name)
	if err != nil {
		return nil, err
	}
	ns := []string{"-t", strconv.Itoa(pid), "-m", "-p", "-n", "-u", "-i", "--", name}
	return exec.CommandContext(ctx, "nsenter", append(ns, args...)...), nil
}

// Exec runs a command in the router's namespaces, on its root file system, and
// returns its output.
func (r *Router) Exec(ctx context.Context, name string, args ...string) (string, error) {
	cmd, err := r.Command(ctx, name, args...)
	if err != nil {
		return "", err
	}
	return output(cmd)
}

// Vtysh runs one or more vtysh commands and returns what FRR answers.
func (r *Router) Vtysh(ctx context.Context, cmds ...string) (string, error) {
	var args []string
	for _, c := range cmds {
		args = append(args, "-c", c)
	}
	return r.Exec(ctx, "vtysh", args...)
}

// routerStage is a router's first process. It becomes watchfrr.
func routerStage(file string) error {
	var a routerArg
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err != nil {
		return fmt.Errorf("reading the router's settings: %w", err)
	}
	if err := unix.Sethostname([]byte(a.Name)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	if err := a.enterRoot(); err != nil {
		return err
	}
	const run = "mkdir -p /run/frr /tmp && chown -R frr:frr /etc/frr /run/frr && . /usr/lib/frr/frrcommon.sh && exec /usr/lib/frr/watchfrr $watchfrr_options $(daemon_list)"
	env := []string{defaultPath}
	return fmt.Errorf("starting FRR: %w", unix.Exec("/bin/bash", []string{"bash", "-c", run}, env))
}

// enterRoot makes FRR's root file system, read-only, the root, with what must
// be writable or its own laid over it.
func (a routerArg) enterRoot() error {
	in := func(path string) string { return filepath.Join(a.Root, path) }
	const safe = unix.MS_NOSUID | unix.MS_NODEV
	err := mountAll([]mountPoint{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{a.Root, a.Root, "", unix.MS_BIND, ""},
		{"", a.Root, "", unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY, ""},
		{a.Etc, in("etc/frr"), "", unix.MS_BIND, ""},
		{"tmpfs", in("run"), "tmpfs", safe, "mode=755"},
		{"tmpfs", in("tmp"), "tmpfs", safe, "mode=1777"},
		{"tmpfs", in("var/tmp"), "tmpfs", safe, "mode=1777"},
		{"tmpfs", in("var/lib"), "tmpfs", safe, "mode=755"},
		{"tmpfs", in("var/log"), "tmpfs", safe, "mode=755"},
		{"/dev", in("dev"), "", unix.MS_BIND | unix.MS_REC, ""},
		{"proc", in("proc"), "proc", safe | unix.MS_NOEXEC, ""},
	})
	if err != nil {
		return err
	}
	if err := unix.Chdir(a.Root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("entering %s: %w", a.Root, err)
	}
	return errors.Join(unix.Unmount(".", unix.MNT_DETACH), unix.Chdir("/"))
}

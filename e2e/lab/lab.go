// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Spec says what a lab consists of.
type Spec struct {
	// Name names the lab in messages and is the last element of the default
	// Dir. Default "lab".
	Name string
	// Nodes, Routers and Clients are how many of each there are: at most 200,
	// 9 and 100. Zero is allowed.
	Nodes, Routers, Clients int
	// LANClients is how many clients are on the nodes' own network: at most 20.
	LANClients int
	// Dir holds the lab's files (logs, kubeconfig, state of the nodes). It is
	// emptied when the lab starts and must not be below /run, /proc, /sys,
	// /var/lib or /var/log. Default out/lab/NAME below the repository's root.
	Dir string
	// Bin holds etcd, kube-apiserver, kube-controller-manager, kube-scheduler,
	// kubelet, kube-proxy, kubectl and helm. Default out/kube.
	Bin string
	// RouterRoot is the unpacked root file system with FRR that the routers
	// run from. It is not written to. Default out/rootfs/frr.
	RouterRoot string
	// Images are archives (docker save) that every node has; lab.local/pause:1
	// must be among them for pods to start. They are unpacked once into a store
	// beside Dir and shared by all nodes of all labs. Default: all of
	// out/images/*.tar.
	Images []string
	// NodeGrace is how long the control plane waits for a silent node before
	// it is NotReady. Default 20 s; the kubelets report every 4 s.
	NodeGrace time.Duration
	// ProxyMode is kube-proxy's mode, "iptables" or "nftables", node by node,
	// repeated as needed. Default iptables, nftables.
	ProxyMode []string
	// RouterConf is the frr.conf of each router. Routers beyond its length, or
	// with an empty string, get [DefaultRouterConf].
	RouterConf []string
	// NodeASN and RouterASN are the AS numbers of the nodes and the routers in
	// the default router configuration. Default 65100 and 65000.
	NodeASN, RouterASN uint32
	// Unreachable prefixes get an unreachable route on every node, so that
	// packets for a service address which a node does not serve end there
	// instead of going back to a router. Default none.
	Unreachable []netip.Prefix
}

// withDefaults returns the spec with its defaults filled in, or an error that
// names what cannot be.
func (s Spec) withDefaults() (Spec, error) {
	root, err := repoRoot()
	if err != nil {
		return s, err
	}
	str := func(p *string, def string) {
		if *p == "" {
			*p = def
		}
	}
	str(&s.Name, "lab")
	str(&s.Dir, filepath.Join(root, "out", "lab", s.Name))
	str(&s.Bin, filepath.Join(root, "out", "kube"))
	str(&s.RouterRoot, filepath.Join(root, "out", "rootfs", "frr"))
	if s.Images == nil {
		if s.Images, err = filepath.Glob(filepath.Join(root, "out", "images", "*.tar")); err != nil {
			return s, err
		}
	}
	if s.NodeGrace == 0 {
		s.NodeGrace = 20 * time.Second
	}
	if len(s.ProxyMode) == 0 {
		s.ProxyMode = []string{"iptables", "nftables"}
	}
	if s.NodeASN == 0 {
		s.NodeASN = 65100
	}
	if s.RouterASN == 0 {
		s.RouterASN = 65000
	}
	for _, p := range []*string{&s.Dir, &s.Bin, &s.RouterRoot} {
		if *p, err = filepath.Abs(*p); err != nil {
			return s, err
		}
		for _, hidden := range []string{"/run/", "/proc/", "/sys/", "/var/lib/", "/var/log/"} {
			if strings.HasPrefix(*p+"/", hidden) {
				return s, fmt.Errorf("lab %s: directory %s is below %s, which nodes do not share; choose one elsewhere", s.Name, *p, hidden)
			}
		}
	}
	for _, c := range []struct {
		field  string
		n, max int
	}{{"Nodes", s.Nodes, 200}, {"Routers", s.Routers, 9}, {"Clients", s.Clients, 100}, {"LANClients", s.LANClients, maxLANClients}} {
		if c.n < 0 || c.n > c.max {
			return s, fmt.Errorf("lab %s: %s is %d; it can be 0 to %d", s.Name, c.field, c.n, c.max)
		}
	}
	return s, s.check()
}

// check looks for what the lab needs on the machine.
func (s Spec) check() error {
	var missing []string
	for _, b := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"} {
		missing = append(missing, filepath.Join(s.Bin, b))
	}
	if s.Routers > 0 {
		missing = append(missing, filepath.Join(s.RouterRoot, "usr/lib/frr/watchfrr"))
	}
	missing = append(missing, s.Images...)
	var errs []error
	for _, f := range missing {
		if _, err := os.Stat(f); err != nil {
			errs = append(errs, err)
		}
	}
	for _, m := range s.ProxyMode {
		if m != "iptables" && m != "nftables" {
			errs = append(errs, fmt.Errorf("ProxyMode %q; it can be iptables or nftables", m))
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("lab %s: %w", s.Name, errors.Join(errs...))
	}
	return nil
}

// repoRoot finds the directory with the module's go.mod, from the working
// directory upwards.
func repoRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		b, err := os.ReadFile(filepath.Join(d, "go.mod"))
		if err == nil && strings.HasPrefix(string(b), "module metallb.io/metallb-frr\n") {
			return d, nil
		}
		if d == "/" {
			return "", fmt.Errorf("finding the repository: no go.mod of metallb.io/metallb-frr in %s or above", dir)
		}
	}
}

// A Lab is a cluster and its network. Its processes and namespaces are known by
// files below runDir, so that any program inside can take hold of it.
type Lab struct {
	// Spec is what the lab was made from, with its defaults.
	Spec Spec
	// Kubeconfig is the file with the administrator's credentials. It works
	// inside the lab and outside of it, on the same machine.
	Kubeconfig string

	id          string      // names the lab's cgroups
	hierarchies []hierarchy // as its holder sees them
	port        string      // the API server's on loopback
	token       string      // the administrator's
	ca          []byte      // PEM
}

// Up brings a lab up, inside the namespaces that [Main] has made, and returns
// when all nodes are Ready and reach cluster addresses. At most one lab is up in
// one set of namespaces; several programs may each have theirs. It tells
// progress what it is doing.
func Up(ctx context.Context, spec Spec, progress io.Writer) (*Lab, error) {
	if !inside {
		return nil, errors.New("bringing a lab up: not inside the lab's namespaces; call Main first, as root")
	}
	spec, err := spec.withDefaults()
	if err != nil {
		return nil, err
	}
	l := &Lab{Spec: spec, Kubeconfig: filepath.Join(spec.Dir, "kubeconfig"), id: os.Getenv(idVar), port: os.Getenv(portVar)}
	if l.hierarchies, err = hierarchies(); err != nil {
		return nil, err
	}
	if err := l.up(ctx, newSteps(progress)); err != nil {
		return nil, fmt.Errorf("bringing up lab %s: %w", spec.Name, err)
	}
	return l, nil
}

func (l *Lab) up(ctx context.Context, step *steps) error {
	if err := emptyDir(l.Spec.Dir); err != nil {
		return err
	}
	if err := l.buildNetwork(); err != nil {
		return err
	}
	step.done("network: %d nodes, %d routers, %d clients", l.Spec.Nodes, l.Spec.Routers, l.Spec.Clients+l.Spec.LANClients)
	stored := make(chan error, 1)
	go func() { stored <- l.storeImages(ctx) }()
	for i := range l.Spec.Routers {
		if err := l.Router(i).Start(ctx); err != nil {
			return err
		}
	}
	if err := errors.Join(l.startControlPlane(ctx), l.startForward(ctx)); err != nil {
		return err
	}
	step.done("control plane ready")
	if err := <-stored; err != nil {
		return err
	}
	step.done("images unpacked")
	if err := l.saveState(); err != nil {
		return err
	}
	err := each(l.Spec.Nodes, func(i int) error { return l.Node(i).start(ctx) })
	if err == nil {
		err = l.WaitReady(ctx, time.Time{})
	}
	if err == nil {
		err = each(l.Spec.Nodes, func(i int) error { return l.Node(i).waitProxy(ctx) })
	}
	if err == nil && l.Spec.Nodes > 0 {
		step.done("nodes Ready, cluster addresses reachable")
	}
	return err
}

// Down ends the lab's processes and removes its network and files. A lab also
// ends without it, with the program; only the files then stay.
func (l *Lab) Down(ctx context.Context) error {
	var errs []error
	ents, err := os.ReadDir(filepath.Join(runDir, "pid"))
	errs = append(errs, err)
	for _, e := range ents {
		pid, err := memberPid(e.Name())
		if err == nil {
			err = killWait(ctx, pid)
		}
		errs = append(errs, err, os.Remove(pidFile(e.Name())))
	}
	ents, err = os.ReadDir(filepath.Join(runDir, "netns"))
	errs = append(errs, err)
	for _, e := range ents {
		errs = append(errs, netNS{e.Name()}.remove())
	}
	for i := range l.Spec.Nodes {
		errs = append(errs, removeCgroups(l.hierarchies, filepath.Join(l.id, nodeName(i))))
	}
	errs = append(errs, os.RemoveAll(l.Spec.Dir))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("taking down lab %s: %w", l.Spec.Name, err)
	}
	return nil
}

// savedState is what a later program needs to take hold of the lab.
type savedState struct {
	Spec            Spec
	ID, Port, Token string
	Hierarchies     []hierarchy
	CA              []byte
}

func (l *Lab) saveState() error {
	b, err := json.Marshal(savedState{l.Spec, l.id, l.port, l.token, l.hierarchies, l.ca})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(runDir, "lab.json"), b, 0o600)
}

// Open takes hold of the lab inside whose namespaces the program runs.
func Open() (*Lab, error) {
	var s savedState
	b, err := os.ReadFile(filepath.Join(runDir, "lab.json"))
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the lab: not inside one: %w", err)
	}
	return &Lab{
		Spec: s.Spec, Kubeconfig: filepath.Join(s.Spec.Dir, "kubeconfig"),
		id: s.ID, hierarchies: s.Hierarchies, port: s.Port, token: s.Token, ca: s.CA,
	}, nil
}

// each calls f for 0 to n-1 at the same time and joins the errors.
func each(n int, f func(i int) error) error {
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- f(i) }()
	}
	var all []error
	for range n {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// emptyDir makes dir, empty.
func emptyDir(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("emptying %s: %w", dir, err)
	}
	return os.MkdirAll(dir, 0o755)
}

// steps tells what has been done and how long it took since the start.
type steps struct {
	w     io.Writer
	start time.Time
}

func newSteps(w io.Writer) *steps {
	if w == nil {
		w = io.Discard
	}
	return &steps{w, time.Now()}
}

func (s *steps) done(format string, args ...any) {
	fmt.Fprintf(s.w, "%5.1fs  %s\n", time.Since(s.start).Seconds(), fmt.Sprintf(format, args...))
}

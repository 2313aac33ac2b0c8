// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"metallb.io/metallb-frr/e2e/need"
)

func TestMain(m *testing.M) { Main(m.Run) }

// needLab skips the test where a lab cannot be, and says what is missing.
func needLab(t *testing.T, s Spec) {
	t.Helper()
	if !Inside() {
		need.Skip(t, "needs root, to make namespaces")
	}
	if _, err := s.withDefaults(); errors.Is(err, fs.ErrNotExist) {
		need.Skip(t, fmt.Sprintf("needs what `make test` builds first: %v", err))
	}
}

const webManifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: web}}}
      containers:
      - name: web
        image: lab.local/web:1
        env: [{name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
        readinessProbe: {httpGet: {port: 8080, path: /}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  externalTrafficPolicy: Local
  ipFamilyPolicy: RequireDualStack
  clusterIP: 10.96.0.80
  clusterIPs: [10.96.0.80, "fd00:96::80"]
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
`

func TestLab(t *testing.T) {
	spec := Spec{Name: "test-lab", Nodes: 2, Routers: 2, Clients: 1, NodeGrace: 10 * time.Second}
	needLab(t, spec)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	l, err := Up(ctx, spec, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Down(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	}()
	if _, err := l.KubectlInput(ctx, webManifest, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Kubectl(ctx, "rollout", "status", "deployment/web", "--timeout=60s"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		test func(*testing.T, context.Context, *Lab)
	}{
		{"the client reaches every node's port", testNodePorts},
		{"a node reaches a cluster address", testClusterAddress},
		{"kubectl exec and logs", testExecLogs},
		{"the routes of a router", testRoutes},
		{"two nodes announce an address over BGP", testBGP},
		{"a router restarted has its configuration", testRouterRestart},
		{"silent drop and link down", testDrop},
		{"a killed process comes back", testKillProcess},
		{"power cut and return", testPowerCut},
		{"all processes of a node killed", testCrash},
		{"a second lab beside, its holder killed", testBeside},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, ctx, l) })
	}
}

// ask returns the answer to one HTTP request, with its own connection.
func ask(ctx context.Context, c *http.Client, host string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/", nil)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func nodePort(a netip.Addr) string { return netip.AddrPortFrom(a, 30080).String() }

func testNodePorts(t *testing.T, ctx context.Context, l *Lab) {
	c := l.Client(0)
	for _, n := range l.Nodes() {
		for _, a := range []struct{ node, client netip.Addr }{{n.Addr4, c.Addr4}, {n.Addr6, c.Addr6}} {
			waitAnswer(t, ctx, l, a.node, "node="+n.Name, "client="+strings.TrimSuffix(netip.AddrPortFrom(a.client, 0).String(), "0"))
		}
	}
}

// waitAnswer waits until the client gets an answer from a node's port that has
// all the given parts.
func waitAnswer(t *testing.T, ctx context.Context, l *Lab, node netip.Addr, parts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	hc := l.Client(0).HTTP(time.Second)
	err := poll(ctx, "an answer from "+nodePort(node), 100*time.Millisecond, func() error {
		got, err := ask(ctx, hc, nodePort(node))
		for _, p := range parts {
			if err == nil && !strings.Contains(got, p) {
				err = fmt.Errorf("answer is %q, want %q in it", got, p)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func testClusterAddress(t *testing.T, ctx context.Context, l *Lab) {
	for _, n := range l.Nodes() {
		hc := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DialContext: n.Dial, DisableKeepAlives: true}}
		for _, host := range []string{"10.96.0.80", "[fd00:96::80]"} {
			got, err := ask(ctx, hc, host+":80")
			if err != nil || !strings.HasPrefix(got, "pod=web-") {
				t.Errorf("%s from %s: %q, %v", host, n.Name, got, err)
			}
		}
	}
}

func testExecLogs(t *testing.T, ctx context.Context, l *Lab) {
	if _, err := l.Kubectl(ctx, "logs", "deployment/web"); err != nil {
		t.Error(err)
	}
	_, err := l.Kubectl(ctx, "exec", "deployment/web", "--", "/web", "-no-such-flag")
	if err == nil || !strings.Contains(err.Error(), "flag provided but not defined") {
		t.Errorf("exec gave %v, want the program's complaint about its flag", err)
	}
}

func testRoutes(t *testing.T, ctx context.Context, l *Lab) {
	r := l.Router(0)
	events, err := r.WatchRoutes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n1, n2 := l.Node(0), l.Node(1)
	for _, c := range []struct {
		prefix string
		a, b   netip.Addr
	}{{"198.51.100.1/32", n1.Addr4, n2.Addr4}, {"2001:db8::1/128", n1.Addr6, n2.Addr6}} {
		p := netip.MustParsePrefix(c.prefix)
		ip := func(args ...string) {
			t.Helper()
			if _, err := r.Exec(ctx, "ip", append([]string{"route"}, args...)...); err != nil {
				t.Fatal(err)
			}
		}
		ip("add", c.prefix, "proto", "bgp", "nexthop", "via", c.a.String(), "nexthop", "via", c.b.String())
		want := []netip.Addr{c.a, c.b}
		if e := nextEvent(t, events); e.Deleted || e.Route.Prefix != p || !slices.Equal(e.Route.NextHops, want) {
			t.Errorf("event after adding: %+v", e)
		}
		if got, err := r.Route(ctx, p); err != nil || !slices.Equal(got.NextHops, want) {
			t.Errorf("Route(%s) = %v, %v", p, got, err)
		}
		ip("del", c.prefix, "proto", "bgp")
		if e := nextEvent(t, events); !e.Deleted || e.Route.Prefix != p {
			t.Errorf("event after deleting: %+v", e)
		}
		if got, err := r.Route(ctx, p); err != nil || len(got.NextHops) != 0 {
			t.Errorf("Route(%s) after deleting = %v, %v", p, got, err)
		}
	}
}

func nextEvent(t *testing.T, events <-chan RouteEvent) RouteEvent {
	t.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			t.Fatal("the stream of events ended")
		}
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event within 10 s")
	}
	panic("not reached")
}

func testRouterRestart(t *testing.T, ctx context.Context, l *Lab) {
	r := l.Router(1)
	if err := r.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Vtysh(ctx, "show version"); err == nil {
		t.Error("a stopped router answers")
	}
	if err := r.Start(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err := poll(ctx, "the configuration", 100*time.Millisecond, func() error {
		got, err := r.Vtysh(ctx, "show running-config")
		if err == nil && !strings.Contains(got, "neighbor "+l.Node(0).Addr4.String()+" peer-group nodes4") {
			err = fmt.Errorf("configuration without the node: %s", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// reaches reports whether the node answers the client within a second.
func reaches(ctx context.Context, l *Lab, n *Node) bool {
	_, err := l.Client(0).Exec(ctx, "ping", "-c1", "-W1", n.Addr4.String())
	return err == nil
}

func testDrop(t *testing.T, ctx context.Context, l *Lab) {
	n := l.Node(0)
	carrier := func() string {
		out, err := n.Exec(ctx, "cat", "/sys/class/net/eth0/carrier")
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	for _, c := range []struct {
		name    string
		on, off func() error
		carrier string
	}{
		{"drop", func() error { return n.Drop(true) }, func() error { return n.Drop(false) }, "1"},
		{"link down", n.LinkDown, n.LinkUp, "0"},
	} {
		if err := c.on(); err != nil {
			t.Fatal(err)
		}
		if reaches(ctx, l, n) {
			t.Errorf("%s: %s still answers", c.name, n.Name)
		}
		if got := carrier(); got != c.carrier {
			t.Errorf("%s: carrier is %s, want %s", c.name, got, c.carrier)
		}
		if err := c.off(); err != nil {
			t.Fatal(err)
		}
		waitAnswer(t, ctx, l, n.Addr4, "node="+n.Name)
	}
}

func testKillProcess(t *testing.T, ctx context.Context, l *Lab) {
	n := l.Node(0)
	if err := n.KillProcess("no-such"); err == nil {
		t.Error("killing a process that is not there gave no error")
	}
	for _, name := range []string{"kubelet", "containerd", "web"} {
		if err := n.KillProcess(name); err != nil {
			t.Fatal(err)
		}
	}
	since := time.Now()
	if err := l.WaitReady(ctx, since, n.Name); err != nil {
		t.Error(err)
	}
	waitAnswer(t, ctx, l, n.Addr4, "node="+n.Name)
}

func testPowerCut(t *testing.T, ctx context.Context, l *Lab) {
	n := l.Node(1)
	if err := n.PowerCut(ctx); err != nil {
		t.Fatal(err)
	}
	if reaches(ctx, l, n) {
		t.Errorf("%s answers without power", n.Name)
	}
	if _, err := n.Exec(ctx, "true"); err == nil {
		t.Error("a command ran on a node without power")
	}
	wait, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	err := poll(wait, n.Name+" not Ready", 200*time.Millisecond, func() error {
		ready, err := l.Ready(wait, n.Name)
		if err == nil && ready {
			err = errors.New("still Ready")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	since := time.Now()
	if err := n.PowerOn(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.WaitReady(ctx, since, n.Name); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s Ready %v after its return", n.Name, time.Since(since).Round(time.Millisecond))
	waitAnswer(t, ctx, l, n.Addr4, "node="+n.Name)
	waitAnswer(t, ctx, l, n.Addr6, "node="+n.Name)
}

func testCrash(t *testing.T, ctx context.Context, l *Lab) {
	n := l.Node(1)
	if err := n.Crash(ctx); err != nil {
		t.Fatal(err)
	}
	if !reaches(ctx, l, n) {
		t.Errorf("the network stack of %s went with its processes", n.Name)
	}
	since := time.Now()
	if err := n.PowerOn(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.PowerOn(ctx); err == nil {
		t.Error("a running node could be started")
	}
	if err := l.WaitReady(ctx, since, n.Name); err != nil {
		t.Fatal(err)
	}
	waitAnswer(t, ctx, l, n.Addr4, "node="+n.Name)
}

// testBeside starts a lab that would outlive this program, as `lab up` does,
// while the first is up with the same addresses; it then kills its holder and
// looks for what is left.
func testBeside(t *testing.T, ctx context.Context, l *Lab) {
	spec := Spec{Name: "test-beside", Nodes: 1, Routers: 1, Dir: filepath.Join(filepath.Dir(l.Spec.Dir), "test-beside")}
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

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
	"strings"
	"testing"
	"time"

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
	spec := Spec{Name: "test-lab", Nodes: 2, Routers: 2, Clients: 1, LANClients: 1, NodeGrace: 10 * time.Second}
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
		{"a client on the nodes' network reaches every node's port", testLANPorts},
		{"a node reaches a cluster address", testClusterAddress},
		{"a node without the API server", testAPIServerCut},
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

func testNodePorts(t *testing.T, ctx context.Context, l *Lab) { reachPorts(t, ctx, l, l.Client(0)) }

// testLANPorts also sees that no router had a part in it.
func testLANPorts(t *testing.T, ctx context.Context, l *Lab) {
	c := l.LANClient(0)
	reachPorts(t, ctx, l, c)
	for _, n := range l.Nodes() {
		for _, a := range []netip.Addr{n.Addr4, n.Addr6} {
			if got, err := c.Neighbor(a); err != nil || got.MAC != macOf(t, n) {
				t.Errorf("%s takes %s for %s (%v), want %s", c.Name, got.MAC, a, err, macOf(t, n))
			}
		}
	}
}

// reachPorts has the client ask every node, over both families.
func reachPorts(t *testing.T, ctx context.Context, l *Lab, c *Client) {
	t.Helper()
	for _, n := range l.Nodes() {
		for _, a := range []struct{ node, client netip.Addr }{{n.Addr4, c.Addr4}, {n.Addr6, c.Addr6}} {
			waitAnswerAt(t, ctx, c, a.node, "node="+n.Name, "client="+strings.TrimSuffix(netip.AddrPortFrom(a.client, 0).String(), "0"))
		}
	}
}

// waitAnswer waits until the first client gets an answer from a node's port that has
// all the given parts.
func waitAnswer(t *testing.T, ctx context.Context, l *Lab, node netip.Addr, parts ...string) {
	t.Helper()
	waitAnswerAt(t, ctx, l.Client(0), node, parts...)
}

func waitAnswerAt(t *testing.T, ctx context.Context, c *Client, node netip.Addr, parts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	hc := c.HTTP(time.Second)
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

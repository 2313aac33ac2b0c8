// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/product"
)

// politeDeployment is a Deployment, one replica a node, of an application that
// goes on answering for some seconds after it has been told to stop, and at last
// is not ready either, as applications behind any load balancer must: the word that it
// leaves needs its time to reach everybody, and kube-proxy keeps a flow of
// datagrams with a pod that is still ready.
func politeDeployment(namespace, app, version string) string {
	return fmt.Sprintf(`---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  replicas: %[3]d
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}, annotations: {version: %[4]q}}
    spec:
      terminationGracePeriodSeconds: 10
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: %[1]s}}, matchLabelKeys: [pod-template-hash]}
      containers:
      - name: web
        image: lab.local/web:1
        imagePullPolicy: IfNotPresent
        args: [-linger=5s]
        resources: {requests: {cpu: 100m}}
        securityContext: {runAsUser: 0, capabilities: {add: [NET_ADMIN]}}
        env: [{name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
        readinessProbe: {httpGet: {port: 8080, path: /healthz}, periodSeconds: 1, failureThreshold: 1}
`, app, namespace, len(everywhere), version)
}

// lossless runs what happens while datagrams go to a Service, and fails the test
// unless every one of them was answered.
func (w *world) lossless(t *testing.T, ctx context.Context, rec *recording, to netip.AddrPort, happens func()) {
	t.Helper()
	from := rec.mark()
	s := w.stream(t, ctx, to)
	s.past(t, ctx, 1000)
	happens()
	s.past(t, ctx, 1000)
	d := s.Stop()
	t.Log(d)
	if d.Lost != 0 || d.Sent < 2000 {
		t.Errorf("%d of %d datagrams lost from %s to %s, want none; routes meanwhile:\n%s%s",
			d.Lost, d.Sent, d.First.Format("05.000"), d.Last.Format("05.000"), rec.since(from), w.overflows(ctx))
	}
}

// overflows counts the datagrams that have come to a pod so far and found its
// socket's buffer full: the application was not given the processor in time, and
// nobody else has lost them.
func (w *world) overflows(ctx context.Context) string {
	const count = `for p in $(pidof web); do awk '$1 == "Udp:" { n = $6 } END { print n }' /proc/$p/net/snmp; done`
	var b strings.Builder
	for _, n := range w.Nodes() {
		out, err := n.Exec(ctx, "bash", "-c", count)
		if err != nil {
			out += err.Error()
		}
		fmt.Fprintf(&b, "pods on %s whose buffer was full: %s\n", n.Name, strings.Join(strings.Fields(out), ", "))
	}
	return b.String()
}

// polite brings up a Service with politeDeployment behind it, on all nodes and
// watched by BFD.
func (w *world) polite(t *testing.T, ctx context.Context, rec *recording, ns, policy string) netip.AddrPort {
	t.Helper()
	w.apply(t, ctx, w.torConfig()+politeDeployment(ns, "web", "1")+service(ns, "web", policy))
	w.kubectl(t, ctx, "-n", ns, "rollout", "status", "deployment/web", "--timeout=60s")
	addr := w.address(t, ctx, ns, "web")
	rec.reach(t, ctx, host(addr), everywhere...)
	w.watched(t, ctx)
	to := netip.AddrPortFrom(addr, 80)
	w.answers(t, ctx, to, everywhere...)
	return to
}

// A rolling update of the product itself, node by node, loses nothing: each node
// withdraws before it stops, and announces again when it forwards.
func TestSpeakerRolloutLosesNothing(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	to := w.polite(t, ctx, rec, ns, "Local")
	w.lossless(t, ctx, rec, to, func() {
		w.kubectl(t, ctx, "-n", product.Namespace, "rollout", "restart", "daemonset/speaker")
		w.kubectl(t, ctx, "-n", product.Namespace, "rollout", "status", "daemonset/speaker", "--timeout=120s")
		rec.reach(t, ctx, host(to.Addr()), everywhere...)
	})
	w.agree(t, ctx)
}

// A rolling update of an application with externalTrafficPolicy Local fails no
// request: a node is a next hop only while it has a pod that is to stay. (Of a flow
// of datagrams, which moves from pod to pod, kube-proxy may lose what is under way
// at that moment: it ends the connection tracking entry.)
func TestApplicationRolloutFailsNothing(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	to := w.polite(t, ctx, rec, ns, "Local")
	from := rec.mark()
	s := product.StartStream(ctx, w.Client(0), url(to), 10*time.Millisecond, 10*time.Second)
	w.apply(t, ctx, politeDeployment(ns, "web", "2"))
	w.kubectl(t, ctx, "-n", ns, "rollout", "status", "deployment/web", "--timeout=90s")
	w.eventually(t, ctx, "the pods of before to be gone", func() error {
		pods := strings.Fields(w.kubectl(t, ctx, "-n", ns, "get", "pods", "-l", "app=web", "-o", "name"))
		if len(pods) != len(everywhere) {
			return fmt.Errorf("there are %v", pods)
		}
		return nil
	})
	tally := s.Stop()
	t.Logf("%d requests answered, %d failed", tally.OK(), tally.Failed)
	if tally.Failed > 0 || tally.OK() < 500 {
		t.Errorf("%d requests answered, %d failed from %s to %s (%v), want none to fail; routes meanwhile:\n%s", tally.OK(), tally.Failed,
			tally.First.Format("05.000"), tally.Last.Format("05.000"), tally.LastError, rec.since(from))
	}
	w.agree(t, ctx)
}

// kubectl drain, and the node's return, lose nothing.
func TestKubectlDrainLosesNothing(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	to := w.polite(t, ctx, rec, ns, "Local")
	t.Cleanup(func() {
		if _, err := w.Kubectl(context.Background(), "uncordon", "n2"); err != nil {
			t.Error(err)
		}
	})
	w.lossless(t, ctx, rec, to, func() {
		w.kubectl(t, ctx, "drain", "n2", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=90s")
		rec.reach(t, ctx, host(to.Addr()), "n1", "n3")
		w.kubectl(t, ctx, "uncordon", "n2") // its pod has been waiting for it
		rec.reach(t, ctx, host(to.Addr()), everywhere...)
	})
	w.agree(t, ctx)
}

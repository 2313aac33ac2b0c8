// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
)

// userKinds are the resources that users write.
const userKinds = "ipaddresspools,bgppeers,bgpadvertisements,l2advertisements,bfdprofiles,communities"

// clear removes everything that tests configure, and waits until no router has
// a route and no node a BGP instance.
func (w *world) clear(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	commands := [][]string{{"-n", product.Namespace, "delete", userKinds, "--all", "--timeout=30s"}}
	for _, ns := range w.namespaces {
		// The rest of a namespace may take its time; it announces nothing.
		commands = append(commands, []string{"-n", ns, "delete", "services", "--all", "--timeout=30s"}, []string{"delete", "namespace", ns, "--wait=false"})
	}
	w.namespaces = nil
	for _, args := range commands {
		if out, err := w.Kubectl(ctx, args...); err != nil {
			t.Errorf("cleaning up: %v\n%s", err, out)
		}
	}
	for _, r := range w.Routers() {
		w.eventually(t, ctx, "no route left on "+r.Name, func() error {
			routes, err := r.Routes(ctx)
			if err == nil && len(routes) > 0 {
				err = fmt.Errorf("it has %v", routes)
			}
			return err
		})
		// A BFD session of this test that ends during the next one takes the
		// BGP session of that one along.
		if err := product.WaitBFD(ctx, r, 0); err != nil {
			t.Error(err)
		}
	}
	for _, n := range w.Nodes() {
		w.eventually(t, ctx, "nothing configured on "+n.Name, func() error {
			conf, err := w.runningConfig(ctx, n)
			if err == nil && (strings.Contains(conf, "router bgp") || strings.Contains(conf, "\n profile ")) {
				err = fmt.Errorf("its configuration is\n%s", conf)
			}
			return err
		})
	}
}

// eventually asks until f returns nil, and fails the test with its last error
// after waitLimit. It is for what tells nobody when it changes.
func (w *world) eventually(t *testing.T, ctx context.Context, what string, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// apply applies manifests.
func (w *world) apply(t *testing.T, ctx context.Context, yaml string) {
	t.Helper()
	if err := product.Apply(ctx, w.Lab, yaml); err != nil {
		t.Fatal(err)
	}
}

// kubectl runs kubectl and returns its output.
func (w *world) kubectl(t *testing.T, ctx context.Context, args ...string) string {
	t.Helper()
	out, err := w.Kubectl(ctx, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

// shell runs a line as a person types it, with kubectl in the PATH.
func (w *world) shell(ctx context.Context, line string) (string, error) {
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", line)
	cmd.Env = w.Env()
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w\n%s", line, err, out)
	}
	return string(out), nil
}

// namespace makes a namespace of the test's own.
func (w *world) namespace(t *testing.T, ctx context.Context) string {
	t.Helper()
	ns, err := w.k8s.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "scenario-"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.namespaces = append(w.namespaces, ns.Name)
	w.eventually(t, ctx, "the default service account of "+ns.Name, func() error {
		_, err := w.k8s.CoreV1().ServiceAccounts(ns.Name).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	return ns.Name
}

// address waits for a Service's first address.
func (w *world) address(t *testing.T, ctx context.Context, namespace, name string) netip.Addr {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	a, err := product.WaitAddress(ctx, w.Lab, namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// deleteService deletes a Service.
func (w *world) deleteService(t *testing.T, ctx context.Context, namespace, name string) {
	t.Helper()
	if err := w.k8s.CoreV1().Services(namespace).Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// podsReady waits until n Pods with that label app are ready.
func (w *world) podsReady(t *testing.T, ctx context.Context, namespace, app string) {
	t.Helper()
	w.kubectl(t, ctx, "-n", namespace, "wait", "--for=condition=Ready", "pod", "-l", "app="+app, "--timeout=60s")
}

// speakerPod returns the speaker's Pod on a node.
func (w *world) speakerPod(ctx context.Context, n *lab.Node) (*corev1.Pod, error) {
	pods, err := w.k8s.CoreV1().Pods(product.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: "component=speaker", FieldSelector: fields.OneTermEqualSelector("spec.nodeName", n.Name).String(),
	})
	if err != nil {
		return nil, err
	}
	if len(pods.Items) != 1 {
		return nil, fmt.Errorf("node %s has %d speaker Pods, want 1", n.Name, len(pods.Items))
	}
	return &pods.Items[0], nil
}

// vtysh asks the FRR of a node, as the handbook does.
func (w *world) vtysh(ctx context.Context, n *lab.Node, command string) (string, error) {
	pod, err := w.speakerPod(ctx, n)
	if err != nil {
		return "", err
	}
	return w.Kubectl(ctx, "-n", product.Namespace, "exec", pod.Name, "-c", "frr", "--", "vtysh", "-c", command)
}

// runningConfig is what FRR on a node runs.
func (w *world) runningConfig(ctx context.Context, n *lab.Node) (string, error) {
	return w.vtysh(ctx, n, "show running-config")
}

// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"metallb.io/metallb-frr/e2e/apiserver"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// What stands in a repository. The second Service loses its address on the way, so
// that it has every annotation that the controller writes.
const repository = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: web, namespace: metallb-system}
spec: {addresses: [10.1.0.0/30], avoidBuggyIPs: false}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: other, namespace: metallb-system, labels: {zone: a}}
spec:
  addresses: [10.2.0.0/24, 10.3.0.7-10.3.0.9]
  autoAssign: false
---
apiVersion: v1
kind: Service
metadata:
  name: plain
  namespace: default
spec:
  type: LoadBalancer
  selector: {app: plain}
  ports: [{name: http, port: 80, protocol: TCP}]
---
apiVersion: v1
kind: Service
metadata:
  name: moved
  namespace: default
  annotations: {metallb.io/allow-shared-ip: key, metallb.io/address-pool: other}
spec:
  type: LoadBalancer
  selector: {app: moved}
  ports: [{name: http, port: 81, protocol: TCP}]
`

// gitops is a tool that makes the cluster what the repository says.
type gitops struct {
	name  string
	apply func(w *world, o *unstructured.Unstructured)
}

var tools = []gitops{
	{"argocd-controller", serverSide("argocd-controller")},
	{"kustomize-controller", serverSide("kustomize-controller")},
	{"kubectl apply", func(w *world, o *unstructured.Unstructured) { w.kubectl(o, "apply", "-f", "-") }},
	{"kubectl apply --server-side", func(w *world, o *unstructured.Unstructured) { w.kubectl(o, "apply", "--server-side", "-f", "-") }},
}

// serverSide applies as a tool does that forces conflicts, having made sure that there
// is none, and that a dry run, which Argo CD compares with what is there, shows no
// difference once it has been applied before.
func serverSide(manager string) func(*world, *unstructured.Unstructured) {
	return func(w *world, o *unstructured.Unstructured) {
		w.t.Helper()
		data, err := json.Marshal(o)
		if err != nil {
			w.t.Fatal(err)
		}
		apply := client.RawPatch(types.ApplyPatchType, data)
		there := o.DeepCopy()
		if err := w.Get(w.t.Context(), client.ObjectKeyFromObject(o), there); err == nil {
			dry := o.DeepCopy()
			if err := w.Patch(w.t.Context(), dry, apply, client.FieldOwner(manager), client.DryRunAll); err != nil {
				w.t.Errorf("%s, %s: without force: %v", manager, o.GetName(), err)
			}
			for _, u := range []*unstructured.Unstructured{there, dry} {
				u.SetManagedFields(nil)
				u.SetResourceVersion("")
			}
			if diff := cmp.Diff(there.Object, dry.Object); diff != "" {
				w.t.Errorf("%s, %s: what is there differs from what is applied (-there +applied):\n%s", manager, o.GetName(), diff)
			}
		}
		if err := w.Patch(w.t.Context(), o.DeepCopy(), apply, client.FieldOwner(manager), client.ForceOwnership); err != nil {
			w.t.Fatalf("%s: apply %s: %v", manager, o.GetName(), err)
		}
	}
}

func (w *world) kubectl(o *unstructured.Unstructured, args ...string) string {
	w.t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(w.t.Context(), filepath.Join(apiserver.Programs(w.t), "kubectl"), append([]string{"--kubeconfig=" + w.kubeconfig}, args...)...)
	cmd.Stdin = strings.NewReader(string(data))
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Errorf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Tools that make the cluster what a repository says, again and again, and the
// controller leave each other's fields alone: applying what was applied before
// changes nothing, meets no conflict, and costs no address.
func TestRepositoriesDoNotDrift(t *testing.T) {
	w := newWorld(t)
	w.launch(w.kubeconfig).says(acquired)
	for _, tool := range tools {
		w.drift(tool)
	}
}

func (w *world) drift(tool gitops) {
	w.t.Helper()
	w.t.Log(tool.name)
	manifests := manifestsOf(w.t)
	apply := func() {
		w.t.Helper()
		for _, o := range manifests {
			tool.apply(w, o)
		}
	}
	apply()
	w.address("plain")
	w.address("moved")
	if err := edit(w, pool("other", true), func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"10.9.0.0/24"} }); err != nil {
		w.t.Fatal(err)
	}
	w.await("the Service to have lost its address", func() bool { return w.latest[keyOf(service("moved"))].last != "" })
	w.revert(manifests[1], tool) // somebody's edit: the fields are the tool's own again
	w.await("the Service to have it again", func() bool {
		v := w.latest[keyOf(service("moved"))]
		return v.last == "" && len(v.addrs) == 1
	})
	w.quiet("first")
	before := w.versions(manifests)
	apply()
	if tool.name == "kubectl apply" {
		for _, o := range manifests {
			if diff := w.kubectl(o, "diff", "-f", "-"); diff != "" {
				w.t.Errorf("kubectl diff of %s:\n%s", o.GetName(), diff)
			}
		}
	}
	if after := w.versions(manifests); !slices.Equal(before, after) {
		w.t.Errorf("%s: applied again without a change they have the versions %v, before %v", tool.name, after, before)
	}
	w.changed(tool, manifests[2].DeepCopy())
	for _, o := range append(manifests, unstructuredService("first"), unstructuredService("second")) {
		if err := w.Delete(w.t.Context(), o.DeepCopy()); err != nil {
			w.t.Fatal(err)
		}
	}
}

func unstructuredService(name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion("v1")
	o.SetKind("Service")
	o.SetNamespace("default")
	o.SetName(name)
	return o
}

// revert applies a manifest over somebody else's edit.
func (w *world) revert(o *unstructured.Unstructured, tool gitops) {
	w.t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	switch {
	case tool.name == "kubectl apply --server-side":
		w.kubectl(o, "apply", "--server-side", "--force-conflicts", "-f", "-")
	case strings.HasPrefix(tool.name, "kubectl"):
		tool.apply(w, o)
	default:
		if err := w.Patch(w.t.Context(), o.DeepCopy(), client.RawPatch(types.ApplyPatchType, data), client.FieldOwner(tool.name), client.ForceOwnership); err != nil {
			w.t.Fatal(err)
		}
	}
}

// changed applies a manifest with another label: it is changed, and what the
// controller wrote stays.
func (w *world) changed(tool gitops, o *unstructured.Unstructured) {
	w.t.Helper()
	before := service(o.GetName())
	if err := w.Get(w.t.Context(), client.ObjectKeyFromObject(o), before); err != nil {
		w.t.Fatal(err)
	}
	o.SetLabels(map[string]string{"release": "2"})
	w.revert(o, tool)
	w.quiet("second")
	after := &corev1.Service{}
	if err := w.Get(w.t.Context(), client.ObjectKeyFromObject(o), after); err != nil {
		w.t.Fatal(err)
	}
	if after.Labels["release"] != "2" {
		w.t.Errorf("%s: the change did not come: labels %v", tool.name, after.Labels)
	}
	if diff := cmp.Diff(before.Status, after.Status); diff != "" {
		w.t.Errorf("%s: the status has changed:\n%s", tool.name, diff)
	}
	pool := v1beta1.AnnotationAllocatedFromPool
	if after.Annotations[pool] != before.Annotations[pool] || before.Annotations[pool] == "" {
		w.t.Errorf("%s: annotations %v, before %v", tool.name, after.Annotations, before.Annotations)
	}
}

// quiet waits until the controller has done what it had to do: a Service that comes
// later has an address, and the pool counts it.
func (w *world) quiet(name string) {
	w.t.Helper()
	w.create(service(name))
	w.address(name)
	w.caughtUp()
	w.await("the pools to count their addresses", func() bool { return len(replay(w.history).end()) == 0 })
	w.still()
}

// still waits until nothing has been written for longer than the controller folds
// writes (1 s).
func (w *world) still() {
	w.t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); {
		w.mu.Lock()
		n := len(w.history)
		w.mu.Unlock()
		if !w.awaitFor(2500*time.Millisecond, func() bool { return len(w.history) > n }) {
			return
		}
	}
	w.t.Fatalf("something is written all the time, for %v", limit)
}

// versions returns the objects' versions.
func (w *world) versions(objs []*unstructured.Unstructured) (all []string) {
	w.t.Helper()
	for _, o := range objs {
		there := o.DeepCopy()
		if err := w.Get(w.t.Context(), client.ObjectKeyFromObject(o), there); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, o.GetName()+" "+there.GetResourceVersion())
	}
	return all
}

func manifestsOf(t *testing.T) (all []*unstructured.Unstructured) {
	t.Helper()
	for text := range strings.SplitSeq(repository, "\n---\n") {
		o := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(text), &o.Object); err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

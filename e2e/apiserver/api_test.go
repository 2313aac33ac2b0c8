// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"metallb.io/metallb-frr/e2e/apiserver"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
)

const namespace = "metallb-system"

var plurals = map[string]string{
	v1beta1.KindIPAddressPool:      "ipaddresspools",
	v1beta1.KindL2Advertisement:    "l2advertisements",
	v1beta1.KindBGPAdvertisement:   "bgpadvertisements",
	v1beta1.KindBGPPeer:            "bgppeers",
	v1beta1.KindBFDProfile:         "bfdprofiles",
	v1beta1.KindCommunity:          "communities",
	v1beta1.KindServiceL2Status:    "servicel2statuses",
	v1beta1.KindServiceBGPStatus:   "servicebgpstatuses",
	v1beta1.KindConfigurationState: "configurationstates",
}

// server is the API server of the tests, with the CRDs in it.
type server struct {
	config   *rest.Config
	client   dynamic.Interface
	warnings warnings
}

// warnings are the texts of the Warning headers received.
type warnings struct {
	mu    sync.Mutex
	texts []string
}

func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts = append(w.texts, text)
}

// take returns the warnings since the last call.
func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	texts := w.texts
	w.texts = nil
	return texts
}

// One API server serves all tests of the API; they do not run in parallel and
// use objects of different names.
func TestAPI(t *testing.T) {
	s := &server{config: apiserver.Start(t)}
	apiserver.InstallCRDs(t, s.config)
	config := rest.CopyConfig(s.config)
	config.WarningHandler = &s.warnings
	var err error
	if s.client, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	namespaces := s.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace},
	}}
	if _, err := namespaces.Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(*testing.T, *server){
		"Documents":              testDocuments,
		"Defaults":               testDefaults,
		"IntervalsKept":          testIntervalsKept,
		"PeerVersions":           testPeerVersions,
		"UpdateThroughV1beta1":   testUpdateThroughV1beta1,
		"DeprecationWarning":     testDeprecationWarning,
		"GracefulRestartIsFixed": testGracefulRestartIsFixed,
		"OlderObjects":           testOlderObjects,
		"Seeds":                  testSeeds,
		"StatusOfUserKinds":      testStatusOfUserKinds,
		"StatusByTwoWriters":     testStatusByTwoWriters,
		"StatusKinds":            testStatusKinds,
		"Columns":                testColumns,
		"Explain":                testExplain,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

func (s *server) kind(kind, version string) dynamic.ResourceInterface {
	if version == "" {
		version = v1beta1.Version
	}
	return s.client.Resource(schema.GroupVersionResource{
		Group: v1beta1.Group, Version: version, Resource: plurals[kind],
	}).Namespace(namespace)
}

// create creates an object that is to be accepted and returns it as stored.
func (s *server) create(t *testing.T, kind, version, name, spec string) *unstructured.Unstructured {
	t.Helper()
	object, err := s.kind(kind, version).Create(t.Context(), manifest(t, kind, version, name, spec),
		metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		t.Fatalf("creating %s %s: %v", kind, name, err)
	}
	return object
}

func (s *server) get(t *testing.T, kind, version, name string) *unstructured.Unstructured {
	t.Helper()
	object, err := s.kind(kind, version).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatalf("getting %s %s: %v", kind, name, err)
	}
	return object
}

// manifest makes an object; an empty spec leaves it out.
func manifest(t *testing.T, kind, version, name, spec string) *unstructured.Unstructured {
	t.Helper()
	if version == "" {
		version = v1beta1.Version
	}
	object := map[string]any{
		"apiVersion": v1beta1.Group + "/" + version, "kind": kind,
		"metadata": map[string]any{"name": name, "namespace": namespace},
	}
	if spec != "" {
		object["spec"] = value(t, spec)
	}
	return &unstructured.Unstructured{Object: object}
}

// value reads YAML as client-go does JSON: integers as int64.
func value(t *testing.T, text string) any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(strings.ReplaceAll(text, "\t", " ")))
	if err != nil {
		t.Fatalf("reading %s: %v", text, err)
	}
	wrapped := &unstructured.Unstructured{}
	wrapper := fmt.Sprintf(`{"apiVersion":"v1","kind":"Wrapper","value":%s}`, data)
	if err := wrapped.UnmarshalJSON([]byte(wrapper)); err != nil {
		t.Fatalf("reading %s: %v", text, err)
	}
	return wrapped.Object["value"]
}

// expect compares a field with a value given as YAML; "" stands for an absent
// field.
func expect(t *testing.T, object *unstructured.Unstructured, path, want string) {
	t.Helper()
	got, found, err := unstructured.NestedFieldNoCopy(object.Object, strings.Split(path, ".")...)
	if err != nil {
		t.Fatal(err)
	}
	if want == "" {
		if found {
			t.Errorf("%s %s: %s is %s, want it absent", object.GetKind(), object.GetName(), path, asJSON(t, got))
		}
		return
	}
	if got, want := asJSON(t, got), asJSON(t, value(t, want)); got != want {
		t.Errorf("%s %s: %s is %s, want %s", object.GetKind(), object.GetName(), path, got, want)
	}
}

func asJSON(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func testDefaults(t *testing.T, s *server) {
	pool := s.create(t, v1beta1.KindIPAddressPool, "", "defaults", `{addresses: [192.0.2.0/24]}`)
	expect(t, pool, "spec.autoAssign", "true")
	expect(t, pool, "spec.avoidBuggyIPs", "false")
	ad := s.create(t, v1beta1.KindBGPAdvertisement, "", "defaults", `{}`)
	expect(t, ad, "spec", `{aggregationLength: 32, aggregationLengthV6: 128}`)
	bare := s.create(t, v1beta1.KindBGPAdvertisement, "", "bare", ``)
	expect(t, bare, "spec", "")
	peer := s.create(t, v1beta1.KindBGPPeer, v1beta2.Version, "defaults", `{myASN: 1, peerASN: 2, interface: eth0}`)
	expect(t, peer, "spec", `{myASN: 1, peerASN: 2, interface: eth0, peerPort: 179}`)
}

// What was written is kept, integer or duration, also after an update by a
// program that decodes the object into our types.
func testIntervalsKept(t *testing.T, s *server) {
	for name, spec := range map[string]string{
		"integer":  `{receiveInterval: 300, transmitInterval: 10, echoInterval: 60000}`,
		"duration": `{receiveInterval: 300ms, transmitInterval: 1s, echoInterval: 0.05s}`,
	} {
		stored := s.create(t, v1beta1.KindBFDProfile, "", name, spec)
		expect(t, stored, "spec", spec)
		profile := &v1beta1.BFDProfile{}
		convert(t, stored, profile)
		profile.Labels = map[string]string{"touched": "again"}
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(asJSON(t, profile)), &object.Object); err != nil {
			t.Fatal(err)
		}
		if _, err := s.kind(v1beta1.KindBFDProfile, "").Update(t.Context(), object, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		stored = s.get(t, v1beta1.KindBFDProfile, "", name)
		expect(t, stored, "spec", spec)
		expect(t, stored, "metadata.labels.touched", "again")
	}
}

// convert decodes an object into one of our types as clients do.
func convert(t *testing.T, object *unstructured.Unstructured, into runtime.Object) {
	t.Helper()
	if err := json.Unmarshal([]byte(asJSON(t, object.Object)), into); err != nil {
		t.Fatal(err)
	}
}

// patchStatus applies a status, given as YAML, server-side.
func (s *server) applyStatus(t *testing.T, kind, name, owner, status string) (*unstructured.Unstructured, error) {
	t.Helper()
	version := v1beta1.Version
	object := manifest(t, kind, version, name, "")
	object.Object["status"] = value(t, status)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return s.kind(kind, version).Patch(ctx, name, types.ApplyPatchType, []byte(asJSON(t, object.Object)),
		metav1.PatchOptions{FieldManager: owner, Force: new(true), FieldValidation: metav1.FieldValidationStrict}, "status")
}

// kubectl runs the real kubectl and returns what it prints.
func (s *server) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	program := filepath.Join(apiserver.Programs(t), "kubectl")
	args = append([]string{"--kubeconfig=" + apiserver.Kubeconfig(t, s.config), "-n", namespace}, args...)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	output, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return string(output)
}

func testDeprecationWarning(t *testing.T, s *server) {
	const text = "v1beta1 is deprecated, please use v1beta2"
	s.warnings.take()
	s.create(t, v1beta1.KindBGPPeer, "v1beta1", "warned", `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1}`)
	if got := s.warnings.take(); !slices.Contains(got, text) {
		t.Errorf("creating in v1beta1 warns with %q, want %q among them", got, text)
	}
	s.get(t, v1beta1.KindBGPPeer, v1beta2.Version, "warned")
	if got := s.warnings.take(); len(got) != 0 {
		t.Errorf("reading in v1beta2 warns with %q", got)
	}
}

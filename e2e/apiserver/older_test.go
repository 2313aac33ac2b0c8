// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// olderObjects are specs from before the rules; mended is a patch that makes one
// valid, and spoiled one that leaves it invalid.
var olderObjects = []struct{ kind, name, spec, mended, spoiled, refused string }{
	{v1beta1.KindIPAddressPool, "older", `{addresses: [192.0.2.1, 198.51.100.0/24]}`,
		`{"spec":{"addresses":["192.0.2.1/32"]}}`, `{"spec":{"addresses":["192.0.2.1"]}}`, "is not a CIDR"},
	{v1beta1.KindBGPPeer, "older", `{myASN: 0, peerASN: 2, dynamicASN: external, peerAddress: tor1, holdTime: 2s}`,
		`{"spec":{"myASN":1,"dynamicASN":null,"peerAddress":"192.0.2.1","holdTime":"9s"}}`, `{"spec":{"peerAddress":"tor2"}}`, "invalid BGPPeer address"},
	{v1beta1.KindCommunity, "older", `{communities: [{name: a, value: no-export}]}`,
		`{"spec":{"communities":[{"name":"a","value":"65535:65281"}]}}`, `{"spec":{"communities":[{"name":"b","value":"no-export"}]}}`, "invalid community format"},
	{v1beta1.KindBGPAdvertisement, "older", `{communities: ["1:2:3:4"]}`,
		`{"spec":{"communities":["large:2:3:4"]}}`, `{"spec":{"communities":["1:2:3:5"]}}`, "format large"},
}

// Objects that were there before a rule stay as they are: labels and status can be
// written, and the spec can be mended; what is wrong cannot be written anew.
func testOlderObjects(t *testing.T, s *server) {
	for _, o := range olderObjects {
		name := plurals[o.kind] + "." + v1beta1.Group
		definition, err := s.client.Resource(definitions).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		older := definition.DeepCopy()
		dropRules(older.Object["spec"])
		object := manifest(t, o.kind, "v1beta1", o.name, o.spec)
		s.redefine(t, older)
		s.await(t, object, "")
		if _, err := s.kind(o.kind, "").Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		s.redefine(t, definition)
		s.await(t, manifest(t, o.kind, "v1beta1", "another", o.spec), o.refused)

		patch := func(text string) error {
			_, err := s.kind(o.kind, "").Patch(t.Context(), o.name, types.MergePatchType, []byte(text), metav1.PatchOptions{})
			return err
		}
		if err := patch(`{"metadata":{"labels":{"a":"b"}}}`); err != nil {
			t.Errorf("%s: a label is refused: %v", o.kind, err)
		}
		if _, err := s.applyStatus(t, o.kind, o.name, "controller", `{conditions: [`+ready+`]}`); err != nil {
			t.Errorf("%s: the status is refused: %v", o.kind, err)
		}
		if err := patch(o.spoiled); err == nil || !strings.Contains(err.Error(), o.refused) {
			t.Errorf("%s: %s gives %v, want %s", o.kind, o.spoiled, err, o.refused)
		}
		if err := patch(o.mended); err != nil {
			t.Errorf("%s: mending is refused: %v", o.kind, err)
		}
	}
}

// dropRules takes the rules and limits out of a schema.
func dropRules(node any) {
	switch n := node.(type) {
	case map[string]any:
		for _, key := range []string{"x-kubernetes-validations", "maxItems", "maxLength"} {
			delete(n, key)
		}
		for _, below := range n {
			dropRules(below)
		}
	case []any:
		for _, below := range n {
			dropRules(below)
		}
	}
}

func (s *server) redefine(t *testing.T, definition *unstructured.Unstructured) {
	t.Helper()
	patch := []byte(asJSON(t, map[string]any{"spec": map[string]any{"versions": definition.Object["spec"].(map[string]any)["versions"]}}))
	if _, err := s.client.Resource(definitions).Patch(t.Context(), definition.GetName(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// await returns when creating the object would be refused with a text, or, where it
// is empty, be accepted. The API server takes a new definition up when it likes, and
// tells nobody.
func (s *server) await(t *testing.T, object *unstructured.Unstructured, refused string) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		_, last = s.kind(object.GetKind(), "").Create(ctx, object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if refused == "" {
			return last == nil, nil
		}
		return last != nil && strings.Contains(last.Error(), refused), nil
	})
	if err != nil {
		t.Fatalf("%s: waiting to be answered with %q: %v; last: %v", object.GetKind(), refused, err, last)
	}
}

// The manifests of the handbooks that people follow are accepted as they are.
func testSeeds(t *testing.T, s *server) {
	files, err := filepath.Glob("../scenarios/testdata/seeds/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			object := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			group, version, _ := strings.Cut(object.GetAPIVersion(), "/")
			if group != v1beta1.Group {
				continue
			}
			tried++
			object.SetNamespace(namespace)
			if _, err := s.kind(object.GetKind(), version).Create(t.Context(), object, metav1.CreateOptions{
				DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict}); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if tried < 10 {
		t.Errorf("%d objects of our kinds in %d files", tried, len(files))
	}
}

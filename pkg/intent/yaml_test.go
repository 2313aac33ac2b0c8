// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
)

func TestReadYAMLErrors(t *testing.T) {
	for _, row := range []struct {
		name, manifests string
		says            []string
	}{
		{"unknown field", somePool + peer("p", with("peerAdress: 10.0.0.2")), []string{"document 2", "BGPPeer p", `unknown field "peerAdress"`}},
		{"no YAML", somePool + "---\nkind: [\n", []string{"document 2"}},
		{"wrong type", pool("a", "{addresses: 192.0.2.0/24}"), []string{"document 1", "IPAddressPool a", "addresses"}},
		{"key twice", "kind: IPAddressPool\nmetadata: {name: a}\nspec: {addresses: [], addresses: []}\n", []string{"document 1", "addresses"}},
		{"in a List", "kind: List\nitems:\n- {kind: BFDProfile, metadata: {name: b}, spec: {speed: 1}}\n", []string{"document 1", "BFDProfile b", "speed"}},
	} {
		// A leading separator makes no document.
		_, err := intent.ReadYAML(strings.NewReader(strings.TrimPrefix(row.manifests, "---\n")), "metallb-system")
		if err == nil {
			t.Errorf("%s: no error", row.name)
			continue
		}
		for _, words := range row.says {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s: error does not say %q: %v", row.name, words, err)
			}
		}
	}
}

func TestReadYAML(t *testing.T) {
	s := read(t, `# a comment alone
---
apiVersion: metallb.io/v1beta1
kind: BGPPeer
metadata: {name: old, namespace: metallb-system}
spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, nodeSelectors: [{matchLabels: {a: b}, matchExpressions: [{key: c, operator: In, values: [d]}]}], password: first-secret}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: new}
spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.2, connectTime: 3s, password: second-secret}
---
apiVersion: metallb.io/v1beta1
kind: BGPPeer
metadata: {name: elsewhere, namespace: default}
spec: {nonsense: true}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
---
apiVersion: v1
kind: List
items:
- {kind: Service, metadata: {name: z}}
- {kind: Service, metadata: {name: a, namespace: zoo}}
- {kind: Service, metadata: {name: a}}
---
kind: Secret
metadata: {name: s, namespace: metallb-system}
type: kubernetes.io/basic-auth
data: {password: dGhpcmQtc2VjcmV0}
---
kind: Secret
metadata: {name: s2, namespace: default}
`)
	if len(s.Peers) != 2 || s.Peers[0].Name != "new" || s.Peers[1].Name != "old" {
		t.Fatalf("peers: %v", s.Peers)
	}
	if s.Peers[1].Spec.HoldTime != nil || s.Peers[1].Spec.NodeSelectors[0].MatchExpressions[0].Key != "c" || s.Peers[0].Spec.ConnectTime == nil {
		t.Errorf("peers were not read in their version: %+v", s.Peers)
	}
	if s.PeerPasswords["old"].Reveal() != "first-secret" || s.PeerPasswords["new"].Reveal() != "second-secret" || s.Secrets["s"].Password.Reveal() != "third-secret" || !s.Secrets["s"].HasPassword {
		t.Error("passwords were not read")
	}
	if len(s.Secrets) != 1 {
		t.Errorf("%d secrets, want the one of the product's namespace", len(s.Secrets))
	}
	var names []string
	for _, svc := range s.Services {
		names = append(names, svc.Namespace+"/"+svc.Name)
	}
	if got := fmt.Sprint(names); got != "[default/a default/z zoo/a]" {
		t.Errorf("services %s", got)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, all := range []string{string(text), fmt.Sprintf("%+v %#v", s, s.Peers[0].Spec)} {
		if strings.Contains(all, "-secret") {
			t.Errorf("a password is in clear: %s", all)
		}
	}
}

// FuzzResolve: no manifest makes ReadYAML or Resolve panic, and resolving is the
// same with and without a previous Intent.
func FuzzResolve(f *testing.F) {
	files, _ := filepath.Glob("../frr/testdata/*.txtar")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		manifests, _, _ := strings.Cut(string(text), "-- findings --")
		_, manifests, _ = strings.Cut(manifests, "-- config.yaml --\n")
		f.Add(manifests)
	}
	for _, row := range reasonRows {
		f.Add(row.manifests)
	}
	f.Fuzz(func(t *testing.T, manifests string) {
		s, err := intent.ReadYAML(strings.NewReader(manifests), "metallb-system")
		if err != nil {
			return
		}
		first := intent.Resolve(nil, s)
		second, err := intent.ReadYAML(strings.NewReader(manifests), "metallb-system")
		if err != nil {
			t.Fatal(err)
		}
		if a, b := fmt.Sprint(texts(first)), fmt.Sprint(texts(intent.Resolve(first, second))); a != b {
			t.Fatalf("findings differ:\n%s\n%s", a, b)
		}
		for _, f := range first.Findings {
			if f.Message == "" || f.Reason == "" || f.Object.Kind == "" || f.Severity == 0 {
				t.Errorf("incomplete finding %+v", f)
			}
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"metallb.io/metallb-frr/hack/docs/row"
)

// checkout is a folder with one package, and makes it the working directory.
func checkout(t *testing.T, pkg, source, examples string) {
	t.Helper()
	dir := t.TempDir()
	for _, p := range packages {
		if err := os.MkdirAll(filepath.Join(dir, "pkg", p.name, "testdata"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{"reasons.go": source, "testdata/" + row.ReasonsFile: examples} {
		path = filepath.Join(dir, "pkg", pkg, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

const source = `package intent

// What is wrong.
const (
	// Wrong: it is | wrong,
	// on two lines.
	Wrong Reason = "Wrong"
	// ReasonOther: it is not.
	ReasonOther intent.Reason = v1beta1.Other
	Number = 7
)
`

func TestReasons(t *testing.T) {
	checkout(t, "intent", source, `[{"Reason": "Wrong", "Severity": "invalid", "Object": "BGPPeer p", "Message": "spec.x: write y"}, {"Reason": "Other", "Message": "z"}]`)
	var out bytes.Buffer
	if err := reasons(&out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"\nWhat is wrong.\n\n| Reason |",
		"| `Wrong` | it is \\| wrong, on two lines. | **Invalid** BGPPeer p: spec.x: write y |\n| `Other` | it is not. | z |\n",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no %q in\n%s", line, out.String())
		}
	}
}

// A Reason that no row makes, that nothing explains, or that nobody looks for ends
// the build.
func TestReasonsThatAreNotShown(t *testing.T) {
	const both = `[{"Reason": "Wrong"}, {"Reason": "Other"}]`
	for _, c := range []struct{ name, pkg, source, examples, says string }{
		{"no row", "intent", source, `[{"Reason": "Wrong"}]`, "pkg/intent: no row of a table test makes the Reason Other"},
		{"no comment", "intent", strings.Replace(source, "// ReasonOther: it is not.", "", 1), both, "the constant ReasonOther has no comment"},
		{"another package", "other", source, both, "pkg/other declares the Reason Wrong: add the package to hack/docs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkout(t, c.pkg, c.source, c.examples)
			if err := reasons(new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %s", err, c.says)
			}
		})
	}
}

func TestDifferences(t *testing.T) {
	checkout(t, "intent", source, "[]")
	rules := `[{"Section": "Pools", "Rule": "One.", "Findings": ["Wrong: a", "Wrong: b"]}, {"Section": "Pools", "Rule": "Two.", "Differs": "Three."}]`
	if err := os.WriteFile("pkg/plan/testdata/"+row.RulesFile, []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := differences(&out); err != nil {
		t.Fatal(err)
	}
	different, same, _ := strings.Cut(out.String(), "## The same")
	if !strings.Contains(different, "### Pools\n\n| MetalLB | Here, and why | What is said |\n|---|---|---|\n| Two. | Three. |  |\n") || strings.Contains(different, "One.") {
		t.Errorf("different:\n%s", different)
	}
	if !strings.Contains(same, "### Pools\n\n| Rule | What is said |\n|---|---|\n| One. | Wrong: a<br>Wrong: b |\n") || strings.Contains(same, "Two.") {
		t.Errorf("the same:\n%s", same)
	}
}

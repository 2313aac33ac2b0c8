// SPDX-License-Identifier: Apache-2.0

// Package row keeps what table tests show of the product's rules and Reasons, for
// the documents that hack/docs writes of them.
package row

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// The files in a package's testdata.
const (
	RulesFile   = "rules.json"
	ReasonsFile = "reasons.json"
	// AdmissionFile holds the rules of package controller's Admission.
	AdmissionFile = "admission.json"
)

var update = flag.Bool("update-rows", false, "write testdata/"+RulesFile+" and testdata/"+ReasonsFile)

// Rule is one rule of MetalLB's, and how this product keeps it.
type Rule struct {
	// Section is that of the list of rules; Rule says it in a sentence.
	Section, Rule string
	// Differs says how and why this product does otherwise; empty: the same.
	Differs string `json:",omitempty"`
	// Findings are what the product says where the rule is broken.
	Findings []string `json:",omitempty"`
}

// Reason is an example of a Reason.
type Reason struct {
	Reason string
	// Severity is that of a Finding; empty where it is none.
	Severity string `json:",omitempty"`
	// Object that it is about; empty where that is plain from the Reason.
	Object string `json:",omitempty"`
	// Message as users read it.
	Message string
}

// Keep compares rows with those in testdata, or writes them there with
// -update-rows.
func Keep[T Rule | Reason](t *testing.T, file string, rows []T) {
	t.Helper()
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(rows); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	was, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(was, text.Bytes()) {
		t.Errorf("%s does not hold what the rows show (%v): run go test with -update-rows, look at the difference, and run hack/generate", path, err)
	}
}

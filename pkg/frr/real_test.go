// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// document is one node's configuration of a golden file.
type document struct {
	name string
	doc  *frr.Document
}

// goldenDocuments builds the Documents of all golden files.
func goldenDocuments(t *testing.T) []document {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	var all []document
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		in, _ := assigned(t, manifestsOf(archive))
		for _, node := range in.Nodes {
			doc, err := frr.Build(nil, plan.ForNode(nil, in, plan.NodeFacts{Name: node.Name, Forwarding: true}).Plan, frr.Options{})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, document{strings.TrimSuffix(filepath.Base(file), ".txtar") + "/" + node.Name, doc})
		}
	}
	return all
}

// resolvedDocument builds the Document of node n1, whose Services have their addresses.
func resolvedDocument(t *testing.T, manifests string) *frr.Document {
	t.Helper()
	snapshot, err := intent.ReadYAML(strings.NewReader(manifests), "metallb-system")
	if err != nil {
		t.Fatalf("%v\n%s", err, manifests)
	}
	doc, err := frr.Build(nil, plan.ForNode(nil, intent.Resolve(nil, snapshot), plan.NodeFacts{Name: "n1", Forwarding: true}).Plan, frr.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// script writes commands as configuration text in which each is typed from the
// top.
func script(commands []frr.Command) string {
	var out strings.Builder
	for _, c := range commands {
		for i, header := range append(slices.Clip(c.Node), c.Text) {
			fmt.Fprintf(&out, "%*s%s\n", i, "", header)
		}
		depth := len(c.Node)
		if c.Opens && !c.Undo {
			depth++
		}
		for i := depth - 1; i >= 0; i-- {
			fmt.Fprintf(&out, "%*sexit\n", i, "")
		}
	}
	return out.String()
}

// Real FRR accepts every golden frr.conf, and prints a running configuration that
// differs from it in nothing; also when it is reached from another one, or left.
func TestRealFRR(t *testing.T) {
	f := frrtest.Start(t, frrtest.Options{})
	docs := goldenDocuments(t)
	empty := &frr.Document{}
	inForce := func(what string, doc *frr.Document) {
		t.Helper()
		running := f.Running(t)
		if delta := frr.Diff(frr.ParseRunning(running), doc); len(delta.Commands) > 0 {
			t.Errorf("%s: the running configuration differs by:\n%s\nit is:\n%s", what, script(delta.Commands), running)
		}
	}
	for i, d := range docs {
		text := d.doc.Text()
		if err := os.WriteFile(f.Path("/tmp/frr.conf"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f.Run(t, "vtysh", "-C", "-f", "/tmp/frr.conf")
		f.Load(t, text)
		inForce(d.name+" loaded", d.doc)
		next := docs[(i+1)%len(docs)]
		f.Load(t, script(frr.Diff(d.doc, next.doc).Commands))
		inForce(d.name+" to "+next.name, next.doc)
		f.Load(t, script(frr.Diff(next.doc, d.doc).Commands))
		inForce(next.name+" back to "+d.name, d.doc)
		f.Load(t, script(frr.Diff(d.doc, empty).Commands))
		inForce(d.name+" left", empty)
	}
}

// From what is running FRR is brought to any other configuration.
func TestRealFRRFromRunning(t *testing.T) {
	f := frrtest.Start(t, frrtest.Options{})
	docs := goldenDocuments(t)
	slices.SortFunc(docs, func(a, b document) int { return cmp.Compare(len(a.doc.Base), len(b.doc.Base)) })
	for _, d := range docs {
		f.Load(t, script(frr.Diff(frr.ParseRunning(f.Running(t)), d.doc).Commands))
		if delta := frr.Diff(frr.ParseRunning(f.Running(t)), d.doc); len(delta.Commands) > 0 {
			t.Errorf("%s: the running configuration differs by:\n%s", d.name, script(delta.Commands))
		}
	}
}

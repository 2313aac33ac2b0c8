// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/plan"
)

var update = flag.Bool("update", false, "write what the pipeline made into testdata/*.txtar")

// TestGolden runs the whole pipeline on files. In each archive the files named
// *.yaml are the manifests, in the order of their names; the others are what is
// expected: findings, addresses, decisions (those about layer 2 in a file of their
// own), and frr.conf of each node.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{}
			out := &txtar.Archive{Comment: archive.Comment}
			for _, f := range archive.Files {
				if strings.HasSuffix(f.Name, ".yaml") {
					out.Files = append(out.Files, f)
					continue
				}
				want[f.Name] = string(f.Data)
			}
			got := pipeline(t, manifestsOf(archive))
			out.Files = append(out.Files, got...)
			if *update {
				if err := os.WriteFile(file, txtar.Format(out), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			have := map[string]string{}
			for _, f := range got {
				have[f.Name] = string(f.Data)
			}
			if d := cmp.Diff(want, have); d != "" {
				t.Errorf("differs from %s (-want +got); run go test ./pkg/frr -run TestGolden -update when it is right:\n%s", file, d)
			}
		})
	}
}

// manifestsOf joins an archive's manifests.
func manifestsOf(archive *txtar.Archive) []byte {
	var manifests bytes.Buffer
	for _, f := range archive.Files {
		if strings.HasSuffix(f.Name, ".yaml") {
			fmt.Fprintf(&manifests, "---\n%s", f.Data)
		}
	}
	return manifests.Bytes()
}

// assigned is what the controller does on files: the Intent in which Services
// have their addresses, and how they came by them.
func assigned(t *testing.T, manifests []byte) (*intent.Intent, string) {
	t.Helper()
	snapshot, err := intent.ReadYAML(bytes.NewReader(manifests), "metallb-system")
	if err != nil {
		t.Fatal(err)
	}
	first := intent.Resolve(nil, snapshot)
	outcomes, _ := ipam.Assign(first, nil, time.Time{})
	var addresses strings.Builder
	for _, o := range outcomes {
		fmt.Fprintf(&addresses, "%s %v %s%s %s\n", o.Service, o.Addresses, o.Pool, o.Reason, o.Message)
		write(snapshot, o)
	}
	return intent.Resolve(nil, snapshot), addresses.String()
}

// pipeline is what controller and speakers do, one pass, on files.
func pipeline(t *testing.T, manifests []byte) []txtar.File {
	t.Helper()
	in, addresses := assigned(t, manifests)
	var findings, decisions, layer2 strings.Builder
	all := append(slices.Clip(in.Findings), plan.Check(nil, in).Findings...)
	var files []txtar.File
	for _, node := range in.Nodes {
		r := plan.ForNode(nil, in, plan.NodeFacts{Name: node.Name, Forwarding: true})
		for _, d := range r.Decisions {
			if d.Announce {
				fmt.Fprintf(&decisions, "%s %s: announces %v to %v\n", node.Name, d.Service, d.Addresses, d.Peers)
			} else {
				fmt.Fprintf(&decisions, "%s %s: %s: %s\n", node.Name, d.Service, d.Reason, d.Message)
			}
		}
		showLayer2(&layer2, node.Name, r)
		doc, err := frr.Build(nil, r.Plan, frr.Options{})
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, txtar.File{Name: node.Name + "/frr.conf", Data: []byte(doc.Text())})
	}
	for _, f := range all {
		fmt.Fprintf(&findings, "%s %s %s\n", f.Severity, f.Reason, f)
	}
	first := []txtar.File{
		{Name: "findings", Data: []byte(findings.String())},
		{Name: "addresses", Data: []byte(addresses)},
		{Name: "decisions", Data: []byte(decisions.String())},
	}
	if layer2.Len() > 0 {
		first = append(first, txtar.File{Name: "layer2", Data: []byte(layer2.String())})
	}
	return append(first, files...)
}

// showLayer2 writes what a node does in layer 2, and why.
func showLayer2(out *strings.Builder, node string, r *plan.Result) {
	for _, d := range r.L2 {
		if d.Announce {
			fmt.Fprintf(out, "%s %s: announces %v (%s)\n", node, d.Service, d.Addresses, d.Message)
		} else {
			fmt.Fprintf(out, "%s %s: %s: %s\n", node, d.Service, d.Reason, d.Message)
		}
	}
	for _, a := range r.Plan.Announcements {
		fmt.Fprintf(out, "%s %s: own %v, order %v, links %v\n", node, a.Addr, a.Own, a.Order, a.Links)
	}
}

// write does what the controller does with an outcome.
func write(s *intent.Snapshot, o ipam.Outcome) {
	for i, svc := range s.Services {
		if svc.Namespace != o.Service.Namespace || svc.Name != o.Service.Name {
			continue
		}
		svc = svc.DeepCopy()
		svc.Status.LoadBalancer.Ingress = nil
		for _, a := range o.Addresses {
			svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: a.String()})
		}
		s.Services[i] = svc
	}
}

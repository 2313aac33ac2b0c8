// SPDX-License-Identifier: Apache-2.0

package pkg_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "metallb.io/metallb-frr/"

// layers are the product's layers from the bottom up. Within a layer a package
// may import what `arrows` says, and nothing else.
var layers = [][]string{
	{"pkg/api/v1beta1", "pkg/api/v1beta2", "pkg/bgp", "frr-templates", "deploy"},
	{"pkg/intent", "pkg/ipam", "pkg/plan", "pkg/frr", "pkg/status"},
	{"pkg/frr/vtysh", "pkg/frr/bmp", "pkg/l2", "pkg/links", "pkg/members"},
	{"pkg/telemetry", "pkg/cluster", "pkg/controller", "pkg/speaker", "pkg/cli"},
	{"cmd", "e2e", "pkg/frr/frrtest"},
}

// arrows: inside its layer a package may import those on the right.
var arrows = map[string][]string{
	"pkg/api/v1beta2": {"pkg/api/v1beta1"},
	"pkg/ipam":        {"pkg/intent"},
	"pkg/plan":        {"pkg/ipam", "pkg/intent"},
	"pkg/frr":         {"pkg/plan", "pkg/ipam", "pkg/intent"},
	"pkg/status":      {"pkg/frr", "pkg/plan", "pkg/ipam", "pkg/intent"},
	"pkg/cluster":     {"pkg/telemetry"},
	"pkg/controller":  {"pkg/cluster", "pkg/telemetry"},
	"pkg/speaker":     {"pkg/cluster", "pkg/telemetry"},
	"pkg/cli":         {"pkg/cluster", "pkg/telemetry"},
	"cmd":             {"cmd"},
	"e2e":             {"e2e", "pkg/frr/frrtest"},
	"pkg/frr/frrtest": {"e2e"},
}

// impure are what vocabulary and core may not import: they have no I/O, clock,
// logs, metrics or Kubernetes clients.
var impure = []string{
	"os", "net", "net/http", "syscall", "log", "log/slog", "os/exec", "math/rand", "math/rand/v2", "crypto/rand", "golang.org/x/sys/unix",
	"github.com/go-logr/", "go.uber.org/zap", "github.com/prometheus/", "k8s.io/client-go", "sigs.k8s.io/controller-runtime", "github.com/vishvananda/netlink",
}

// only says who may import what is kept in one place.
var only = map[string][]string{
	"github.com/osrg/gobgp/v3/pkg/packet/bgp": {"pkg/bgp", "pkg/frr/bmp", "e2e"},
	"github.com/osrg/gobgp/v3/pkg/packet/bmp": {"pkg/frr/bmp", "e2e"},
}

// TestLayers reads the sources itself: what a subprocess reads is no input to
// the test cache, and a violation would go on passing.
func TestLayers(t *testing.T) {
	for path, imports := range sources(t) {
		from := filepath.ToSlash(filepath.Dir(path))
		layer, name := layerOf(from)
		if layer < 0 {
			t.Errorf("%s: package %s is in no layer; place it in pkg/layers_test.go and in the design", path, from)
			continue
		}
		for _, imp := range imports {
			checkImport(t, path, layer, name, imp)
		}
	}
}

func checkImport(t *testing.T, path string, layer int, name, imp string) {
	test := strings.HasSuffix(path, "_test.go")
	if own, ok := strings.CutPrefix(imp, module); ok {
		other, otherName := layerOf(own)
		switch {
		case test || otherName == name || other < layer && other >= 0:
		case other == layer && slices.Contains(arrows[name], otherName):
		default:
			t.Errorf("%s imports %s: an import points to a lower layer, or leftwards along an arrow", path, own)
		}
		return
	}
	if !test && layer < 2 && slices.ContainsFunc(impure, func(p string) bool {
		return imp == p || strings.HasSuffix(p, "/") && strings.HasPrefix(imp, p) || strings.HasPrefix(imp, p+"/") && strings.Contains(p, ".")
	}) {
		t.Errorf("%s imports %s: vocabulary and core are pure", path, imp)
	}
	for what, who := range only {
		if imp == what && !slices.Contains(who, name) {
			t.Errorf("%s imports %s, which only %v may", path, imp, who)
		}
	}
}

// layerOf finds a package, or the folder that it is below, in layers.
func layerOf(dir string) (int, string) {
	for d := dir; d != "."; d = filepath.ToSlash(filepath.Dir(d)) {
		for i, l := range layers {
			if slices.Contains(l, d) {
				return i, d
			}
		}
	}
	return -1, dir
}

// sources returns the imports of every Go file of the module.
func sources(t *testing.T) map[string][]string {
	out := map[string][]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel("..", path)
		switch {
		case d.IsDir() && (rel == "out" || rel == ".git" || rel == "hack" || rel == filepath.Join("e2e", "lab", "kube")):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || rel == filepath.Join("pkg", "layers_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, spec := range file.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, imp)
		}
		out[filepath.ToSlash(rel)] = imports
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("found %d Go files; is the test in the right folder?", len(out))
	}
	return out
}

// TestDocGo: every package says what may and may not happen in it.
func TestDocGo(t *testing.T) {
	dirs := map[string]bool{}
	for path := range sources(t) {
		if strings.HasSuffix(path, "_test.go") {
			continue // a folder of tests alone says in the test what it is
		}
		dirs[filepath.Dir(path)] = dirs[filepath.Dir(path)] || strings.HasSuffix(path, "/doc.go") || strings.HasSuffix(path, "/embed.go")
		if strings.HasPrefix(path, "cmd/") && strings.HasSuffix(path, "/main.go") || strings.HasPrefix(path, "e2e/") && strings.HasSuffix(path, "/main.go") {
			dirs[filepath.Dir(path)] = true
		}
	}
	for dir, has := range dirs {
		if !has && dir != "pkg" {
			t.Errorf("%s has no doc.go", dir)
		}
	}
}

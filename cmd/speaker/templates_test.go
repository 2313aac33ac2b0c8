// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"

	"metallb.io/metallb-frr/pkg/frr"
)

// A broken template of the user's own is named with file and line in log and
// Finding; a ConfigMap's folder, links and all, is read.
func TestTemplatesFromAFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "..2026"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"neighbor.tmpl": "neighbor {{ .ID }} remote-as {{ .RemoteAS }}\n{{ .Nothing }}", "class.tmpl": "! own\nroute-map {{ .Name }} permit 1\n set tag {{ .Tag }}\n"} {
		if err := os.WriteFile(filepath.Join(dir, "..2026", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for link, to := range map[string]string{"..data": "..2026", name: "..data/" + name} {
			if err := os.Symlink(to, filepath.Join(dir, link)); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
		}
	}
	for folder, want := range map[string]string{"": "", dir: "neighbor.tmpl:2:3: executing", filepath.Join(dir, "none"): "no such file"} {
		var lines []string
		log := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
		templates, findings := templatesFrom(folder, log)
		if templates == nil {
			t.Fatalf("%q: no templates", folder)
		}
		if want == "" {
			if len(findings)+len(lines) > 0 {
				t.Errorf("without a folder: %v, logged %v", findings, lines)
			}
			continue
		}
		if len(findings) != 1 || findings[0].Reason != frr.TemplateRefused || !strings.Contains(findings[0].Message, want) {
			t.Errorf("%q: findings %v, want one that says %q", folder, findings, want)
		}
		if all := strings.Join(lines, "\n"); !strings.Contains(all, want) {
			t.Errorf("%q: logged %q, want %q", folder, all, want)
		}
	}
}

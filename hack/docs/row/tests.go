// SPDX-License-Identifier: Apache-2.0

package row

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// Shown checks that a test exists that shows a rule, where no table has a row for it
// because it takes a running program: by is "folder.TestName", the folder as seen from
// the root of the module, which is up from the test's own.
func Shown(t *testing.T, up, by string) {
	t.Helper()
	dir, name, _ := strings.Cut(by, ".")
	files, err := filepath.Glob(filepath.Join(up, dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == name && strings.HasPrefix(name, "Test") {
				return
			}
		}
	}
	t.Errorf("there is no test %s", by)
}

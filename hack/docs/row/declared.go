// SPDX-License-Identifier: Apache-2.0

package row

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Constant is a Reason that a package declares.
type Constant struct {
	// Group is the comment of the block of constants that it stands in; empty: it
	// stands alone.
	Group string
	// Value is the Reason; Name that of the constant.
	Name, Value string
	// Doc is its comment without the name, in one line.
	Doc string
}

// Declared returns the Reasons that the Go files of a folder declare, in their
// order.
func Declared(dir string) ([]Constant, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []Constant
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
				all = append(all, constants(g)...)
			}
		}
	}
	return all, nil
}

func constants(g *ast.GenDecl) []Constant {
	var all []Constant
	for _, s := range g.Specs {
		spec, ok := s.(*ast.ValueSpec)
		if !ok || !isReason(spec.Type) || len(spec.Values) != 1 {
			continue
		}
		c := Constant{Name: spec.Names[0].Name, Doc: sentence(spec.Doc.Text(), spec.Names[0].Name)}
		if g.Lparen.IsValid() {
			c.Group = sentence(g.Doc.Text(), "")
		} else {
			c.Doc = sentence(g.Doc.Text(), c.Name)
		}
		c.Value = strings.TrimPrefix(c.Name, "Reason")
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
			if value, err := strconv.Unquote(lit.Value); err == nil {
				c.Value = value
			}
		}
		all = append(all, c)
	}
	return all
}

func isReason(t ast.Expr) bool {
	switch t := t.(type) {
	case *ast.Ident:
		return t.Name == "Reason"
	case *ast.SelectorExpr:
		return t.Sel.Name == "Reason"
	}
	return false
}

// sentence makes one line of a comment that begins with a name.
func sentence(doc, name string) string {
	text := strings.TrimSpace(strings.Join(strings.Fields(doc), " "))
	return strings.TrimPrefix(strings.TrimSpace(strings.TrimPrefix(text, name)), ": ")
}

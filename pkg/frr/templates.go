// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"fmt"
	"io/fs"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"

	frrtemplates "metallb.io/metallb-frr/frr-templates"
)

// sprigAllowed are sprig's functions that a template may call. What reads a
// clock, an environment, a network or a random source is not among them, so that
// a Document is a pure function of its plan.
var sprigAllowed = []string{
	"add", "sub", "mul", "div", "mod", "max", "min", "int", "int64", "toString",
	"lower", "upper", "trim", "trimPrefix", "trimSuffix", "trunc", "replace",
	"contains", "hasPrefix", "hasSuffix", "quote", "squote", "join", "splitList",
	"default", "empty", "coalesce", "ternary", "list", "first", "last", "has",
	"uniq", "sortAlpha", "dict", "get", "hasKey", "keys",
}

// Templates render the elements of frr.conf. README.md in frr-templates says
// which there are and what each receives.
type Templates struct {
	set *template.Template
	own bool // some are the user's
}

// BuiltIn returns the templates that the product ships.
func BuiltIn() *Templates {
	t, err := ParseTemplates(frrtemplates.FS)
	if err != nil {
		panic(err) // they are compiled in and tested
	}
	return t
}

// ParseTemplates reads every *.tmpl file at the root of files. An error names
// file and line.
func ParseTemplates(files fs.FS) (*Templates, error) {
	all := sprig.HermeticTxtFuncMap()
	funcs := template.FuncMap{}
	for _, name := range sprigAllowed {
		funcs[name] = all[name]
	}
	set, err := template.New("frr.conf").Funcs(funcs).Option("missingkey=error").ParseFS(files, "*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("reading FRR templates: %w", err)
	}
	return &Templates{set: set}, nil
}

// render executes one template and reads its lines, which belong to node.
func (t *Templates) render(name string, node []string, data any) ([]Line, error) {
	var out strings.Builder
	if err := t.set.ExecuteTemplate(&out, name+".tmpl", data); err != nil {
		return nil, fmt.Errorf("rendering %s.tmpl: %w", name, err)
	}
	return parseLines(node, out.String()), nil
}

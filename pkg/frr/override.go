// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/intent"
)

// TemplatesRef is the ConfigMap that holds a user's own templates, as an object
// reference.
var TemplatesRef = intent.Ref{Kind: "ConfigMap", Name: "metallb-frr-templates"}

// Override returns the built-in templates with those of files, *.tmpl at its
// root, in place of theirs. Each is tried on sample data, with all that is
// optional there and with none of it. One that is broken or unknown is left out,
// and is a Finding that names file and line; the built-in one stays. An error is
// one of reading files.
func Override(files fs.FS) (*Templates, []intent.Finding, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return BuiltIn(), nil, fmt.Errorf("reading your own FRR templates: %w", err)
	}
	t := BuiltIn()
	var findings []intent.Finding
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue // how a ConfigMap is mounted
		}
		data, err := fs.ReadFile(files, e.Name())
		if err != nil {
			return BuiltIn(), nil, fmt.Errorf("reading your own FRR templates: %w", err)
		}
		if err := t.replace(e.Name(), string(data)); err != nil {
			findings = append(findings, intent.Finding{
				Object: TemplatesRef, Severity: intent.Invalid, Reason: TemplateRefused, Field: "data." + e.Name(),
				Message: strings.TrimPrefix(err.Error(), "template: ") + "; the built-in template is used. frr-templates/README.md says what a template is given and must be",
			})
		}
	}
	return t, findings, nil
}

// replace puts text in the place of the template of that file name if it is one
// and works.
func (t *Templates) replace(file, text string) error {
	name, ok := strings.CutSuffix(file, ".tmpl")
	if !ok || t.set.Lookup(file) == nil {
		return fmt.Errorf("%s: there is no such template; the names are %s", file, strings.Join(templateNames(), ", "))
	}
	set, err := t.set.Clone()
	if err != nil {
		return err
	}
	if _, err := set.New(file).Parse(text); err != nil {
		return err
	}
	if set.Lookup(file).Tree == t.set.Lookup(file).Tree {
		return fmt.Errorf("%s:1: it is empty; a comment, a line that begins with !, adds nothing", file)
	}
	for _, n := range set.Templates() {
		if was := t.set.Lookup(n.Name()); n.Name() != file && (was == nil || was.Tree != n.Tree) {
			return fmt.Errorf("%s: it defines the template %q; write one template per file", file, n.Name())
		}
	}
	with := &Templates{set: set, own: true}
	for _, s := range samples() {
		if s.name == name {
			if _, err := with.try(name, nil, s.data); err != nil {
				return err
			}
		}
	}
	t.set, t.own = set, true
	return nil
}

func templateNames() []string {
	var names []string
	for _, s := range samples() {
		if n := s.name + ".tmpl"; !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

// try renders a template and checks that a user's own made what README.md
// demands.
func (t *Templates) try(name string, node []string, data map[string]any) ([]Line, error) {
	lines, err := t.render(name, node, data)
	if err != nil {
		return nil, errors.Unwrap(err) // text/template's own names file and line
	}
	if !t.own {
		return lines, nil
	}
	var commands []string
	for _, l := range lines {
		if !l.Comment() {
			commands = append(commands, l.Text)
		}
	}
	if why := contract(name, commands, data); why != "" {
		return nil, fmt.Errorf("%s.tmpl: %s", name, why)
	}
	return lines, nil
}

// contract says what README.md demands of a template and these commands do not
// keep; "": nothing.
func contract(name string, commands []string, data map[string]any) string {
	first, want := "", ""
	if len(commands) > 0 {
		first = commands[0]
	}
	said := intent.Masked(first)
	switch name {
	case "router":
		want = fmt.Sprintf("router bgp %v", data["ASN"])
		if data["VRF"] != "" {
			want += fmt.Sprintf(" vrf %v", data["VRF"])
		}
		if first != want {
			return fmt.Sprintf("the first command is %q, want %q: neighbours and networks stand in the node that it opens", said, want)
		}
	case "neighbor":
		want = fmt.Sprintf("neighbor %v remote-as ", data["ID"])
		if data["Interface"] != "" {
			want = fmt.Sprintf("neighbor %v interface remote-as ", data["ID"])
		}
		if !strings.HasPrefix(first, want) {
			return fmt.Sprintf("the first command is %q, want one that begins with %q: it makes the neighbour", said, want)
		}
	case "network":
		want = fmt.Sprintf("network %v ", data["Prefix"])
		if len(commands) != 1 {
			return fmt.Sprintf("%d commands, want exactly one, which begins with %q", len(commands), want)
		}
		if !strings.HasPrefix(first+" ", want) {
			return fmt.Sprintf("the command is %q, want one that begins with %q", said, want)
		}
	case "neighbor-family":
		return beforeActivate(commands, data)
	}
	return ""
}

// beforeActivate: a neighbour must never be active without its maps.
func beforeActivate(commands []string, data map[string]any) string {
	maps := map[string]bool{}
	for _, c := range commands {
		if c == fmt.Sprintf("neighbor %v activate", data["ID"]) && len(maps) < 2 {
			return fmt.Sprintf("%q stands before the route-maps in and out; write it behind them", c)
		}
		if words := strings.Fields(c); matches(words, "neighbor * route-map * *") {
			maps[words[4]] = true
		}
	}
	return ""
}

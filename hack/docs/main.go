// SPDX-License-Identifier: Apache-2.0

// Docs writes the documents that are made of comments and of the rows of table
// tests:
//
//	reasons.md      each Reason that a package declares, with an example
//	differences.md  each rule of MetalLB's, and what this product does otherwise
//
//	go run ./hack/docs FOLDER
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"metallb.io/metallb-frr/hack/docs/row"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run ./hack/docs FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "hack/docs:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	for name, make := range map[string]func(*bytes.Buffer) error{"reasons.md": reasons, "differences.md": differences} {
		var text bytes.Buffer
		if err := make(&text); err != nil {
			return fmt.Errorf("making %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// rows reads a file of a package's testdata; none: there is no such file.
func rows[T row.Rule | row.Reason](pkg, file string) ([]T, error) {
	text, err := os.ReadFile(filepath.Join("pkg", pkg, "testdata", file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []T
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("reading %s of pkg/%s: %w", file, pkg, err)
	}
	return all, nil
}

// packages are those that may declare Reasons, from what users write to what is
// made of it; titles say what theirs are about.
var packages = []struct{ name, title string }{
	{"intent", "Objects"},
	{"plan", "Announcing"},
	{"ipam", "Addresses of Services"},
	{"frr", "FRR's configuration"},
	{"links", "Interfaces of nodes, in layer 2"},
	{"status", "Conditions and events"},
	{"controller", "Events of the controller"},
	{"speaker", "Events of speakers in layer 2"},
}

const reasonsHead = `<!-- Made by hack/generate from the comments of the constants and from table tests. -->
# Reasons

Conditions, events, log lines and the command line give a reason as one of these
words. They do not change their meaning from release to release. A condition's
message says it in a sentence, with the field, its value and what would be right.

What is wrong with an object is one of three. **Invalid**: the object is not accepted;
its last accepted spec, if there is one, stays in force. **Unresolved**: it names
something that is not there; that part is not in force and heals when it appears.
**Warning**: it is in force, and probably not as meant. Of an event it is the type,
**Normal** or **Warning**.
`

func reasons(out *bytes.Buffer) error {
	out.WriteString(reasonsHead)
	known := map[string]bool{}
	var all []row.Reason // also of Reasons that are declared elsewhere
	for _, p := range packages {
		examples, err := rows[row.Reason](p.name, row.ReasonsFile)
		if err != nil {
			return err
		}
		all = append(all, examples...)
	}
	for _, p := range packages {
		known[p.name] = true
		declared, err := row.Declared(filepath.Join("pkg", p.name))
		if err != nil {
			return err
		}
		examples, err := rows[row.Reason](p.name, row.ReasonsFile)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\n## %s\n", p.title)
		group := "none"
		for _, c := range declared {
			if c.Doc == "" {
				return fmt.Errorf("pkg/%s: the constant %s has no comment", p.name, c.Name)
			}
			if c.Group != group {
				group = c.Group
				if group != "" {
					fmt.Fprintf(out, "\n%s\n", group)
				}
				out.WriteString("\n| Reason | Meaning | Example |\n|---|---|---|\n")
			}
			example, err := exampleOf(p.name, c, examples, all)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "| `%s` | %s | %s |\n", c.Value, cell(c.Doc), example)
		}
	}
	return complete(known)
}

// complete reports a package that declares Reasons and is in none of packages.
func complete(known map[string]bool) error {
	return filepath.WalkDir("pkg", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(path), "pkg/")
		declared, err := row.Declared(path)
		if err != nil {
			return err
		}
		if len(declared) > 0 && !known[name] {
			return fmt.Errorf("pkg/%s declares the Reason %s: add the package to hack/docs", name, declared[0].Value)
		}
		return nil
	})
}

// exampleOf finds the row of a Reason: the package's own or, where that has no text, one
// of another package, which writes it.
func exampleOf(pkg string, c row.Constant, own, all []row.Reason) (string, error) {
	is := func(e row.Reason) bool { return e.Reason == c.Value }
	at := slices.IndexFunc(own, is)
	if at < 0 {
		return "", fmt.Errorf("pkg/%s: no row of a table test makes the Reason %s", pkg, c.Value)
	}
	e := own[at]
	if e.Message == "" {
		if at = slices.IndexFunc(all, func(e row.Reason) bool { return is(e) && e.Message != "" }); at >= 0 {
			e = all[at]
		}
	}
	var parts []string
	if e.Severity != "" {
		parts = append(parts, "**"+strings.ToUpper(e.Severity[:1])+e.Severity[1:]+"**")
	}
	if e.Object != "" {
		parts = append(parts, e.Object+":")
	}
	return strings.Join(append(parts, cell(e.Message)), " "), nil
}

const differencesHead = `<!-- Made by hack/generate from the rows of table tests. -->
# Where this product differs from MetalLB

MetalLB's rules about what users write, one by one: first what is different here and
why, then what is the same. In MetalLB an object that breaks a rule keeps the whole
configuration from being loaded, on the process that looks at it; here it costs that
object alone, and its conditions say so. What is said is given as an example, after the
reason (see reasons.md).

By the schema the API server refuses what can be seen to be wrong of one object by
itself, and only what MetalLB's webhooks refuse, too; but an IPAddressPool holds at most
4096 entries, a Community 4096 aliases, a BGPAdvertisement 512 communities. The webhook
refuses each change by which an object becomes invalid that was not, be it the one that is
changed or another one; see "Admission" for what it does otherwise than MetalLB's.

That webhook is one for all kinds, where MetalLB has six. Its failurePolicy is Ignore by
default, not Fail; its certificate is served from the Secret, which the controller makes
and the manifests do not have. With webhookMode disabled the chart makes neither its
configuration nor its Service.
`

func differences(out *bytes.Buffer) error {
	var all []row.Rule
	var sections []string
	bySection := map[string][]row.Rule{}
	for _, p := range packages {
		of, err := rows[row.Rule](p.name, row.RulesFile)
		if err != nil {
			return err
		}
		all = append(all, of...)
	}
	admission, err := rows[row.Rule]("controller", row.AdmissionFile)
	if err != nil {
		return err
	}
	for _, r := range append(all, admission...) {
		if bySection[r.Section] == nil {
			sections = append(sections, r.Section)
		}
		bySection[r.Section] = append(bySection[r.Section], r)
	}
	out.WriteString(differencesHead)
	out.WriteString("\n## Different\n")
	for _, s := range sections {
		table(out, s, "| MetalLB | Here, and why | What is said |\n|---|---|---|\n", bySection[s], func(r row.Rule) string {
			if r.Differs == "" {
				return ""
			}
			return fmt.Sprintf("| %s | %s | %s |\n", cell(r.Rule), cell(r.Differs), said(r))
		})
	}
	out.WriteString("\n## The same\n")
	for _, s := range sections {
		table(out, s, "| Rule | What is said |\n|---|---|\n", bySection[s], func(r row.Rule) string {
			if r.Differs != "" {
				return ""
			}
			return fmt.Sprintf("| %s | %s |\n", cell(r.Rule), said(r))
		})
	}
	return nil
}

// table writes the lines of a section, if there are any.
func table(out *bytes.Buffer, section, head string, rules []row.Rule, line func(row.Rule) string) {
	text := ""
	for _, r := range rules {
		text += line(r)
	}
	if text != "" {
		fmt.Fprintf(out, "\n### %s\n\n%s%s", section, head, text)
	}
}

func said(r row.Rule) string {
	texts := make([]string, len(r.Findings))
	for i, f := range r.Findings {
		texts[i] = cell(f)
	}
	return strings.Join(texts, "<br>")
}

// cell writes text so that Markdown leaves it as it is.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;", "*", "\\*").Replace(text)
}

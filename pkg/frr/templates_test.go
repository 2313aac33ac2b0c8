// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/Masterminds/sprig/v3"

	frrtemplates "metallb.io/metallb-frr/frr-templates"
	"metallb.io/metallb-frr/pkg/plan"
)

var fieldUsed = regexp.MustCompile(`[ $({]\.([A-Z]\w*)`)

// README.md says what the templates use, and the functions that they may.
func TestTemplatesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../frr-templates/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, functions, _ := strings.Cut(string(text), "\n## Functions")
	functions, _, _ = strings.Cut(functions, "\n## ")
	_, functions, _ = strings.Cut(functions, "only these:")
	functions, _, _ = strings.Cut(functions, "None of them")
	var documented []string
	for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(functions, -1) {
		documented = append(documented, m[1])
	}
	if !slices.Equal(documented, sprigAllowed) {
		t.Errorf("README.md lists %v, allowed are %v", documented, sprigAllowed)
	}
	files, err := fs.Glob(frrtemplates.FS, "*.tmpl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no templates: %v", err)
	}
	for _, file := range files {
		source, err := fs.ReadFile(frrtemplates.FS, file)
		if err != nil {
			t.Fatal(err)
		}
		_, section, ok := strings.Cut(string(text), "\n### "+file)
		if !ok {
			_, section, ok = strings.Cut(string(text), ", "+file+"\n")
		}
		if !ok {
			t.Errorf("README.md has no section on %s", file)
			continue
		}
		section, _, _ = strings.Cut(section, "\n##")
		for _, m := range fieldUsed.FindAllStringSubmatch(string(source), -1) {
			if !strings.Contains(section, "`."+m[1]+"`") {
				t.Errorf("README.md does not say what .%s of %s is", m[1], file)
			}
		}
	}
}

func TestAllowedFunctionsExist(t *testing.T) {
	all := sprig.HermeticTxtFuncMap()
	for _, name := range sprigAllowed {
		if all[name] == nil {
			t.Errorf("sprig has no function %s", name)
		}
	}
}

// edited are the built-in templates with one replaced.
func edited(t *testing.T, name, text string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	all, err := fs.Glob(frrtemplates.FS, "*.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		data, err := fs.ReadFile(frrtemplates.FS, file)
		if err != nil {
			t.Fatal(err)
		}
		files[file] = &fstest.MapFile{Data: data}
	}
	files[name] = &fstest.MapFile{Data: []byte(text)}
	return files
}

func TestTemplateErrors(t *testing.T) {
	for name, text := range map[string]string{
		"a clock":       "{{ now }}",
		"a random text": "{{ randAlpha 5 }}",
		"environment":   `{{ env "HOME" }}`,
		"a network":     `{{ getHostByName "a" }}`,
		"no template":   "{{ if }}",
	} {
		if _, err := ParseTemplates(edited(t, "global.tmpl", "hostname x\n"+text)); err == nil || !strings.Contains(err.Error(), "global.tmpl:2") {
			t.Errorf("%s: error %v, want one that names global.tmpl:2", name, err)
		}
	}
	templates, err := ParseTemplates(edited(t, "global.tmpl", "hostname {{ .Nodename }}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = Build(nil, &plan.NodePlan{Node: "n1"}, Options{Templates: templates}); err == nil || !strings.Contains(err.Error(), "n1") || !strings.Contains(err.Error(), "global.tmpl") || !strings.Contains(err.Error(), "Nodename") {
		t.Errorf("a field that does not exist: error %v", err)
	}
}

func TestParseLines(t *testing.T) {
	const text = `! about a
a
router bgp 1
 ! about b
 b
 address-family ipv4 unicast
   c
 exit-address-family
 d
exit
!

e
end
`
	var got []string
	for _, l := range parseLines([]string{"top"}, text) {
		got = append(got, strings.Join(append(slices.Clip(l.Node), l.Text), " / "))
		if l.Opens != (l.Text == "router bgp 1" || l.Text == "address-family ipv4 unicast") {
			t.Errorf("%q opens a node: %v", l.Text, l.Opens)
		}
	}
	want := []string{"top / ! about a", "top / a", "top / router bgp 1", "top / router bgp 1 / ! about b", "top / router bgp 1 / b",
		"top / router bgp 1 / address-family ipv4 unicast", "top / router bgp 1 / address-family ipv4 unicast / c", "top / router bgp 1 / d", "top / e"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
}

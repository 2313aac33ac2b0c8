// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	frrtemplates "metallb.io/metallb-frr/frr-templates"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

func TestBrokenOverrides(t *testing.T) {
	for name, c := range map[string]struct{ file, text, says string }{
		"no template":            {"neighbor.tmpl", "a\n{{ if }}", "neighbor.tmpl:2: missing value for if"},
		"not closed":             {"neighbor.tmpl", "a\n{{ if .BFD }}\n", "neighbor.tmpl:3: unexpected EOF"},
		"unknown function":       {"global.tmpl", "hostname x\n\n{{ now }}", `global.tmpl:3: function "now" not defined`},
		"unknown field":          {"class.tmpl", "route-map {{ .Name }} permit 1\n set tag {{ .Tags }}", `class.tmpl:2:12: executing "class.tmpl" at <.Tags>: map has no entry for key "Tags"`},
		"a field of some":        {"neighbor.tmpl", "neighbor {{ .ID }} {{ if .Interface }}interface {{ end }}remote-as {{ .RemoteAS }}\n{{ if .LocalAS }}{{ .Nothing }}{{ end }}", "neighbor.tmpl:2:20: executing"},
		"a field of the others":  {"bfd-profile.tmpl", "bfd\n profile {{ .Name }}\n{{ if not .EchoMode }}{{ index .Name 99 }}{{ end }}", "bfd-profile.tmpl:3:25: executing"},
		"unknown file":           {"neighbour.tmpl", "x", "neighbour.tmpl: there is no such template; the names are global.tmpl, bfd-profile.tmpl, class.tmpl,"},
		"another suffix":         {"neighbor.txt", "x", "neighbor.txt: there is no such template"},
		"empty":                  {"peer-out-end.tmpl", " \n", "peer-out-end.tmpl:1: it is empty"},
		"router":                 {"router.tmpl", "! x\nrouter bgp {{ .ASN }}\n timers bgp 3 9\n", `router.tmpl: the first command is "router bgp 64512", want "router bgp 64512 vrf red"`},
		"neighbour":              {"neighbor.tmpl", "neighbor {{ .ID }} description x\nneighbor {{ .ID }} remote-as {{ .RemoteAS }}", `neighbor.tmpl: the first command is "neighbor 2001:db8::1 description x", want one that begins with "neighbor 2001:db8::1 remote-as "`},
		"network, two lines":     {"network.tmpl", "network {{ .Prefix }}\nnetwork 10.0.0.0/8", `network.tmpl: 2 commands, want exactly one, which begins with "network 198.51.100.0/24 "`},
		"network, another":       {"network.tmpl", "network {{ .Prefix }}0", `want one that begins with "network 198.51.100.0/24 "`},
		"active before its maps": {"neighbor-family.tmpl", "neighbor {{ .ID }} route-map {{ .Map }}-in in\nneighbor {{ .ID }} activate\nneighbor {{ .ID }} route-map {{ .Map }}-out out", "activate\" stands before the route-maps"},
		"another one in it":      {"global.tmpl", "hostname x\n{{ define \"network.tmpl\" }}x{{ end }}", `it defines the template "network.tmpl"`},
		"calls itself":           {"global.tmpl", "hostname x\n{{ template \"global.tmpl\" . }}", "global.tmpl:2"},
	} {
		good := &fstest.MapFile{Data: []byte("network {{ .Prefix }} route-map {{ .Class }}\n! own\n")}
		if c.file == "network.tmpl" {
			good = nil
		}
		files := fstest.MapFS{c.file: {Data: []byte(c.text)}, "..data": {Data: []byte("a ConfigMap's")}}
		if good != nil {
			files["network.tmpl"] = good
		}
		templates, findings, err := Override(files)
		if err != nil {
			t.Fatal(err)
		}
		if len(findings) != 1 || findings[0].Reason != TemplateRefused || findings[0].Field != "data."+c.file || !strings.Contains(findings[0].Message, c.says) || findings[0].Object != TemplatesRef {
			t.Errorf("%s: findings %q, want one that says %q", name, findings, c.says)
		}
		p := samplePlan(linkPeer, fullProfile, "")
		want, errWant := Build(nil, p, Options{})
		got, errGot := Build(nil, p, Options{Templates: templates})
		if errWant != nil || errGot != nil {
			t.Fatal(errWant, errGot)
		}
		if got.Text() != want.Text() && c.file != "network.tmpl" && strings.ReplaceAll(got.Text(), "  ! own\n", "") != want.Text() {
			t.Errorf("%s: not the built-in template's text:\n%s", name, got.Text())
		}
	}
}

// Each built-in template passes as a user's own, and one that is changed is used.
func TestGoodOverrides(t *testing.T) {
	if templates, findings, err := Override(frrtemplates.FS); err != nil || len(findings) > 0 || !templates.own {
		t.Errorf("the built-in templates as a user's own: %v, %v", findings, err)
	}
	all, err := fs.Glob(frrtemplates.FS, "*.tmpl")
	if err != nil || len(all) == 0 {
		t.Fatal(err)
	}
	names := templateNames()
	slices.Sort(names)
	if !slices.Equal(all, names) {
		t.Errorf("there are samples for %v, and templates %v", names, all)
	}
	templates, findings, err := Override(fstest.MapFS{"global.tmpl": {Data: []byte("hostname {{ .Node }}\nlog syslog {{ .LogLevel }}\n")}})
	if err != nil || len(findings) > 0 {
		t.Fatal(findings, err)
	}
	doc, err := Build(nil, samplePlan(barePeer, fullProfile, ""), Options{Templates: templates})
	if err != nil || !strings.HasPrefix(doc.Text(), "hostname sample\nlog syslog informational\n") {
		t.Errorf("the user's template is not used: %v\n%s", err, doc.Text())
	}
	if _, _, err := Override(fstest.MapFS{"x": {Mode: fs.ModeDir}}); err == nil {
		t.Error("a folder is read as a template")
	}
}

// An own template that fails on a real object costs no more than that object's
// own form, and says so on the object.
func TestOverrideThatFailsLater(t *testing.T) {
	templates, findings, err := Override(fstest.MapFS{
		"neighbor.tmpl": {Data: []byte("neighbor {{ .ID }} {{ if .Interface }}interface {{ end }}remote-as {{ .RemoteAS }}\n{{ if eq .Description \"odd\" }}{{ index .ID 999 }}{{ end }}neighbor {{ .ID }} description own\n")},
		"network.tmpl":  {Data: []byte("{{ if hasPrefix \"10.\" .Prefix }}net{{ else }}network{{ end }} {{ .Prefix }}\n")},
	})
	if err != nil || len(findings) > 0 {
		t.Fatal(findings, err)
	}
	p := samplePlan(&intent.Peer{Name: "odd", MyASN: 64512, ASN: 64600, Addr: netip.MustParseAddr("192.0.2.9"), Port: 179}, fullProfile, "")
	prefix := netip.MustParsePrefix("10.1.0.0/16")
	p.Routers[0].Routes[prefix] = &plan.Route{Prefix: prefix, Class: p.Routers[0].Classes[0], Services: []intent.Key{{Namespace: "default", Name: "web"}}}
	var prev *Document
	for range 2 {
		doc, err := Build(prev, p, Options{Templates: templates})
		if err != nil {
			t.Fatal(err)
		}
		text := doc.Text()
		for _, want := range []string{" neighbor 192.0.2.9 description odd\n", "  network 10.1.0.0/16 route-map sample.v4\n", "  network 198.51.100.0/24\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in:\n%s", want, text)
			}
		}
		var got []string
		for _, r := range doc.Unrendered {
			got = append(got, r.Line.Text+" "+r.Origins[0].String()+" "+r.Origins[1].String())
		}
		slices.Sort(got)
		if want := []string{"neighbor.tmpl BGPPeer odd ConfigMap metallb-frr-templates", "network.tmpl Service default/web ConfigMap metallb-frr-templates"}; !slices.Equal(got, want) {
			t.Errorf("reported %q, want %q", got, want)
		}
		prev = doc
	}
	networks := func(routes map[netip.Prefix]*plan.Route) int {
		t.Helper()
		next, router := *p, *p.Routers[0]
		router.Routes = routes
		next.Routers = []*plan.Router{&router}
		doc, err := Build(prev, &next, Options{Templates: templates})
		if err != nil {
			t.Fatal(err)
		}
		prev = doc
		return len(doc.Unrendered) - 1 // the neighbour
	}
	other := *p.Routers[0].Routes[prefix]
	other.Services = nil
	if n := networks(map[netip.Prefix]*plan.Route{prefix: &other}); n != 1 {
		t.Errorf("a network that is made again is reported %d times, want 1", n)
	}
	if n := networks(nil); n != 0 {
		t.Errorf("a network that is gone is reported %d times", n)
	}
}

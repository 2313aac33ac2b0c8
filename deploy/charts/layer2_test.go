// SPDX-License-Identifier: Apache-2.0

package charts_test

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"metallb.io/metallb-frr/pkg/links"
	"metallb.io/metallb-frr/pkg/members"
)

// object returns the object of that kind and name in a rendering.
func object(t *testing.T, rendering, kind, name string) map[string]any {
	t.Helper()
	for text := range strings.SplitSeq(rendering, "\n---\n") {
		var o struct {
			Kind     string
			Metadata struct{ Name string }
		}
		var whole map[string]any
		if err := yaml.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		if o.Kind == kind && o.Metadata.Name == name {
			if err := yaml.Unmarshal([]byte(text), &whole); err != nil {
				t.Fatal(err)
			}
			return whole
		}
	}
	return nil
}

// at follows keys, and in lists the names of their elements.
func at(t *testing.T, o any, path ...string) any {
	t.Helper()
	for _, key := range path {
		switch v := o.(type) {
		case map[string]any:
			o = v[key]
		case []any:
			i := slices.IndexFunc(v, func(e any) bool { m, ok := e.(map[string]any); return ok && m["name"] == key })
			if i < 0 {
				return nil
			}
			o = v[i]
		default:
			return nil
		}
	}
	return o
}

func asText(t *testing.T, o any) string {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestExclusionIsTheDefault: the list that ships is the one that holds where it
// cannot be read.
func TestExclusionIsTheDefault(t *testing.T) {
	out, err := render(t)
	if err != nil {
		t.Fatal(err, out)
	}
	text, _ := at(t, object(t, out, "ConfigMap", "metallb-excludel2"), "data", "excludel2.yaml").(string)
	x, err := links.ParseExclusion([]byte(text))
	if err != nil || !slices.Equal(x.Patterns(), links.DefaultExclusion) {
		t.Errorf("shipped are %q, %v; want %q", x.Patterns(), err, links.DefaultExclusion)
	}
	pod := at(t, object(t, out, "DaemonSet", "speaker"), "spec", "template", "spec")
	if got, want := asText(t, at(t, pod, "containers", "speaker", "volumeMounts", "metallb-excludel2")), `{"mountPath":"/etc/metallb","name":"metallb-excludel2","readOnly":true}`; got != want {
		t.Errorf("mounted is %s, want %s", got, want)
	}
	if out, err = render(t, "speaker.excludeInterfaces.enabled=false"); err != nil || strings.Contains(out, "excludel2") {
		t.Errorf("turned off it is there, or %v", err)
	}
}

// TestMembership: the speaker is told where it is, and the controller to make the
// Secret that the speakers mount, and both may do what that takes.
func TestMembership(t *testing.T) {
	out, err := render(t)
	if err != nil {
		t.Fatal(err, out)
	}
	pod := at(t, object(t, out, "DaemonSet", "speaker"), "spec", "template", "spec")
	labels := at(t, object(t, out, "DaemonSet", "speaker"), "spec", "template", "metadata", "labels")
	c := at(t, pod, "containers", "speaker")
	for _, row := range []struct {
		of   any
		path string
		want string
	}{
		{c, "env METALLB_ML_BIND_ADDR valueFrom", `{"fieldRef":{"fieldPath":"status.podIP"}}`},
		{c, "env METALLB_ML_ADVERTISE_ADDR", `null`},
		{c, "env METALLB_ML_BIND_PORT value", `"7946"`},
		{c, "env METALLB_ML_SECRET_KEY_PATH value", `"/etc/ml_secret_key"`},
		{c, "ports memberlist-tcp", `{"containerPort":7946,"name":"memberlist-tcp","protocol":"TCP"}`},
		{c, "ports memberlist-udp", `{"containerPort":7946,"name":"memberlist-udp","protocol":"UDP"}`},
		{c, "securityContext capabilities", `{"add":["NET_RAW"],"drop":["ALL"]}`},
		{pod, "securityContext runAsUser", `0`}, // for another user NET_RAW would not be in force
		{c, "volumeMounts memberlist mountPath", `"/etc/ml_secret_key"`},
		{c, "volumeMounts metallb-memberlist-config mountPath", `"/etc/metallb/memberlist"`},
		{pod, "volumes memberlist secret", `{"defaultMode":420,"secretName":"anyname-metallb-memberlist"}`},
		{pod, "volumes metallb-memberlist-config configMap", `{"name":"metallb-memberlist-config","optional":true}`},
		{
			at(t, object(t, out, "Deployment", "controller"), "spec", "template", "spec", "containers", "controller"),
			"env METALLB_ML_SECRET_NAME value", `"anyname-metallb-memberlist"`,
		},
		{
			at(t, object(t, out, "Deployment", "controller"), "spec", "template", "spec", "containers", "controller"),
			"env METALLB_DEPLOYMENT value", `"controller"`,
		},
	} {
		if got := asText(t, at(t, row.of, strings.Fields(row.path)...)); got != row.want {
			t.Errorf("%s is %s, want %s", row.path, got, row.want)
		}
	}
	selector, _ := at(t, c, "env", "METALLB_ML_LABELS", "value").(string)
	for term := range strings.SplitSeq(selector, ",") {
		key, value, _ := strings.Cut(term, "=")
		if at(t, labels, key) != value {
			t.Errorf("METALLB_ML_LABELS is %q, but the pods' labels are %v", selector, labels)
		}
	}
	rules := asText(t, at(t, object(t, out, "Role", "controller"), "rules"))
	for _, want := range []string{
		`{"apiGroups":[""],"resources":["secrets"],"verbs":["create"]}`,
		`{"apiGroups":["apps"],"resourceNames":["controller"],"resources":["deployments"],"verbs":["get"]}`,
	} {
		if !strings.Contains(rules, want) {
			t.Errorf("the controller's rules lack %s", want)
		}
	}
}

// TestMembershipValues take effect.
func TestMembershipValues(t *testing.T) {
	for set, wants := range map[string][]string{
		"speaker.memberlist.mlBindPort=7000":                   {"METALLB_ML_BIND_PORT\n          value: \"7000\"\n", "name: memberlist-tcp\n          containerPort: 7000\n"},
		"speaker.memberlist.mlBindAddrOverride=0.0.0.0":        {"METALLB_ML_BIND_ADDR\n          value: \"0.0.0.0\"\n        - name: METALLB_ML_ADVERTISE_ADDR\n          valueFrom:\n            fieldRef:\n              fieldPath: status.podIP\n"},
		"speaker.memberlist.mlSecretKeyPath=/key":              {"METALLB_ML_SECRET_KEY_PATH\n          value: /key\n", "mountPath: /key\n"},
		"speaker.secretName=own":                               {"secretName: own\n", "METALLB_ML_SECRET_NAME\n          value: own\n"},
		"fullnameOverride=full":                                {"secretName: full-memberlist\n"},
		"speaker.memberlist.tuning.gossipVerifyIncoming=false": {"- --ml-gossip-verify-incoming=false\n"},
		"speaker.memberlist.tuning.indirectChecks=0":           {"- --ml-indirect-checks=0\n"},
		"speaker.memberlist.tuning.handoffQueueDepth=1048576":  {"- --ml-handoff-queue-depth=1048576\n"},
		"speaker.memberlist.tuning.tcpTimeout=2s":              {"- --ml-tcp-timeout=2s\n"},
	} {
		out, err := render(t, set)
		for _, want := range wants {
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("--set %s: no %q in the rendering, %v", set, want, err)
			}
		}
	}
	for _, set := range []string{"speaker.memberlist.enabled=false", "speaker.enabled=false"} {
		out, err := render(t, set)
		if err != nil {
			t.Fatal(err, out)
		}
		for _, not := range []string{"METALLB_ML", "memberlist", "--ml-"} {
			if strings.Contains(out, not) {
				t.Errorf("--set %s: %q is in the rendering", set, not)
			}
		}
	}
}

// TestTheReadmeNamesEachNumber that values can set, with its presets.
func TestTheReadmeNamesEachNumber(t *testing.T) {
	readme, err := os.ReadFile("metallb/README.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("metallb/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	numbers, _ := at(t, schema, strings.Fields("properties speaker properties memberlist properties tuning properties")...).(map[string]any)
	if len(numbers) < 19 {
		t.Errorf("the schema has %d numbers", len(numbers))
	}
	lan, wan := reflect.ValueOf(members.LAN()), reflect.ValueOf(members.WAN())
	for name := range numbers {
		field := func(n string) bool { return strings.EqualFold(n, name) }
		row := fmt.Sprintf("| `%s` | %v | %v |", name, lan.FieldByNameFunc(field), wan.FieldByNameFunc(field))
		if row = strings.ReplaceAll(row, "1m0s", "1m"); !strings.Contains(string(readme), row) {
			t.Errorf("the README has no row %s", row)
		}
	}
}

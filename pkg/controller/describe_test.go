// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/e2e/apiserver"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

var update = flag.Bool("update", false, "write what kubectl describe prints into testdata/describe/*.txtar")

// What users read of a Service that has no address, or not as they meant it, is in
// kubectl describe: conditions are not there, so the events must say it. Each file
// has the objects that are there first, those that come then, with the Service web,
// perhaps an edit, and what kubectl describe prints of web.
func TestWhatKubectlDescribeSays(t *testing.T) {
	files, err := filepath.Glob("testdata/describe/*.txtar")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	home := t.TempDir() // where kubectl keeps what it knows of API servers
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			f := newFixture(t)
			f.controller()
			describe(t, f, newKubectl(t, f, home), file)
		})
	}
}

func describe(t *testing.T, f *fixture, k *kubectl, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want string
	for i := range archive.Files {
		section := &archive.Files[i]
		switch section.Name {
		case "first.yaml":
			k.run(string(section.Data), "create", "-f", "-")
			f.allDecided()
		case "then.yaml":
			k.run(string(section.Data), "create", "-f", "-")
			f.allDecided()
		case "edit.yaml":
			k.run(string(section.Data), "replace", "-f", "-")
			f.awaitService("web", "to lose its address", func(s *corev1.Service) bool {
				return meta.IsStatusConditionFalse(s.Status.Conditions, v1beta1.ConditionAddressAssigned)
			})
		case "describe":
			f.allTold()
			got := plain(k.run("", "describe", "service", "web"))
			want, section.Data = string(section.Data), []byte(got)
			if !*update && got != want {
				t.Errorf("kubectl describe service web:\n%s\nwant:\n%s", got, want)
			}
		default:
			t.Fatalf("%s: unknown section %q", file, section.Name)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// allDecided waits until every Service of ours has the condition AddressAssigned.
func (f *fixture) allDecided() {
	f.t.Helper()
	list := &corev1.ServiceList{}
	if err := f.List(f.t.Context(), list); err != nil {
		f.t.Fatal(err)
	}
	for i := range list.Items {
		s := &list.Items[i]
		if s.Spec.Type != corev1.ServiceTypeLoadBalancer || s.Spec.LoadBalancerClass != nil {
			continue
		}
		await(f, &corev1.ServiceList{}, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name}}, "to be decided", func(s *corev1.Service) bool {
			return meta.FindStatusCondition(s.Status.Conditions, v1beta1.ConditionAddressAssigned) != nil
		})
	}
}

// allTold waits until the events of what has been written are there: they are sent
// in order, so when that of a Service made now has come.
func (f *fixture) allTold() {
	f.t.Helper()
	last := service("zz-last", func(s *corev1.Service) {
		s.Annotations = map[string]string{v1beta1.AnnotationLoadBalancerIPs: "nonsense"}
	})
	f.create(last)
	f.awaitEvent("zz-last", "LoadBalancerFailed", "nonsense")
}

// kubectl is the real one, against the fixture's API server.
type kubectl struct {
	t       *testing.T
	program string
	env     []string
}

func newKubectl(t *testing.T, f *fixture, home string) *kubectl {
	t.Helper()
	program := filepath.Join(apiserver.Programs(t), "kubectl")
	return &kubectl{t, program, append(os.Environ(), "KUBECONFIG="+apiserver.Kubeconfig(t, f.config), "HOME="+home)}
}

func (k *kubectl) run(input string, args ...string) string {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, k.program, args...)
	cmd.Env, cmd.Stdin, cmd.WaitDelay = k.env, strings.NewReader(input), time.Second
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		k.t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, complaint.String())
	}
	return out.String()
}

var (
	eventLine = regexp.MustCompile(`(?m)^  (Normal|Warning|Type|----) +(.*?)  +(<unknown>|Age|----|\d\S*)( \(x\d+ over \S+\))? +(\S+) +(.*)$`)
	clusterIP = regexp.MustCompile(`\b10\.96\.\d+\.\d+`)
	clusterV6 = regexp.MustCompile(`\bfd00:10:96::[0-9a-f]+`)
	nodePort  = regexp.MustCompile(`(NodePort:\s+(?:\S+\s+)?)\d+`)
	foreign   = regexp.MustCompile(`(?m)^  Warning +ClusterIP\w+ .* ipallocator-repair-controller .*\n`)
	noEvents  = regexp.MustCompile(`Events:\n  Type .*\n  ---- .*\n\z`)
	counted   = regexp.MustCompile(`over \S+\)`)
)

// plain takes out of what kubectl prints what differs from run to run: ages,
// ClusterIPs, node ports, and what the API server itself says of ClusterIPs at times.
func plain(text string) string {
	text = foreign.ReplaceAllString(text, "")
	text = noEvents.ReplaceAllString(text, "Events:                   <none>\n")
	text = eventLine.ReplaceAllStringFunc(text, func(line string) string {
		m := eventLine.FindStringSubmatch(line)
		return strings.TrimRight("  "+strings.Join([]string{m[1], m[2], m[5] + counted.ReplaceAllString(m[4], "over TIME)"), m[6]}, "  "), " ")
	})
	text = clusterIP.ReplaceAllString(clusterV6.ReplaceAllString(text, "CLUSTER-IPv6"), "CLUSTER-IP")
	text = nodePort.ReplaceAllString(text, "${1}NODE-PORT")
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// SPDX-License-Identifier: Apache-2.0

package charts_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestTheWebhook is one for all kinds, and what a user is told about it.
func TestTheWebhook(t *testing.T) {
	out, err := render(t)
	if err != nil {
		t.Fatal(err, out)
	}
	config := object(t, out, "ValidatingWebhookConfiguration", "metallb-webhook-configuration")
	webhooks := at(t, config, "webhooks").([]any)
	if len(webhooks) != 1 {
		t.Fatalf("%d webhooks, want 1", len(webhooks))
	}
	webhook := webhooks[0].(map[string]any)
	for field, want := range map[string]any{
		"name": "validation.metallb.io", "failurePolicy": "Ignore", "sideEffects": "None", "matchPolicy": "Equivalent",
		"admissionReviewVersions": []any{"v1"},
	} {
		if got := webhook[field]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", field, got, want)
		}
	}
	if seconds := fmt.Sprint(webhook["timeoutSeconds"]); seconds != "3" {
		t.Errorf("an edit waits %s s for a webhook that cannot be reached", seconds)
	}
	if _, ok := at(t, webhook, "clientConfig").(map[string]any)["caBundle"]; ok {
		t.Error("the rendering has a caBundle, which would undo the controller's")
	}
	asked := map[string]string{}
	for _, r := range webhook["rules"].([]any) {
		rule := r.(map[string]any)
		for _, resource := range rule["resources"].([]any) {
			for _, operation := range rule["operations"].([]any) {
				asked[fmt.Sprint(resource)] += fmt.Sprint(operation, rule["apiVersions"])
			}
		}
	}
	both := "CREATE[v1beta1]UPDATE[v1beta1]"
	if want := map[string]string{
		"ipaddresspools": both, "l2advertisements": both, "bgpadvertisements": both, "communities": both,
		"bfdprofiles": both + "DELETE[v1beta1]", "bgppeers": "CREATE[v1beta2]UPDATE[v1beta2]",
	}; !reflect.DeepEqual(asked, want) {
		t.Errorf("asked about %v, want %v", asked, want)
	}

	service := object(t, out, "Service", "metallb-webhook-service")
	port := at(t, service, "spec", "ports").([]any)[0].(map[string]any)
	container := at(t, object(t, out, "Deployment", "controller"), "spec", "template", "spec", "containers", "controller")
	serves := false
	for _, p := range at(t, container, "ports").([]any) {
		p := p.(map[string]any)
		serves = serves || p["name"] == port["targetPort"] && fmt.Sprint(p["containerPort"]) == "9443"
	}
	if !serves || port["name"] != "webhook-server" || fmt.Sprint(port["port"]) != "443" {
		t.Errorf("the Service's port is %v, and no port of the controller fits", port)
	}
}

// TestRenderingIsStable, so that GitOps tools and upgrades find nothing to change.
func TestRenderingIsStable(t *testing.T) {
	first, err := render(t)
	if err != nil {
		t.Fatal(err, first)
	}
	if again, err := render(t); err != nil || again != first {
		t.Errorf("the second rendering is another one, %v", err)
	}
}

func TestWebhookValues(t *testing.T) {
	const config, rights = "ValidatingWebhookConfiguration", "validatingwebhookconfigurations"
	for _, row := range []struct {
		set       string
		want, not []string
	}{
		{"controller.webhookMode=enabled", []string{config, "--webhook-mode=enabled\n", rights, "[metallb-webhook-cert]"}, []string{"--disable-cert-rotation", "webhook-cert\n"}},
		{"controller.webhookMode=onlywebhook", []string{config, "--webhook-mode=onlywebhook\n", "metallb-webhook-service"}, nil},
		{"controller.webhookMode=disabled", []string{"--webhook-mode=disabled\n"}, []string{"kind: " + config, "metallb-webhook", "webhook-server", rights}},
		{"controller.enabled=false", nil, []string{"kind: " + config, "metallb-webhook"}},
		{"crds.validationFailurePolicy=Fail", []string{"failurePolicy: Fail\n"}, []string{"failurePolicy: Ignore"}},
		{"controller.disableCertRotation=true", []string{
			config, "--disable-cert-rotation=true\n", "secretName: metallb-webhook-cert\n          optional: true\n", "mountPath: /tmp/k8s-webhook-server/serving-certs\n",
		}, []string{rights, "[metallb-webhook-cert]"}},
		{"controller.webhookMode=null", []string{config, "--webhook-mode=enabled\n", rights}, nil},
		{"crds.validationFailurePolicy=null", []string{"failurePolicy: Ignore\n"}, nil},
		{"prometheus.metricsPort=0", []string{"- name: webhook-server\n          containerPort: 9443\n"}, []string{"name: metricshttps"}},
	} {
		out, err := render(t, row.set)
		if err != nil {
			t.Errorf("--set %s: %v\n%s", row.set, err, out)
		}
		for _, want := range row.want {
			if !strings.Contains(out, want) {
				t.Errorf("--set %s: no %q in the rendering", row.set, want)
			}
		}
		for _, not := range row.not {
			if strings.Contains(out, not) {
				t.Errorf("--set %s: %q is in the rendering", row.set, not)
			}
		}
	}
	for _, set := range []string{"controller.webhookMode=off", "crds.validationFailurePolicy=Maybe"} {
		value, _, _ := strings.Cut(set[strings.LastIndex(set, ".")+1:], "=")
		if out, err := render(t, set); err == nil || !strings.Contains(out, value) {
			t.Errorf("--set %s: %v\n%s", set, err, out)
		}
	}
}

// TestNotes say that Services get addresses where a controller gives them, and
// what the speakers want where none makes their Secret.
func TestNotes(t *testing.T) {
	const addresses, deployment, secret = "now gets an address of pool web", "deploy/controller", "wait for Secret anyname-metallb-memberlist"
	for _, row := range []struct {
		set       string
		want, not []string
	}{
		{"controller.webhookMode=enabled", []string{addresses, deployment}, []string{secret}},
		{"controller.webhookMode=disabled", []string{addresses, deployment}, []string{secret}},
		{"controller.webhookMode=null", []string{addresses, deployment}, []string{secret}},
		{"controller.webhookMode=onlywebhook", []string{deployment, secret}, []string{addresses}},
		{"controller.webhookMode=onlywebhook,speaker.memberlist.enabled=false", []string{deployment}, []string{addresses, "wait for Secret"}},
		{"controller.enabled=false", []string{secret}, []string{addresses, deployment}},
		{"controller.enabled=false,speaker.secretName=own", []string{"wait for Secret own"}, []string{addresses}},
	} {
		out, err := helm(t, "install", "anyname", "metallb", "--namespace", "metallb-system", "--dry-run=client", "--set", row.set)
		_, notes, found := strings.Cut(out, "\nNOTES:\n")
		if err != nil || !found {
			t.Errorf("--set %s: no notes, %v\n%s", row.set, err, out)
		}
		for _, want := range row.want {
			if !strings.Contains(notes, want) {
				t.Errorf("--set %s: no %q in the notes:\n%s", row.set, want, notes)
			}
		}
		for _, not := range row.not {
			if strings.Contains(notes, not) {
				t.Errorf("--set %s: %q is in the notes", row.set, not)
			}
		}
	}
}

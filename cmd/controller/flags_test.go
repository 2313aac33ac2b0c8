// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"io"
	"strings"
	"testing"
)

func TestWebhookFlags(t *testing.T) {
	defaults := webhookFlags{
		mode: "enabled", certDir: "/tmp/k8s-webhook-server/serving-certs", service: "metallb-webhook-service",
		secret: "metallb-webhook-cert", port: 9443,
	}
	for _, row := range []struct {
		args   string
		change func(*webhookFlags)
		err    string
	}{
		{"", func(*webhookFlags) {}, ""},
		{"--webhook-mode=onlywebhook", func(f *webhookFlags) { f.mode = onlyWebhook }, ""},
		{"--webhook-mode=on", nil, `invalid value "on" for flag -webhook-mode: no such mode; want one of enabled, disabled, onlywebhook`},
		{"--cert-service-name=x --webhook-secret=y.z", func(f *webhookFlags) { f.service, f.secret = "x", "y.z" }, ""},
		{"--cert-service-name=a.b", nil, "flag -cert-service-name: no such name can be"},
		{"--webhook-secret=", nil, "flag -webhook-secret: no such name can be"},
		{"--webhook-port=0", nil, "want 1 to 65535"},
		{"--disable-cert-rotation --webhook-http2 --cert-dir=/c", func(f *webhookFlags) { f.noRotation, f.http2, f.certDir = true, true, "/c" }, ""},
		{"--disable-cert-rotation=maybe", nil, "invalid boolean value"},
	} {
		var f flags
		fs := flag.NewFlagSet("controller", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		f.register(fs)
		err := fs.Parse(strings.Fields(row.args))
		if row.err != "" {
			if err == nil || !strings.Contains(err.Error(), row.err) {
				t.Errorf("%s: %v, want %q", row.args, err, row.err)
			}
			continue
		}
		want := defaults
		row.change(&want)
		if err != nil || f.webhook != want {
			t.Errorf("%s: %+v, %v; want %+v", row.args, f.webhook, err, want)
		}
	}
}

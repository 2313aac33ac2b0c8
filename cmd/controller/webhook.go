// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"

	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/controller"
)

// Values of --webhook-mode.
const (
	webhookEnabled  = "enabled"
	webhookDisabled = "disabled"
	onlyWebhook     = "onlywebhook"
)

// webhookConfiguration is the ValidatingWebhookConfiguration's name, and
// certificateOwner the field owner of its caBundle and of the Secret's data.
const (
	webhookConfiguration = "metallb-webhook-configuration"
	certificateOwner     = "metallb-webhook-certificates"
)

type webhookFlags struct {
	mode, certDir, service, secret string
	port                           int
	noRotation, http2              bool
}

func (f *webhookFlags) register(fs *flag.FlagSet) {
	f.mode = webhookEnabled
	fs.Func("webhook-mode", "enabled: serve the admission webhook and do the rest; disabled: the rest alone; onlywebhook: it alone, without an election, as `mode` (default enabled)",
		func(text string) error {
			modes := []string{webhookEnabled, webhookDisabled, onlyWebhook}
			if !slices.Contains(modes, text) {
				return fmt.Errorf("no such mode; want one of %s", strings.Join(modes, ", "))
			}
			f.mode = text
			return nil
		})
	name := func(at *string, flag, value, usage string, wrong func(string) []string) {
		*at = value
		fs.Func(flag, usage+" (default "+value+")", func(text string) error {
			if found := wrong(text); len(found) > 0 {
				return fmt.Errorf("no such name can be: %s", strings.Join(found, "; "))
			}
			*at = text
			return nil
		})
	}
	name(&f.service, "cert-service-name", "metallb-webhook-service", "`name` of the Service by which the API server calls the admission webhook, and which its certificate is for", validation.IsDNS1035Label)
	name(&f.secret, "webhook-secret", "metallb-webhook-cert", "`name` of the Secret with the admission webhook's certificate and its authority, which is made where it is missing", validation.IsDNS1123Subdomain)
	f.port = 9443
	fs.Func("webhook-port", "TCP `port` of the admission webhook (default 9443)", func(text string) error {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("no such port; want 1 to 65535")
		}
		f.port = int(n)
		return nil
	})
	fs.BoolVar(&f.noRotation, "disable-cert-rotation", false, "neither make nor renew the admission webhook's certificate, nor tell the API server whom to trust: tls.crt and tls.key in --cert-dir are served, and read again when they change")
	fs.StringVar(&f.certDir, "cert-dir", "/tmp/k8s-webhook-server/serving-certs", "`directory` of the admission webhook's certificate with --disable-cert-rotation; without, nothing is read or written there")
	fs.BoolVar(&f.http2, "webhook-http2", false, "serve the admission webhook over HTTP/2 too")
}

// newWebhook returns what serves admission in this replica.
func newWebhook(cfg *rest.Config, log logr.Logger, f *flags, namespace string) (*controller.Webhook, error) {
	w := &f.webhook
	set, err := f.TLS()
	if err != nil {
		return nil, err
	}
	c, err := cluster.New(cfg, cluster.Options{
		Namespace: namespace, LoadBalancerClass: f.class, IgnoreExcludeLabel: f.ignoreExclude, DrainOn: f.drainOn,
		ConfigOnly: true, FieldOwner: name, Log: log,
	})
	if err != nil {
		return nil, err
	}
	o := controller.WebhookOptions{Port: w.port, TLS: set, HTTP2: w.http2, CertDir: w.certDir, Log: log}
	if !w.noRotation {
		o.DNSName = w.service + "." + namespace + ".svc"
		o.Trust, err = cluster.NewTrust(cfg, cluster.TrustOptions{
			Namespace: namespace, Secret: w.secret, Deployment: f.secret.Deployment,
			Service: w.service, Configuration: webhookConfiguration, FieldOwner: certificateOwner,
		})
		if err != nil {
			return nil, err
		}
	}
	return controller.NewWebhook(controller.NewAdmission(c), o), nil
}

// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"metallb.io/metallb-frr/pkg/cluster"
)

// webhookPaths are where objects of all kinds are asked about: at ours, and at
// MetalLB's six, whose webhooks can be left in the configuration, as by kubectl apply
// over one that kubectl create or helm made.
var webhookPaths = []string{
	"/validate-metallb-io",
	"/validate-metallb-io-v1beta2-bgppeer",
	"/validate-metallb-io-v1beta1-ipaddresspool",
	"/validate-metallb-io-v1beta1-bgpadvertisement",
	"/validate-metallb-io-v1beta1-l2advertisement",
	"/validate-metallb-io-v1beta1-community",
	"/validate-metallb-io-v1beta1-bfdprofile",
}

// serverRetry is how long after a failure the webhook's server is started again.
const serverRetry = 5 * time.Second

// WebhookOptions of a Webhook.
type WebhookOptions struct {
	Port int // TCP, on all addresses
	// TLS says which versions, ciphers and groups are served. Required.
	TLS func(*tls.Config)
	// HTTP2: HTTP/2 is served beside HTTP/1.1.
	HTTP2 bool
	// Trust is what the certificate is kept in under DNSName; nil: it is not kept
	// at all, and tls.crt and tls.key are taken from the directory CertDir, now
	// and whenever they change there.
	Trust   *cluster.Trust
	DNSName string
	CertDir string
	Log     logr.Logger
}

// Webhook serves admission in every replica, led or not. Nothing else waits for
// it, and what goes wrong in it ends nothing else: it is tried again. Make one
// with NewWebhook.
type Webhook struct {
	admission    *Admission
	certificates *Certificates // nil: from CertDir
	options      WebhookOptions
}

// NewWebhook returns a Webhook that asks a, which it starts itself.
func NewWebhook(a *Admission, o WebhookOptions) *Webhook {
	w := &Webhook{admission: a, options: o}
	if o.Trust != nil {
		w.certificates = NewCertificates(o.Trust, o.DNSName, o.Log)
	}
	return w
}

// NeedLeaderElection tells controller-runtime's manager to start it everywhere.
func (w *Webhook) NeedLeaderElection() bool { return false }

// Start serves until ctx ends.
func (w *Webhook) Start(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.admission.Start(ctx) })
	if w.certificates != nil {
		g.Go(func() error {
			if err := w.options.Trust.Start(ctx); err != nil {
				report(ctx, w.options.Log, err, "the admission webhook's certificate is not watched")
			}
			return nil
		})
		g.Go(func() error { w.certificates.run(ctx); return nil })
	}
	g.Go(func() error { w.keep(ctx); return nil })
	return g.Wait()
}

// keep serves until ctx ends, and again after a failure. Before there is a
// certificate it does not listen, so that the API server need not wait to know.
func (w *Webhook) keep(ctx context.Context) {
	if w.certificates != nil {
		select {
		case <-ctx.Done():
			return
		case <-w.certificates.ready:
		}
	}
	handler := &admission.Webhook{Handler: w.admission}
	for ctx.Err() == nil {
		attempt, cancel := context.WithCancel(ctx)
		err := w.serve(attempt, handler)
		cancel()
		if err != nil {
			report(ctx, w.options.Log, err, "the admission webhook is not served; trying again")
		}
		select {
		case <-ctx.Done():
		case <-time.After(serverRetry):
		}
	}
}

func (w *Webhook) serve(ctx context.Context, handler *admission.Webhook) error {
	o := webhook.Options{Port: w.options.Port, CertDir: w.options.CertDir, TLSOpts: []func(*tls.Config){w.options.TLS, func(c *tls.Config) {
		if !w.options.HTTP2 {
			c.NextProtos = []string{"http/1.1"}
		}
		if w.certificates != nil {
			c.GetCertificate = w.certificates.GetCertificate
		}
	}}}
	s := webhook.NewServer(o)
	for _, path := range webhookPaths {
		s.Register(path, handler)
	}
	return s.Start(ctx)
}

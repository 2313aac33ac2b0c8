// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"bytes"
	"context"
	"crypto/tls"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/cluster"
)

const (
	// renewCheck is how often it is looked whether a certificate ends soon.
	renewCheck = 12 * time.Hour
	// handOver is for how long the certificate before is served on, once the API
	// server has been told to trust the new one too: it takes a moment to know.
	handOver = 10 * time.Second
)

// Certificates keeps the admission webhook's certificate: made where it is
// missing, renewed in time, trusted by the API server. Every replica runs one,
// led or not, and serves what is in the Secret that they share, without files.
// Where two make a certificate at the same time the API server takes one, and
// both serve that. Make one with NewCertificates.
type Certificates struct {
	trust     *cluster.Trust
	authority *authority
	log       logr.Logger

	serving atomic.Pointer[tls.Certificate]
	ready   chan struct{}    // closed once there is one
	next    *tls.Certificate // served from due on; nil: none
	due     time.Time
}

// NewCertificates returns Certificates for a server that is called dnsName.
func NewCertificates(t *cluster.Trust, dnsName string, log logr.Logger) *Certificates {
	return &Certificates{trust: t, authority: newAuthority(dnsName), log: log, ready: make(chan struct{})}
}

// GetCertificate returns the certificate to serve, as crypto/tls asks for it; nil
// before there is one.
func (c *Certificates) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.serving.Load(), nil
}

// run works until ctx ends. The Trust is started elsewhere.
func (c *Certificates) run(ctx context.Context) {
	if c.trust.WaitSynced(ctx) {
		c.keep(ctx)
	}
}

// keep makes a step whenever one is due, or something has changed, until ctx ends.
func (c *Certificates) keep(ctx context.Context) {
	for retry := firstRetry; ; {
		wait := renewCheck
		if err := c.step(ctx, time.Now()); err != nil {
			report(ctx, c.log, err, "the admission webhook's certificate is not in order; trying again")
			wait, retry = retry, min(2*retry, lastRetry)
		} else {
			retry = firstRetry
			if c.next != nil {
				wait = min(wait, time.Until(c.due))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-c.trust.Changed():
		case <-time.After(wait):
		}
	}
}

// step does what the two objects need now. What it writes it sees in the next one.
func (c *Certificates) step(ctx context.Context, now time.Time) error {
	secret, config, err := c.trust.Read(ctx)
	if err != nil {
		return err
	}
	var data map[string][]byte
	if secret != nil {
		data = secret.Data
	}
	if fresh, err := c.authority.renew(data, now); err != nil || fresh != nil {
		return c.write(ctx, secret, fresh, err)
	}
	if c.serving.Load() == nil { // whether or not the API server can be told
		if err := c.choose(data, config, now); err != nil {
			return err
		}
	}
	if config == nil {
		return c.choose(data, config, now)
	}
	switch wrote, err := c.trust.WriteBundle(ctx, config, data[caCert]); {
	case err != nil:
		return err
	case wrote:
		c.log.Info("told the API server whom to trust as the admission webhook")
		return nil
	}
	return c.choose(data, config, now)
}

func (c *Certificates) write(ctx context.Context, secret *corev1.Secret, fresh map[string][]byte, err error) error {
	if err != nil {
		return err
	}
	if err := c.trust.WriteSecret(ctx, secret, fresh); err != nil {
		return err
	}
	c.log.Info("made a certificate of the admission webhook")
	return nil
}

// choose serves the Secret's certificate: at once where the one before is not
// trusted any more, or there was none; else a moment later.
func (c *Certificates) choose(data map[string][]byte, config *admissionv1.ValidatingWebhookConfiguration, now time.Time) error {
	serving := c.serving.Load()
	if serving != nil && sameCertificate(serving, data) {
		c.next = nil
		return nil
	}
	if c.next == nil || !sameCertificate(c.next, data) {
		cert, err := readServer(data)
		if err != nil {
			return err
		}
		c.next, c.due = cert, now.Add(handOver)
	}
	if serving == nil || config == nil || !trusted(data[caCert], serving, c.authority.DNSName, now) || !now.Before(c.due) {
		c.serving.Store(c.next)
		c.next = nil
		if serving == nil {
			close(c.ready)
		}
		c.log.Info("serving the admission webhook's certificate", "until", c.serving.Load().Leaf.NotAfter)
	}
	return nil
}

// sameCertificate reports whether cert is the one in the Secret.
func sameCertificate(cert *tls.Certificate, data map[string][]byte) bool {
	other, err := readServer(data)
	return err == nil && bytes.Equal(cert.Leaf.Raw, other.Leaf.Raw)
}

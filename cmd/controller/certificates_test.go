// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// asking asks the webhook, through the API server and without pause, whether a
// pool that overlaps may be made.
type asking struct {
	stop   context.CancelFunc
	ended  sync.WaitGroup
	mu     sync.Mutex
	denied int
	other  []error
}

func (h *hooked) ask() *asking {
	ctx, cancel := context.WithCancel(h.t.Context())
	a := &asking{stop: cancel}
	a.ended.Go(func() {
		for ctx.Err() == nil {
			err := h.Create(ctx, newPool("other", "192.0.2.128/25"), client.DryRunAll)
			a.mu.Lock()
			switch {
			case err != nil && strings.Contains(err.Error(), overlaps):
				a.denied++
			case err == nil || strings.Contains(err.Error(), "deadline exceeded"):
				// A busy machine: the webhook was asked, and is late.
			case ctx.Err() == nil:
				a.other = append(a.other, err)
			}
			a.mu.Unlock()
		}
	})
	h.t.Cleanup(func() { a.stop(); a.ended.Wait() })
	return a
}

// since returns what came of the questions since the last call.
func (a *asking) since() (denied int, other []error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	denied, other = a.denied, a.other
	a.denied, a.other = 0, nil
	return denied, other
}

// shorten writes the Secret's authority anew, with the same key, so that it ends
// within the time in which it is renewed.
func (h *hooked) shorten() {
	h.t.Helper()
	s := h.certificate()
	block, _ := pem.Decode(s.Data["ca.crt"])
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		h.t.Fatal(err)
	}
	block, _ = pem.Decode(s.Data["ca.key"])
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		h.t.Fatal(err)
	}
	cert.NotAfter = time.Now().Add(30 * 24 * time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		h.t.Fatal(err)
	}
	s.Data["ca.crt"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := h.Update(h.t.Context(), s); err != nil {
		h.t.Fatal(err)
	}
}

// changes waits until both replicas serve a certificate that none of old is, by
// the authority that the configuration trusts, and returns it.
func (h *hooked) changes(second int, what string, said func() string, old ...*x509.Certificate) *x509.Certificate {
	h.t.Helper()
	var a, b *x509.Certificate
	var err, otherErr error
	poll(h.t, what, func() string { return fmt.Sprint(err, otherErr, "\n", said()) }, func() bool {
		bundle := h.bundle()
		if a, err = presented(h.port, bundle); err != nil {
			return false
		}
		if b, otherErr = presented(second, bundle); otherErr != nil {
			return false
		}
		for _, o := range old {
			if a.Equal(o) {
				return false
			}
		}
		return a.Equal(b)
	})
	return a
}

// TestCertificatesRotate in both replicas while the webhook is asked all the time,
// and no answer may be missing: first the server's, then the authority, which ends
// soon. What somebody takes away altogether is there again, and asked at once.
func TestCertificatesRotate(t *testing.T) {
	h := newHooked(t, admissionv1.Fail)
	second := freePort(t)
	a, b := h.replica(h.port), h.replica(second)
	h.refused(said(a, b))
	first := h.changes(second, "both replicas to serve", said(a, b))
	asked := h.ask()

	before := string(h.bundle())
	s := h.certificate()
	delete(s.Data, "tls.crt")
	if err := h.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	server := h.changes(second, "a new certificate of the server", said(a, b), first)
	if string(h.bundle()) != before {
		t.Error("the authority changed with the server's certificate")
	}
	if denied, other := asked.since(); denied == 0 || len(other) > 0 {
		t.Errorf("the server's certificate: %d denials, and %d other answers: %v", denied, len(other), other)
	}

	h.shorten()
	authority := h.changes(second, "a new authority", said(a, b), first, server)
	if n := bytes.Count(h.bundle(), []byte("BEGIN CERTIFICATE")); n != 2 {
		t.Errorf("the configuration trusts %d authorities, want the new one and the one before:\n%s", n, h.bundle())
	}
	denied, other := asked.since()
	if denied == 0 || len(other) > 0 {
		t.Errorf("the authority: %d denials, and %d other answers: %v", denied, len(other), other)
	}
	t.Logf("%d denials while the authority was renewed, and nothing else", denied)

	if err := h.Delete(t.Context(), h.certificate()); err != nil {
		t.Fatal(err)
	}
	h.changes(second, "a new Secret", said(a, b), first, server, authority)
	if n := bytes.Count(h.bundle(), []byte("BEGIN CERTIFICATE")); n != 1 {
		t.Errorf("the configuration trusts %d authorities after the Secret was removed, want 1", n)
	}
	h.refused(said(a, b))
	denied, other = asked.since()
	t.Logf("the Secret removed: %d denials, %d other answers", denied, len(other))
	asked.stop()
	asked.ended.Wait()
	for line := range strings.SplitSeq(said(a, b)(), "\n") {
		if strings.Contains(line, `"level":"error"`) && strings.Contains(line, "webhook") {
			t.Errorf("a replica reports an error: %s", line)
		}
	}
}

// TestOthersApplyTheConfiguration: GitOps tools that apply it from the server's
// side, kubectl from the client's, and one who replaces it. The first see no
// conflict and change nothing; the last is put right.
func TestOthersApplyTheConfiguration(t *testing.T) {
	h := newHooked(t, admissionv1.Fail)
	p := h.replica(h.port)
	h.refused(said(p))
	bundle := h.bundle()
	config := h.applied[5]
	if config.GetKind() != "ValidatingWebhookConfiguration" {
		t.Fatal(config.GetKind())
	}
	for _, manager := range []string{"helm", "argocd-controller", "kustomize-controller"} {
		first := h.apply(config, manager)
		again := h.apply(config, manager)
		if first.GetResourceVersion() != again.GetResourceVersion() {
			t.Errorf("%s applies the same twice, and the version goes from %s to %s", manager, first.GetResourceVersion(), again.GetResourceVersion())
		}
		if !bytes.Equal(h.bundle(), bundle) {
			t.Errorf("after %s the configuration trusts %q", manager, h.bundle())
		}
	}
	h.owned()
	file := filepath.Join(t.TempDir(), "configuration.json")
	text, err := config.MarshalJSON()
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	version := h.configuration().ResourceVersion
	for range 2 {
		if out, err := h.kubectl("", "apply", "-f", file); err != nil {
			t.Fatal(err, out)
		}
		if !bytes.Equal(h.bundle(), bundle) {
			t.Errorf("after kubectl apply the configuration trusts %q", h.bundle())
		}
	}
	t.Logf("version %s before kubectl apply, %s after", version, h.configuration().ResourceVersion)
	h.mended(p, bundle, "kubectl replace", func() {
		if out, err := h.kubectl("", "replace", "-f", file); err != nil {
			t.Fatal(err, out)
		}
	})
	h.mended(p, bundle, "removing it and applying it anew", func() {
		if err := h.Delete(t.Context(), config.DeepCopy()); err != nil {
			t.Fatal(err)
		}
		h.apply(config, "helm")
	})
}

// owned fails unless the caBundle is the controller's, and nobody else's.
func (h *hooked) owned() {
	h.t.Helper()
	owners := 0
	for _, m := range h.configuration().ManagedFields {
		if strings.Contains(m.FieldsV1.GetRawString(), "caBundle") {
			owners++
			if m.Manager != certificateOwner || m.Operation != metav1.ManagedFieldsOperationApply {
				h.t.Errorf("the caBundle is owned by %s (%s)", m.Manager, m.Operation)
			}
		}
	}
	if owners != 1 {
		h.t.Errorf("the caBundle has %d owners", owners)
	}
}

// mended does something to the configuration, after which it is to be put right.
func (h *hooked) mended(p *program, bundle []byte, what string, do func()) {
	h.t.Helper()
	do()
	poll(h.t, "the caBundle after "+what, said(p), func() bool { return bytes.Equal(h.bundle(), bundle) })
	h.refused(said(p))
}

// TestOwnCertificate: with --disable-cert-rotation the files are served, also when
// they come late and when they change; and nothing is written.
func TestOwnCertificate(t *testing.T) {
	h := newHooked(t, admissionv1.Fail)
	dir := t.TempDir()
	p := h.replica(h.port, "--disable-cert-rotation", "--cert-dir="+dir)
	poll(t, "the replica to miss its files", said(p), func() bool { return strings.Contains(p.out.String(), "the admission webhook is not served") })
	h.service("a") // waits for nothing of this

	var old *x509.Certificate
	for range 2 {
		maker := &rotator.CertRotator{CAName: "own", DNSName: webhookName, ExtKeyUsages: &[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
		ca, err := maker.CreateCACert(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		cert, key, err := maker.CreateCertPEM(ca, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string][]byte{"tls.key": key, "tls.crt": cert} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		poll(t, "the file's certificate", said(p), func() bool {
			now, err := presented(h.port, ca.CertPEM)
			defer func() { old = now }()
			return err == nil && !now.Equal(old)
		})
		own := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": map[string]any{"name": webhookConfiguration},
			"webhooks": []any{map[string]any{"name": "validation.metallb.io", "clientConfig": map[string]any{
				"caBundle": base64.StdEncoding.EncodeToString(ca.CertPEM),
			}}},
		}}
		h.apply(own, "me")
		h.refused(said(p))
	}
	if err := h.Get(t.Context(), certificateKey, &corev1.Secret{}); err == nil {
		t.Error("the Secret is made")
	}
}

// TestThePortIsTaken: the rest works, and the webhook comes when it can.
func TestThePortIsTaken(t *testing.T) {
	h := newHooked(t, admissionv1.Ignore)
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", h.port))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := h.replica(h.port)
	h.service("a")
	poll(t, "the replica to miss its port", said(p), func() bool { return strings.Contains(p.out.String(), "address already in use") })
	l.Close()
	h.refused(said(p))
}

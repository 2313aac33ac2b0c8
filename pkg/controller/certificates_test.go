// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/client-go/rest"

	"metallb.io/metallb-frr/pkg/cluster"
)

// TestWhichCertificateIsServed: the one before for a moment, where it is trusted
// on; the new one at once, where the one before is not.
func TestWhichCertificateIsServed(t *testing.T) {
	now := time.Now()
	a := newAuthority(testName)
	first, _ := renewed(t, a, nil, now)
	successor, _ := renewed(t, a, first, now.Add(caLifetime-renewBefore+time.Hour))
	stranger, _ := renewed(t, a, nil, now)
	config := &admissionv1.ValidatingWebhookConfiguration{}
	for _, row := range []struct {
		name   string
		next   map[string][]byte
		config *admissionv1.ValidatingWebhookConfiguration
		after  time.Duration
		served bool // next is, then
	}{
		{"at once after a renewal", successor, config, 0, false},
		{"a moment later", successor, config, handOver - time.Millisecond, false},
		{"when the API server knows", successor, config, handOver, true},
		{"the one before is not trusted any more", stranger, config, 0, true},
		{"nobody calls", successor, nil, 0, true},
		{"nothing has changed", first, config, handOver, true},
	} {
		c := NewCertificates(nil, testName, logr.Discard())
		step := func(data map[string][]byte, config *admissionv1.ValidatingWebhookConfiguration, now time.Time) {
			if err := c.choose(data, config, now); err != nil {
				t.Fatal(err)
			}
		}
		step(first, config, now)
		select {
		case <-c.ready:
		default:
			t.Error("with a certificate it does not say so")
		}
		step(row.next, row.config, now)
		if row.after > 0 {
			step(row.next, row.config, now.Add(row.after))
		}
		cert, err := c.GetCertificate(nil)
		if err != nil || sameCertificate(cert, row.next) != row.served {
			t.Errorf("%s: the new one served %v, want %v; %v", row.name, !row.served, row.served, err)
		}
	}
}

// TestFailingStepsAreRetriedAtAPace, also while a certificate waits to be served, and
// when its time has come.
func TestFailingStepsAreRetriedAtAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// What is not watched yet cannot be read: each step fails.
		trust, err := cluster.NewTrust(&rest.Config{Host: "127.0.0.1:1"}, cluster.TrustOptions{Namespace: ownNamespace})
		if err != nil {
			t.Fatal(err)
		}
		var want, got []time.Duration
		for at, retry := time.Duration(0), firstRetry; at < 3*handOver+3*lastRetry; retry = min(2*retry, lastRetry) {
			want = append(want, at)
			at += retry
		}
		start := time.Now()
		ctx, end := context.WithCancel(t.Context())
		c := NewCertificates(trust, testName, funcr.New(func(string, string) {
			if got = append(got, time.Since(start)); len(got) == len(want) {
				end()
			}
		}, funcr.Options{}))
		data, _ := renewed(t, c.authority, nil, start)
		if c.next, err = readServer(data); err != nil {
			t.Fatal(err)
		}
		c.due = start.Add(handOver)
		c.keep(ctx)
		if !slices.Equal(got, want) {
			t.Errorf("steps at %v, want %v", got, want)
		}
	})
}

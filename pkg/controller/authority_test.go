// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"maps"
	"testing"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
)

const testName = "metallb-webhook-service.metallb-system.svc"

// renewed returns what is in the Secret after data at that time.
func renewed(t *testing.T, a *authority, data map[string][]byte, now time.Time) (out map[string][]byte, changed bool) {
	t.Helper()
	fresh, err := a.renew(data, now)
	if err != nil {
		t.Fatal(err)
	}
	out = maps.Clone(data)
	if out == nil {
		out = map[string][]byte{}
	}
	maps.Copy(out, fresh)
	server, err := readServer(out)
	if err != nil || !trusted(out[caCert], server, testName, now) {
		t.Errorf("at %v there is no certificate that is trusted: %v", now, err)
	}
	return out, fresh != nil
}

func authorities(data map[string][]byte) int {
	return bytes.Count(data[caCert], []byte("BEGIN CERTIFICATE"))
}

// TestCertificatesOverTheYears: renewed 90 days before their end, the authority
// after ten years, and the one before it is trusted until the next renewal.
func TestCertificatesOverTheYears(t *testing.T) {
	a := newAuthority(testName)
	start := time.Now()
	data, changed := renewed(t, a, nil, start)
	if !changed || authorities(data) != 1 {
		t.Fatalf("the first: changed %v, %d authorities", changed, authorities(data))
	}
	first := string(data[caCert])
	const day = 24 * time.Hour
	for _, row := range []struct {
		after       time.Duration
		renewed     bool
		authorities int
		same        bool // authority as the first
	}{
		{0, false, 1, true},
		{274 * day, false, 1, true},
		{276 * day, true, 1, true},
		{(365*10 - 91) * day, true, 1, true},
		{(365*10 - 89) * day, true, 2, false},
		{(365*10 - 88) * day, false, 2, false},
		{(365*10 + 200) * day, true, 1, false},
	} {
		before, err := readServer(data)
		if err != nil {
			t.Fatal(err)
		}
		now := start.Add(row.after)
		data, changed = renewed(t, a, data, now)
		if changed != row.renewed || authorities(data) != row.authorities || (string(data[caCert]) == first) != row.same {
			t.Errorf("after %v: changed %v, %d authorities, want %+v", row.after, changed, authorities(data), row)
		}
		// For a moment it is served on.
		if row.after == (365*10-89)*day && !trusted(data[caCert], before, testName, now) {
			t.Error("the new authority took the trust from the certificate before")
		}
	}
}

// TestBrokenSecrets are mended, and nothing of them gets to the API server that it
// does not take.
func TestBrokenSecrets(t *testing.T) {
	a, now := newAuthority(testName), time.Now()
	good, _ := renewed(t, a, nil, now)
	other, err := newAuthority("other.metallb-system.svc").renew(good, now) // the same authority
	if err != nil {
		t.Fatal(err)
	}
	alien, err := newAuthority(testName).renew(nil, now)
	if err != nil {
		t.Fatal(err)
	}
	junk := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("junk")})
	for name, row := range map[string]struct {
		change      map[string][]byte
		authorities int
	}{
		"empty":                     {map[string][]byte{caCert: nil, caKey: nil, serverCert: nil, serverKey: nil}, 1},
		"no key":                    {map[string][]byte{caKey: nil}, 2},
		"another's key":             {map[string][]byte{caKey: alien[caKey]}, 2},
		"junk":                      {map[string][]byte{caCert: []byte("junk")}, 1},
		"junk in PEM":               {map[string][]byte{caCert: junk}, 1},
		"no server":                 {map[string][]byte{serverCert: nil}, 1},
		"the server's key is not":   {map[string][]byte{serverKey: alien[serverKey]}, 1},
		"another authority's":       {map[string][]byte{serverCert: alien[serverCert], serverKey: alien[serverKey]}, 1},
		"for another name":          {map[string][]byte{serverCert: other[serverCert], serverKey: other[serverKey]}, 1},
		"the authority's as server": {map[string][]byte{serverCert: good[caCert], serverKey: good[caKey]}, 1},
	} {
		data := maps.Clone(good)
		maps.Copy(data, row.change)
		data, changed := renewed(t, a, data, now)
		if !changed || authorities(data) != row.authorities {
			t.Errorf("%s: changed %v, %d authorities, want %d", name, changed, authorities(data), row.authorities)
		}
	}
}

// TestWhatCertControllerMade is taken as it is: MetalLB's, whose place ours takes.
func TestWhatCertControllerMade(t *testing.T) {
	r := &rotator.CertRotator{CAName: "cert", CAOrganization: "metallb", DNSName: testName, ExtKeyUsages: newAuthority(testName).ExtKeyUsages}
	now := time.Now()
	ca, err := r.CreateCACert(now, now.Add(caLifetime))
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := r.CreateCertPEM(ca, now, now.Add(serverLifetime))
	if err != nil {
		t.Fatal(err)
	}
	data := map[string][]byte{caCert: ca.CertPEM, caKey: ca.KeyPEM, serverCert: cert, serverKey: key}
	if _, changed := renewed(t, newAuthority(testName), data, now); changed {
		t.Error("it is made anew")
	}
	if _, err := tls.X509KeyPair(data[serverCert], data[serverKey]); err != nil {
		t.Error(err)
	}
}

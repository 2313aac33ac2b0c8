// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
)

// Keys in the Secret with the webhook's certificate, as MetalLB has them. The
// first certificate in caCert is the authority that signs; a second one is the
// authority before it.
const (
	caCert     = "ca.crt"
	caKey      = "ca.key"
	serverCert = "tls.crt"
	serverKey  = "tls.key"
)

// How long certificates are good for, and how long before their end they are
// made anew. MetalLB's.
const (
	caLifetime     = 10 * 365 * 24 * time.Hour
	serverLifetime = 365 * 24 * time.Hour
	renewBefore    = 90 * 24 * time.Hour
)

// authority makes the webhook's certificates.
type authority struct{ rotator.CertRotator }

// newAuthority returns one for a server of that name. The authority's names are
// MetalLB's, so that while one replaces the other, neither finds the certificates
// wrong that the other made.
func newAuthority(dnsName string) *authority {
	return &authority{rotator.CertRotator{
		CAName: "cert", CAOrganization: "metallb", DNSName: dnsName,
		ExtKeyUsages: &[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}}
}

// renew returns what has to replace data in the Secret, nil: nothing. A new
// authority is put before the one it replaces, which stays trusted until the next
// renewal, since replicas serve its certificate for a moment longer.
func (a *authority) renew(data map[string][]byte, now time.Time) (map[string][]byte, error) {
	at := now.Add(renewBefore)
	begin := now.Add(-time.Hour) // for clocks that are behind
	ca, err := readAuthority(data)
	if err != nil || !valid(data[caCert], data[caCert], data[caKey], a.CAName, nil, at) {
		if ca, err = a.CreateCACert(begin, now.Add(caLifetime)); err != nil {
			return nil, fmt.Errorf("make the webhook's certificate authority: %w", err)
		}
		ca.CertPEM = append(bytes.Clone(ca.CertPEM), first(data[caCert])...)
	} else if valid(data[caCert], data[serverCert], data[serverKey], a.DNSName, a.ExtKeyUsages, at) {
		return nil, nil
	} else {
		ca.CertPEM = first(data[caCert])
	}
	cert, key, err := a.CreateCertPEM(ca, begin, now.Add(serverLifetime))
	if err != nil {
		return nil, fmt.Errorf("make the webhook's certificate: %w", err)
	}
	return map[string][]byte{caCert: ca.CertPEM, caKey: ca.KeyPEM, serverCert: cert, serverKey: key}, nil
}

func valid(ca, cert, key []byte, name string, usages *[]x509.ExtKeyUsage, at time.Time) bool {
	ok, err := rotator.ValidCert(ca, cert, key, name, usages, at)
	return ok && err == nil
}

// readAuthority returns the one in the Secret that signs.
func readAuthority(data map[string][]byte) (*rotator.KeyPairArtifacts, error) {
	cert, _ := pem.Decode(data[caCert])
	key, _ := pem.Decode(data[caKey])
	if cert == nil || key == nil {
		return nil, errors.New("read the webhook's certificate authority: no PEM")
	}
	ca := &rotator.KeyPairArtifacts{CertPEM: data[caCert], KeyPEM: data[caKey]}
	var err error
	if ca.Cert, err = x509.ParseCertificate(cert.Bytes); err != nil {
		return nil, fmt.Errorf("read the webhook's certificate authority: %w", err)
	}
	if ca.Key, err = x509.ParsePKCS1PrivateKey(key.Bytes); err != nil {
		return nil, fmt.Errorf("read the key of the webhook's certificate authority: %w", err)
	}
	return ca, nil
}

// first returns the first certificate in text, nil where there is none.
func first(text []byte) []byte {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return nil // the API server takes no caBundle with it
	}
	return pem.EncodeToMemory(block)
}

// readServer returns the certificate in the Secret that is served.
func readServer(data map[string][]byte) (*tls.Certificate, error) {
	cert, err := tls.X509KeyPair(data[serverCert], data[serverKey])
	if err != nil {
		return nil, fmt.Errorf("read the webhook's certificate: %w", err)
	}
	return &cert, nil
}

// trusted reports whether a client that trusts bundle takes cert for name.
func trusted(bundle []byte, cert *tls.Certificate, name string, now time.Time) bool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	_, err := cert.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now})
	return err == nil
}

// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificate is what the API server shows to its clients and they to it: a
// self-signed certificate of 127.0.0.1, whose key signs service account tokens
// too, and the administrator's token.
type certificate struct {
	certPEM                      []byte
	token                        string
	certFile, keyFile, tokenFile string
}

func newCertificate(dir string) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "kube-apiserver of a test"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:                  true,
		BasicConstraintsValid: true,
		IPAddresses:           []net.IP{{127, 0, 0, 1}}, // what crypto/x509 takes
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	c := &certificate{
		certPEM:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		token:     rand.Text(),
		certFile:  filepath.Join(dir, "server.crt"),
		keyFile:   filepath.Join(dir, "server.key"),
		tokenFile: filepath.Join(dir, "tokens.csv"),
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	users := []byte(c.token + ",admin,admin,system:masters\n")
	for _, file := range []struct {
		path string
		data []byte
	}{{c.certFile, c.certPEM}, {c.keyFile, keyPEM}, {c.tokenFile, users}} {
		if err := os.WriteFile(file.path, file.data, 0o600); err != nil {
			return nil, err
		}
	}
	return c, nil
}

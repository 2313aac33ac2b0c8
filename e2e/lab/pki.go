// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A pki makes the cluster's keys and certificates below dir.
type pki struct {
	dir    string
	key    *ecdsa.PrivateKey
	ca     *x509.Certificate
	caPEM  []byte
	serial int64
}

func newPKI(dir string) (*pki, error) {
	p := &pki{dir: dir, serial: 1}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := p.newKey("ca")
	if err != nil {
		return nil, err
	}
	p.key = key
	p.ca = &x509.Certificate{
		SerialNumber: big.NewInt(p.serial), Subject: pkix.Name{CommonName: "lab-ca"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, p.ca, p.ca, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate authority: %w", err)
	}
	p.caPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return p, os.WriteFile(p.path("ca.crt"), p.caPEM, 0o600)
}

func (p *pki) path(name string) string { return filepath.Join(p.dir, name) }

// newKey makes a key and writes it to NAME.key.
func (p *pki) newKey(name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making key %s: %w", name, err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("making key %s: %w", name, err)
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	return key, os.WriteFile(p.path(name+".key"), b, 0o600)
}

// issue makes NAME.key and NAME.crt, for a server where there are names or
// addresses and for a client otherwise.
func (p *pki) issue(name string, subject pkix.Name, names ...string) error {
	key, err := p.newKey(name)
	if err != nil {
		return err
	}
	p.serial++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(p.serial), Subject: subject, NotBefore: p.ca.NotBefore, NotAfter: p.ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, n := range names {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, c, p.ca, key.Public(), p.key)
	if err != nil {
		return fmt.Errorf("making certificate %s: %w", name, err)
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return os.WriteFile(p.path(name+".crt"), b, 0o600)
}

// serviceAccountKeys makes sa.key and sa.pub.
func (p *pki) serviceAccountKeys() error {
	key, err := p.newKey("sa")
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("making the service account key: %w", err)
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return os.WriteFile(p.path("sa.pub"), b, 0o600)
}

// kubeconfig returns a client configuration with a token.
func (p *pki) kubeconfig(server, token string) []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: "%s", certificate-authority-data: %s}}]
users: [{name: lab, user: {token: %s}}]
contexts: [{name: lab, context: {cluster: lab, user: lab}}]
current-context: lab
`, server, base64.StdEncoding.EncodeToString(p.caPEM), token)
}

// makePKI makes all keys, certificates, tokens and client configurations.
func (l *Lab) makePKI() error {
	p, err := newPKI(l.pkiDir())
	if err != nil {
		return err
	}
	cp4, cp6 := host(LAN4, cpHost), host(LAN6, cpHost)
	err = errors.Join(
		p.serviceAccountKeys(),
		p.issue("apiserver", pkix.Name{CommonName: "kube-apiserver"}, "127.0.0.1", "::1", cp4.String(), cp6.String(),
			"10.96.0.1", "fd00:96::1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc.cluster.local"),
		p.issue("kubelet-client", pkix.Name{CommonName: "apiserver-kubelet-client", Organization: []string{"system:masters"}}),
		p.issue("proxy-client", pkix.Name{CommonName: "front-proxy-client"}),
	)
	if err != nil {
		return err
	}
	type user struct{ file, name, group string }
	users := []user{
		{"admin", "admin", "system:masters"}, {"kcm", "system:kube-controller-manager", ""},
		{"scheduler", "system:kube-scheduler", ""}, {"proxy", "system:kube-proxy", ""},
	}
	for i := range l.Spec.Nodes {
		users = append(users, user{nodeName(i), "system:node:" + nodeName(i), "system:nodes"})
	}
	var tokens bytes.Buffer
	for _, u := range users {
		token := strings.ToLower(rand.Text())
		group := ""
		if u.group != "" {
			group = `,"` + u.group + `"`
		}
		fmt.Fprintf(&tokens, "%s,%s,%s%s\n", token, u.name, u.name, group)
		file, server := p.path(u.file+".kubeconfig"), apiServerURL
		if u.file == "admin" {
			file, server, l.token, l.ca = l.Kubeconfig, "https://127.0.0.1:"+l.port, token, p.caPEM
		}
		if err := os.WriteFile(file, p.kubeconfig(server, token), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(p.path("tokens.csv"), tokens.Bytes(), 0o600)
}

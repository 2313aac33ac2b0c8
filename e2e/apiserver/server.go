// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"metallb.io/metallb-frr/e2e/need"
)

// readyLimit is how long etcd and kube-apiserver may take to be ready, and
// attempts how often they are started: another process may take a port between
// its choice and its use.
const (
	readyLimit = 60 * time.Second
	attempts   = 3
)

// errEnded: a process ended before it was ready.
var errEnded = errors.New("ended before it was ready")

// Start starts etcd and kube-apiserver and returns how to reach the latter as
// its administrator. It returns when the API server is ready.
func Start(t testing.TB) *rest.Config {
	t.Helper()
	programs := Programs(t)
	dir := stateDir(t)
	cert, err := newCertificate(dir)
	if err != nil {
		t.Fatalf("making the API server's certificate: %v", err)
	}
	for attempt := 1; ; attempt++ {
		config, err := start(t, programs, dir, cert)
		if err == nil {
			return config
		}
		if attempt == attempts || !errors.Is(err, errEnded) {
			t.Fatal(err)
		}
	}
}

// Programs returns the folder with the Kubernetes programs (etcd,
// kube-apiserver, kubectl), or skips the test where they are not built.
func Programs(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, statErr := os.Stat(filepath.Join(dir, "go.mod")); statErr == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			err = errors.New("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	if err != nil {
		t.Fatalf("looking for the module's root: %v", err)
	}
	dir = filepath.Join(dir, "out", "kube")
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			need.Skip(t, fmt.Sprintf("the Kubernetes programs are not built (hack/kube does): %v", err))
		}
	}
	return dir
}

func start(t testing.TB, programs, dir string, cert *certificate) (*rest.Config, error) {
	t.Helper()
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	etcdURL := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	data, err := os.MkdirTemp(dir, "etcd")
	if err != nil {
		return nil, fmt.Errorf("making etcd's data folder: %w", err)
	}
	etcd, err := launch(t, dir, filepath.Join(programs, "etcd"),
		"--data-dir="+data, "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+etcdURL, "--advertise-client-urls="+etcdURL,
		"--listen-peer-urls=http://127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if err := etcd.ready(t.Context(), http.DefaultClient, etcdURL+"/readyz"); err != nil {
		return nil, err
	}

	api, err := launch(t, dir, filepath.Join(programs, "kube-apiserver"),
		"--etcd-servers="+etcdURL,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[1]),
		"--endpoint-reconciler-type=none", "--advertise-address=127.0.0.1", // else it looks for a default route
		"--tls-cert-file="+cert.certFile, "--tls-private-key-file="+cert.keyFile,
		"--token-auth-file="+cert.tokenFile, "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+cert.keyFile,
		"--service-account-signing-key-file="+cert.keyFile,
		"--disable-admission-plugins=ServiceAccount",
		"--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112")
	if err != nil {
		return nil, err
	}
	config := &rest.Config{
		Host:            fmt.Sprintf("https://127.0.0.1:%d", ports[1]),
		BearerToken:     cert.token,
		TLSClientConfig: rest.TLSClientConfig{CAData: cert.certPEM},
		QPS:             -1, // no limit on the client's side
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("making a client of the API server: %w", err)
	}
	return config, api.ready(t.Context(), client, config.Host+"/readyz")
}

// ready returns when url answers 200.
func (p *process) ready(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("asking %s: %w", p.name, err)
		}
		response, err := client.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(response.Status)
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s %w; it said:\n%s", p.name, errEnded, p.said())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %v: %w; it said:\n%s", p.name, readyLimit, err, p.said())
		case <-tick.C:
		}
	}
}

// freePorts returns n TCP ports of 127.0.0.1 that nobody listens on now.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// Kubeconfig writes config to a file for kubectl and returns its path.
func Kubeconfig(t testing.TB, config *rest.Config) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	const name = "test"
	err := clientcmd.WriteToFile(clientcmdapi.Config{
		CurrentContext: name,
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {Token: config.BearerToken}},
		Clusters: map[string]*clientcmdapi.Cluster{
			name: {Server: config.Host, CertificateAuthorityData: config.CAData},
		},
	}, file)
	if err != nil {
		t.Fatalf("writing a kubeconfig: %v", err)
	}
	return file
}

// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
)

// apiServerAddr is where the API server listens on the nodes' network.
var (
	apiServerAddr = fmt.Sprintf("%s:6443", host(LAN4, cpHost))
	apiServerURL  = "https://" + apiServerAddr
)

func (l *Lab) pkiDir() string         { return filepath.Join(l.Spec.Dir, "pki") }
func (l *Lab) bin(name string) string { return filepath.Join(l.Spec.Bin, name) }

// startControlPlane starts etcd, the API server, the controller manager and
// the scheduler, and waits until Pods can be made.
func (l *Lab) startControlPlane(ctx context.Context) error {
	if err := l.makePKI(); err != nil {
		return err
	}
	etcd := filepath.Join(l.Spec.Dir, cpName, "etcd")
	err := l.startCP("etcd", "--data-dir="+etcd, "--unsafe-no-fsync",
		"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380")
	if err == nil {
		err = l.startCP("kube-apiserver", l.apiServerFlags()...)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("not ready after 2 minutes; its log is in "+filepath.Join(l.Spec.Dir, cpName)))
	defer cancel()
	if err := poll(ctx, "the API server", 50*time.Millisecond, func() error { return l.get(ctx, "/readyz", nil) }); err != nil {
		return err
	}
	client := func(user string) []string {
		return []string{"--kubeconfig=" + filepath.Join(l.pkiDir(), user+".kubeconfig"),
			"--leader-elect=false", "--bind-address=127.0.0.1", "--kube-api-qps=1000", "--kube-api-burst=2000"}
	}
	err = errors.Join(
		l.startCP("kube-controller-manager", append(client("kcm"),
			"--service-account-private-key-file="+filepath.Join(l.pkiDir(), "sa.key"),
			"--root-ca-file="+filepath.Join(l.pkiDir(), "ca.crt"), "--use-service-account-credentials",
			"--cluster-cidr="+podCIDRs, "--allocate-node-cidrs=false", "--service-cluster-ip-range="+serviceCIDRs,
			"--node-monitor-period=1s", "--node-monitor-grace-period="+l.Spec.NodeGrace.String())...),
		l.startCP("kube-scheduler", client("scheduler")...),
	)
	if err != nil {
		return err
	}
	return poll(ctx, "the default service account", 50*time.Millisecond, func() error {
		return l.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
	})
}

func (l *Lab) apiServerFlags() []string {
	f := func(name string) string { return filepath.Join(l.pkiDir(), name) }
	return []string{
		"--etcd-servers=http://127.0.0.1:2379", "--bind-address=0.0.0.0", "--advertise-address=" + host(LAN4, cpHost).String(),
		"--tls-cert-file=" + f("apiserver.crt"), "--tls-private-key-file=" + f("apiserver.key"),
		"--client-ca-file=" + f("ca.crt"), "--token-auth-file=" + f("tokens.csv"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + f("sa.pub"), "--service-account-signing-key-file=" + f("sa.key"),
		"--service-cluster-ip-range=" + serviceCIDRs, "--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		"--kubelet-client-certificate=" + f("kubelet-client.crt"), "--kubelet-client-key=" + f("kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + f("ca.crt"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + f("proxy-client.crt"), "--proxy-client-key-file=" + f("proxy-client.key"),
		// Webhooks are reached by pod address: there is no kube-proxy here.
		"--enable-aggregator-routing=true", "--profiling=false",
		"--max-requests-inflight=1000", "--max-mutating-requests-inflight=500",
	}
}

// startCP starts one of the control plane's programs in its namespace.
func (l *Lab) startCP(name string, args ...string) error {
	return l.daemon(netNS{cpName}, name, exec.Command(l.bin(name), args...), filepath.Join(l.Spec.Dir, cpName, name+".log"))
}

// daemon starts cmd in a network namespace, with its output in a log file, and
// records it as a member called name. It outlives this program, not the lab.
func (l *Lab) daemon(ns netNS, name string, cmd *exec.Cmd, logFile string) error {
	if err := os.MkdirAll(filepath.Dir(logFile), 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, log, log
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	if err := ns.start(cmd); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	go cmd.Wait() // reaps it; its log says why it ended
	return recordPid(name, cmd.Process.Pid)
}

// RESTConfig returns a client configuration with the administrator's rights
// and no limit on the rate of requests.
func (l *Lab) RESTConfig() *rest.Config {
	return &rest.Config{
		Host: "https://127.0.0.1:" + l.port, BearerToken: l.token, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: l.ca},
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialIn(ctx, netNS{cpName}, network, apiServerAddr)
		},
	}
}

// get asks the API server for a path and decodes the answer into out, unless
// that is nil.
func (l *Lab) get(ctx context.Context, path string, out any) error {
	client, err := rest.HTTPClientFor(l.RESTConfig())
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.RESTConfig().Host+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %.300s", path, resp.Status, body)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(body, out)
}

// Kubectl runs kubectl with the administrator's rights and returns its standard
// output. The error holds what it wrote to standard error.
func (l *Lab) Kubectl(ctx context.Context, args ...string) (string, error) {
	return l.KubectlInput(ctx, "", args...)
}

// KubectlInput is like Kubectl, with input as standard input, for "apply -f -".
func (l *Lab) KubectlInput(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, l.bin("kubectl"), args...)
	cmd.Env = l.Env()
	cmd.Stdin = strings.NewReader(input)
	return output(cmd)
}

// Helm runs helm with the administrator's rights and returns its output. It
// keeps its files below the lab's directory.
func (l *Lab) Helm(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, l.bin("helm"), args...)
	cmd.Env = l.Env()
	return output(cmd)
}

// Env is an environment in which kubectl and helm are found and use the lab.
func (l *Lab) Env() []string {
	h := filepath.Join(l.Spec.Dir, "helm")
	return append(os.Environ(), "KUBECONFIG="+l.Kubeconfig, "PATH="+l.Spec.Bin+":"+os.Getenv("PATH"),
		"HELM_CACHE_HOME="+h+"/cache", "HELM_CONFIG_HOME="+h+"/config", "HELM_DATA_HOME="+h+"/data")
}

// output runs cmd and returns its standard output; its error holds what the
// command was and what it wrote to standard error.
func output(cmd *exec.Cmd) (string, error) {
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(errOut.String()))
	}
	return out.String(), nil
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/e2e/apiserver"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
)

// asProgram makes the test binary be the program itself.
const asProgram = "METALLB_TEST_AS_CONTROLLER"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(apiserver.Main(m))
}

const limit = 60 * time.Second

// program is a running controller.
type program struct {
	t               *testing.T
	cmd             *exec.Cmd
	out             *lockedBuffer
	metrics, health int
	ended           chan struct{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// start runs a controller, without admission webhook unless args say otherwise, and
// waits until it is ready.
func start(t *testing.T, kubeconfig string, args ...string) *program {
	t.Helper()
	p := &program{t: t, out: &lockedBuffer{}, metrics: freePort(t), health: freePort(t), ended: make(chan struct{})}
	p.cmd = exec.Command(os.Args[0], "--namespace=metallb-system", "--log-level=debug", "--kubeconfig="+kubeconfig,
		fmt.Sprintf("--port=%d", p.metrics), fmt.Sprintf("--health-probe-port=%d", p.health), "--webhook-mode=disabled")
	p.cmd.Args = append(p.cmd.Args, args...)
	p.cmd.Env = append(os.Environ(), asProgram+"=1")
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() { p.signal(syscall.SIGKILL) })
	p.await("health", func() bool {
		status, _ := p.get(fmt.Sprintf("http://127.0.0.1:%d/readyz", p.health), "")
		return status == http.StatusOK
	})
	return p
}

// signal ends the program and waits until it has ended.
func (p *program) signal(s os.Signal) {
	_ = p.cmd.Process.Signal(s)
	select {
	case <-p.ended:
	case <-time.After(limit):
		p.t.Errorf("the controller does not end on %v:\n%s", s, p.out)
	}
}

func (p *program) get(url, token string) (int, string) {
	c := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(body)
}

// await polls what cannot be watched.
func (p *program) await(what string, ok func() bool) {
	p.t.Helper()
	poll(p.t, what, func() string { return p.out.String() }, ok)
}

func poll(t *testing.T, what string, more func() string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(limit)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited %v for %s:\n%s", limit, what, more())
		}
	}
}

// env is an API server with a pool.
type env struct {
	t *testing.T
	client.Client
	config            *rest.Config
	token, kubeconfig string
}

func newEnv(t *testing.T) *env {
	t.Helper()
	return envOn(t, apiserver.Shared(t))
}

func envOn(t *testing.T, config *rest.Config) *env {
	t.Helper()
	scheme := cluster.Scheme()
	for _, add := range []func(*runtime.Scheme) error{coordinationv1.AddToScheme, authenticationv1.AddToScheme, admissionv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	e := &env{t, c, config, config.BearerToken, apiserver.Kubeconfig(t, config)}
	e.create(&v1beta1.IPAddressPool{
		ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-system", Name: "main"},
		Spec:       v1beta1.IPAddressPoolSpec{Addresses: []string{"192.0.2.0/24"}},
	})
	return e
}

func (e *env) create(o client.Object) {
	e.t.Helper()
	if err := e.Create(e.t.Context(), o); err != nil {
		e.t.Fatal(err)
	}
}

// service makes a Service and returns the address it gets.
func (e *env) service(name string) string {
	e.t.Helper()
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	s.Spec.Type = corev1.ServiceTypeLoadBalancer
	s.Spec.Ports = []corev1.ServicePort{{Port: 80}}
	e.create(s)
	poll(e.t, "an address for "+name, func() string { return fmt.Sprintf("%+v", s.Status) }, func() bool {
		if err := e.Get(e.t.Context(), client.ObjectKeyFromObject(s), s); err != nil {
			e.t.Fatal(err)
		}
		return len(s.Status.LoadBalancer.Ingress) > 0
	})
	return s.Status.LoadBalancer.Ingress[0].IP
}

// holder returns who holds the Lease, and waits until somebody does.
func (e *env) holder(not string) string {
	e.t.Helper()
	lease := &coordinationv1.Lease{}
	poll(e.t, "a leader that is not "+not, func() string { return fmt.Sprintf("%+v", lease.Spec) }, func() bool {
		err := e.Get(e.t.Context(), client.ObjectKey{Namespace: "metallb-system", Name: name}, lease)
		return err == nil && lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "" && *lease.Spec.HolderIdentity != not
	})
	return *lease.Spec.HolderIdentity
}

func (p *program) leads() bool {
	return strings.Contains(p.out.String(), "Successfully acquired lease")
}

func TestTwoReplicasOneLeader(t *testing.T) {
	e := newEnv(t)
	first := start(t, e.kubeconfig)
	before := e.holder("")
	second := start(t, e.kubeconfig)
	if a := e.service("a"); a != "192.0.2.0" {
		t.Errorf("first service has %s", a)
	}
	if second.leads() || !first.leads() {
		t.Fatalf("the first replica is to lead, and it alone; it said:\n%s\nthe second:\n%s", first.out, second.out)
	}

	// An orderly end hands over without waiting for the lease to run out.
	from := time.Now()
	first.signal(syscall.SIGTERM)
	e.holder(before)
	if b := e.service("b"); b != "192.0.2.1" {
		t.Errorf("second service has %s; the new leader is to know what the old one gave", b)
	}
	t.Logf("address from the new leader %v after the end of the old one", time.Since(from).Round(time.Millisecond))
	if code := first.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d after SIGTERM:\n%s", code, first.out)
	}
	if !second.leads() {
		t.Error("the second replica does not lead")
	}
}

func TestMetricsNeedAToken(t *testing.T) {
	e := newEnv(t)
	p := start(t, e.kubeconfig)
	e.service("a")
	p.serving()
	url := fmt.Sprintf("https://127.0.0.1:%d/metrics", p.metrics)
	if status, body := p.get(url, ""); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d %s", status, body)
	}
	if status, body := p.get(url, "wrong"); status != http.StatusUnauthorized {
		t.Errorf("with a wrong token: %d %s", status, body)
	}
	if status, body := p.get(url, e.unprivileged()); status != http.StatusForbidden {
		t.Errorf("with a token that may not: %d %s", status, body)
	}
	status, body := p.get(url, e.token)
	if status != http.StatusOK {
		t.Fatalf("with a token: %d %s", status, body)
	}
	for _, want := range []string{
		`metallb_allocator_addresses_total{pool="main"} 256`, `metallb_allocator_addresses_in_use_total{pool="main"} 1`,
		`metallb_k8s_client_config_loaded_bool 1`, `metallb_k8s_client_config_stale_bool 0`, `metallb_build_info{`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	for line := range strings.SplitSeq(strings.TrimSpace(p.out.String()), "\n") {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("a log line is not JSON: %s", line)
		}
	}
}

// unprivileged returns the token of a service account without rights.
func (e *env) unprivileged() string {
	e.t.Helper()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "nobody"}}
	e.create(sa)
	request := &authenticationv1.TokenRequest{}
	if err := e.SubResource("token").Create(e.t.Context(), sa, request); err != nil {
		e.t.Fatal(err)
	}
	return request.Status.Token
}

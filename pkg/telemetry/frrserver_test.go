// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"

	"metallb.io/metallb-frr/e2e/apiserver"
	"metallb.io/metallb-frr/pkg/frr"
)

func TestFRRServer(t *testing.T) {
	cfg := apiserver.Start(t)
	hc, err := rest.HTTPClientFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	if _, err := NewFRR(registry, func(context.Context) (*frr.State, error) {
		return &frr.State{Sessions: []frr.SessionState{{Neighbor: "192.0.2.2", Port: 179, State: "Established"}}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	var dead atomic.Bool
	alive := func(context.Context) error {
		if dead.Load() {
			return errors.New("FRR's bfdd is not running")
		}
		return nil
	}
	s, err := (&Flags{MinVersion: "VersionTLS13"}).NewFRRServer(9121, cfg, hc, registry, alive, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx, l) }()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	get := func(path, token string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+l.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	for _, c := range []struct {
		path, token string
		status      int
		body        string
	}{
		{"/metrics", "", http.StatusUnauthorized, ""},
		{"/metrics", "bad", http.StatusUnauthorized, ""},
		{"/metrics", cfg.BearerToken, http.StatusOK, `metallb_bgp_session_up{peer="192.0.2.2:179",vrf="default"} 1`},
		{"/livez", "", http.StatusOK, "ok"},
		{"/other", cfg.BearerToken, http.StatusNotFound, ""},
	} {
		if status, body := get(c.path, c.token); status != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%s with token %.3q: %d %s, want %d with %s", c.path, c.token, status, body, c.status, c.body)
		}
	}
	dead.Store(true)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		// An answer is good for a second.
		if status, body := get("/livez", ""); status == http.StatusServiceUnavailable && strings.Contains(body, "bfdd") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("/livez goes on saying that all is well")
		}
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("at its end: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the server goes on after its context ended")
	}
}

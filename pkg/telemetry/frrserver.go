// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// FRRServer serves over HTTPS, on a port of its own as MetalLB's frr-metrics
// does, /metrics to whom the API server lets in, and /livez to everybody. Start
// runs it.
type FRRServer struct {
	addr string
	tls  *tls.Config
	mux  *http.ServeMux
	cert *certwatcher.CertWatcher // nil: self-signed
	log  logr.Logger
}

// NewFRRServer makes the server of a TCP port. metrics is what /metrics shows;
// /livez says 200 where alive returns nil, else 503 with the error. Certificate,
// TLS settings and the question who may see /metrics are those of the server that
// Apply sets; hc talks to the API server of cfg.
func (f *Flags) NewFRRServer(port int, cfg *rest.Config, hc *http.Client, metrics prometheus.Gatherer, alive func(context.Context) error, log logr.Logger) (*FRRServer, error) {
	set, err := f.TLS()
	if err != nil {
		return nil, err
	}
	s := &FRRServer{addr: bind("", port), tls: &tls.Config{NextProtos: []string{"http/1.1"}}, mux: http.NewServeMux(), log: log}
	set(s.tls)
	if err := s.certificate(f.CertDir); err != nil {
		return nil, err
	}
	filter, err := newGate(cfg, hc)
	if err != nil {
		return nil, err
	}
	guarded, err := filter(log, promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	if err != nil {
		return nil, err
	}
	s.mux.Handle("/metrics", guarded)
	s.mux.Handle("/livez", livez(alive))
	return s, nil
}

func (s *FRRServer) certificate(dir string) error {
	if dir != "" {
		crt, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
		if _, err := os.Stat(crt); err == nil {
			if s.cert, err = certwatcher.New(crt, key); err != nil {
				return fmt.Errorf("reading the certificate of FRR's metrics: %w", err)
			}
			s.tls.GetCertificate = s.cert.GetCertificate
			return nil
		}
	}
	crt, key, err := certutil.GenerateSelfSignedCertKeyWithFixtures("localhost", []net.IP{{127, 0, 0, 1}}, nil, "")
	if err != nil {
		return fmt.Errorf("making a certificate for FRR's metrics: %w", err)
	}
	pair, err := tls.X509KeyPair(crt, key)
	if err != nil {
		return fmt.Errorf("making a certificate for FRR's metrics: %w", err)
	}
	s.tls.Certificates = []tls.Certificate{pair}
	return nil
}

// livez asks at most once a second, whoever calls.
func livez(alive func(context.Context) error) http.Handler {
	ask := newOnce(func(ctx context.Context) (struct{}, error) { return struct{}{}, alive(ctx) })
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := ask.get(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (s *FRRServer) NeedLeaderElection() bool { return false }

// Start serves until ctx ends.
func (s *FRRServer) Start(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("serving FRR's metrics: %w", err)
	}
	return s.serve(ctx, l)
}

func (s *FRRServer) serve(ctx context.Context, l net.Listener) error {
	if s.cert != nil {
		go func() {
			if err := s.cert.Start(ctx); err != nil {
				s.log.Error(err, "certificate of FRR's metrics is not watched")
			}
		}()
	}
	srv := &http.Server{Handler: s.mux, TLSConfig: s.tls, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 90 * time.Second}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(tls.NewListener(l, s.tls)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving FRR's metrics on %s: %w", l.Addr(), err)
	}
	return nil
}

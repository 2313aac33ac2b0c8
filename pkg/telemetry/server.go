// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"strconv"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// Flags are the command-line flags that both programs share.
type Flags struct {
	LogLevel    string // one of LogLevels; default info
	MetricsPort int    // TCP port of /metrics over HTTPS; 0: off
	HealthPort  int    // TCP port of /healthz and /readyz over HTTP; 0: off
	PprofAddr   string // host:port of pprof; empty: off
	CertDir     string // tls.crt and tls.key of /metrics; empty: self-signed
	MinVersion  string // VersionTLS12 or VersionTLS13
	Ciphers     string // comma-separated Go names; only with TLS 1.2
	Curves      string // comma-separated numbers of RFC 8446 section 4.2.7
}

// Register declares the flags on fs, with MetalLB's names and defaults.
func (f *Flags) Register(fs *flag.FlagSet) {
	fs.StringVar(&f.LogLevel, "log-level", "info", "which lines are logged: "+LogLevels)
	fs.IntVar(&f.MetricsPort, "port", 9120, "TCP port of the HTTPS `metrics` server; 0 turns it off")
	fs.IntVar(&f.HealthPort, "health-probe-port", 17472, "TCP port of the HTTP server of /healthz and /readyz; 0 turns it off")
	fs.StringVar(&f.PprofAddr, "pprof-bind-address", "", "host:port that serves Go profiles; empty turns it off")
	fs.StringVar(&f.CertDir, "metrics-cert-dir", "", "directory with tls.crt and tls.key of the metrics server; empty: a self-signed certificate")
	fs.StringVar(&f.MinVersion, "tls-min-version", "VersionTLS13", "lowest TLS version that is served: VersionTLS12 or VersionTLS13")
	fs.StringVar(&f.Ciphers, "tls-cipher-suites", "", "TLS 1.2 cipher suites, comma-separated Go names; empty: Go's choice")
	fs.StringVar(&f.Curves, "tls-curve-preferences", "", "key exchange groups, comma-separated numbers such as 29 (X25519); empty: Go's choice")
}

// Apply sets in o what the flags say about its servers. host is what the health
// server binds to; empty: all addresses. The metrics server asks the API server
// who the caller is (TokenReview) and whether it may GET /metrics
// (SubjectAccessReview).
func (f *Flags) Apply(o *manager.Options, host string) error {
	set, err := f.TLS()
	if err != nil {
		return err
	}
	o.PprofBindAddress = f.PprofAddr
	o.HealthProbeBindAddress = bind(host, f.HealthPort)
	o.Metrics = metricsserver.Options{
		BindAddress:    bind("", f.MetricsPort),
		SecureServing:  true,
		CertDir:        f.CertDir,
		FilterProvider: newGate,
		TLSOpts:        []func(*tls.Config){set},
	}
	return nil
}

// bind returns the address to listen on; "0" means off to controller-runtime.
func bind(host string, port int) string {
	if port == 0 {
		return "0"
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// AddProbes adds /healthz and /readyz: both say that the program runs, not that
// it is configured.
func AddProbes(m manager.Manager) error {
	if err := m.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("add health probe: %w", err)
	}
	if err := m.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("add readiness probe: %w", err)
	}
	return nil
}

// TLS returns what the TLS flags change in a server's settings.
func (f *Flags) TLS() (func(*tls.Config), error) {
	var version uint16
	switch f.MinVersion {
	case "VersionTLS12":
		version = tls.VersionTLS12
	case "VersionTLS13":
		version = tls.VersionTLS13
	default:
		return nil, fmt.Errorf("--tls-min-version: %q: not served; want VersionTLS12 or VersionTLS13", f.MinVersion)
	}
	ciphers, err := parseCiphers(f.Ciphers)
	if err != nil {
		return nil, err
	}
	if version == tls.VersionTLS13 && len(ciphers) > 0 {
		return nil, errors.New("--tls-cipher-suites: cannot be chosen with TLS 1.3; remove it or set --tls-min-version=VersionTLS12")
	}
	curves, err := parseCurves(f.Curves)
	if err != nil {
		return nil, err
	}
	return func(c *tls.Config) {
		c.MinVersion, c.CipherSuites, c.CurvePreferences = version, ciphers, curves
	}, nil
}

func parseCiphers(text string) ([]uint16, error) {
	if text == "" {
		return nil, nil
	}
	known := map[string]uint16{}
	for _, s := range tls.CipherSuites() {
		known[s.Name] = s.ID
	}
	var ids []uint16
	for name := range strings.SplitSeq(text, ",") {
		id, ok := known[strings.TrimSpace(name)]
		if !ok {
			return nil, fmt.Errorf("--tls-cipher-suites: %q: not a secure suite that Go knows; want a name such as TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", name)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func parseCurves(text string) ([]tls.CurveID, error) {
	if text == "" {
		return nil, nil
	}
	var ids []tls.CurveID
	seen := map[uint64]bool{}
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(field), 10, 16)
		if err != nil || n == 0 || seen[n] {
			return nil, fmt.Errorf("--tls-curve-preferences: %q: want distinct numbers from 1 to 65535 such as 29 (X25519) or 23 (P-256)", field)
		}
		seen[n] = true
		ids = append(ids, tls.CurveID(n))
	}
	return ids, nil
}

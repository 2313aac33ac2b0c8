// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/bmp"
	"metallb.io/metallb-frr/pkg/frr/vtysh"
	"metallb.io/metallb-frr/pkg/speaker"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// manager runs the servers: metrics, and probes on loopback, since the Pod is on
// the host's network.
func (o *options) manager(cfg *rest.Config) (manager.Manager, error) {
	mo := manager.Options{Scheme: cluster.Scheme()}
	if err := o.Apply(&mo, "127.0.0.1"); err != nil {
		return nil, err
	}
	m, err := ctrl.NewManager(cfg, mo)
	if err != nil {
		return nil, err
	}
	return m, telemetry.AddProbes(m)
}

func (o *options) speaker(c *cluster.Cluster, driver, questions *vtysh.Driver, listener *bmp.Listener, layer2 *speaker.Layer2, log logr.Logger) (*speaker.Speaker, error) {
	mode, err := speaker.ParseServiceStatus(o.serviceStatus)
	if err != nil {
		return nil, fmt.Errorf("--service-bgp-status: %w", err)
	}
	gauges, err := telemetry.NewSpeaker(metrics.Registry)
	if err != nil {
		return nil, err
	}
	passes, err := telemetry.NewClient(metrics.Registry)
	if err != nil {
		return nil, err
	}
	at := listener.Addr()
	templates, findings := templatesFrom(o.templates, log)
	return speaker.New(speaker.Options{
		Node: o.node, Cluster: c, FRR: driver, Questions: questions, BMP: listener, Log: log, Metrics: gauges, Passes: passes,
		Document:      frr.Options{Templates: templates, LogLevel: o.frrLog, BMPHost: at.Addr().String(), BMPPort: at.Port()},
		DrainWait:     o.drain.wait,
		Owner:         speaker.Owner{Name: o.pod, UID: o.podUID},
		ServiceStatus: mode,
		Findings:      findings,
		Layer2:        layer2,
	}), nil
}

// serveFRR serves FRR's metrics, where there is a port for them.
func (o *options) serveFRR(m manager.Manager, s *speaker.Speaker, log logr.Logger) error {
	if o.frrMetrics == 0 {
		return nil
	}
	registry := prometheus.NewRegistry()
	if _, err := telemetry.NewFRR(registry, s.State); err != nil {
		return err
	}
	server, err := o.NewFRRServer(o.frrMetrics, m.GetConfig(), m.GetHTTPClient(), registry, s.Alive, log)
	if err != nil {
		return err
	}
	return m.Add(server)
}

// namespace is the Pod's, which the kubelet writes down; METALLB_NAMESPACE wins.
func namespace() string {
	if ns := os.Getenv("METALLB_NAMESPACE"); ns != "" {
		return ns
	}
	text, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func env(key, otherwise string) string {
	if v := os.Getenv(key); v != "" {
		return v
	}
	return otherwise
}

// mirrorStatus prints the present state of FRR's sessions and routes on the node,
// for `kubectl exec ... -- mirror-status`.
func mirrorStatus(out, errs *os.File) int {
	driver := vtysh.New(vtysh.Options{Command: []string{env("METALLB_VTYSH", "vtysh")}})
	defer driver.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, show := range []string{"show bgp summary", "show bfd peers brief", "show bgp ipv4 unicast", "show bgp ipv6 unicast"} {
		var text string
		if err := driver.Show(ctx, show, &text); err != nil {
			fmt.Fprintf(errs, "mirror-status: %s: %v\n", show, err)
			return 1
		}
		fmt.Fprintf(out, "# %s\n%s\n", show, strings.TrimSpace(text))
	}
	return 0
}

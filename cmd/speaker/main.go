// SPDX-License-Identifier: Apache-2.0

// Command speaker runs on every node: it makes FRR announce the addresses of the
// cluster's Services. Called as mirror-status it prints what the running speaker
// of the node says of itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/frr/bmp"
	"metallb.io/metallb-frr/pkg/frr/vtysh"
	"metallb.io/metallb-frr/pkg/speaker"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// options are the command line. Flags win over the environment.
type options struct {
	telemetry.Flags
	namespace, node, pod, podUID string
	class                        string
	ignoreExclude                bool
	drain                        drainFlags
	l2                           layer2Flags
	conf, vtysh, bmp, frrLog     string
	frrMetrics                   int
	serviceStatus                string
	frrRun                       string
	templates                    string
	ignoredDebounce, ignoredHost string
}

func main() {
	if filepath.Base(os.Args[0]) == "mirror-status" {
		os.Exit(mirrorStatus(os.Stdout, os.Stderr))
	}
	var o options
	o.register(flag.CommandLine)
	flag.Parse()
	log, err := telemetry.NewLogger(os.Stderr, o.LogLevel)
	if err != nil {
		fmt.Fprintln(os.Stderr, "speaker:", err)
		os.Exit(2)
	}
	telemetry.SetDefault(log)
	if err := o.run(ctrl.SetupSignalHandler(), log); err != nil {
		log.Error(err, "speaker ends")
		os.Exit(1)
	}
}

func (o *options) register(fs *flag.FlagSet) {
	o.Flags.Register(fs)
	fs.StringVar(&o.namespace, "namespace", namespace(), "namespace of the metallb.io objects (METALLB_NAMESPACE; default: the Pod's own)")
	fs.StringVar(&o.node, "node-name", os.Getenv("METALLB_NODE_NAME"), "name of this node (METALLB_NODE_NAME)")
	fs.StringVar(&o.pod, "pod-name", os.Getenv("METALLB_POD_NAME"), "name of this Pod, which owns what the speaker writes (METALLB_POD_NAME)")
	fs.StringVar(&o.podUID, "pod-uid", os.Getenv("METALLB_POD_UID"), "UID of this Pod (METALLB_POD_UID)")
	fs.StringVar(&o.class, "lb-class", "", "serve only Services of this loadBalancerClass; empty: only those without one")
	fs.BoolVar(&o.ignoreExclude, "ignore-exclude-lb", false, "announce from nodes labelled node.kubernetes.io/exclude-from-external-load-balancers too")
	o.drain.register(fs)
	o.l2.register(fs)
	fs.StringVar(&o.conf, "frr-conf", "/etc/frr/frr.conf", "file that keeps FRR's configuration for its own restart")
	fs.StringVar(&o.vtysh, "vtysh", "vtysh", "command that starts vtysh, words separated by blanks")
	fs.StringVar(&o.frrRun, "frr-run", "/run/frr", "folder of FRR's sockets, where the end of a daemon is seen")
	fs.StringVar(&o.bmp, "bmp-listen", "127.0.0.1:11019", "address where bgpd reports its sessions (BMP)")
	fs.StringVar(&o.frrLog, "frr-log-level", env("FRR_LOGGING_LEVEL", "informational"), "FRR's own log level (FRR_LOGGING_LEVEL)")
	fs.IntVar(&o.frrMetrics, "frr-metrics-port", 9121, "TCP port of the HTTPS server of FRR's metrics and /livez; 0 turns it off")
	fs.StringVar(&o.serviceStatus, "service-bgp-status", env("METALLB_SERVICE_BGP_STATUS", string(speaker.ServiceStatusAuto)), "write a ServiceBGPStatus for each Service that the node announces: auto (as long as the cluster holds at most 50000), always or never (METALLB_SERVICE_BGP_STATUS)")
	fs.StringVar(&o.templates, "frr-templates", "", "folder of templates that replace the built-in ones; read at start")
	fs.StringVar(&o.ignoredDebounce, "bgp-debounce-timeout", os.Getenv("METALLB_BGP_DEBOUNCE_TIMEOUT"), "accepted for MetalLB's sake; changes are applied at once")
	fs.StringVar(&o.ignoredHost, "host", "", "accepted for MetalLB's sake; has no effect")
}

func (o *options) run(ctx context.Context, log logr.Logger) error {
	if o.node == "" || o.namespace == "" {
		return fmt.Errorf("--node-name %q and --namespace %q must be set; in a Pod by METALLB_NODE_NAME and METALLB_NAMESPACE", o.node, o.namespace)
	}
	drainOn, err := o.drain.check()
	if err != nil {
		return err
	}
	layer2, err := o.l2.layer2(o.node, log)
	if err != nil {
		return err
	}
	log.Info("starting", "node", o.node, "version", telemetry.ReadBuild().Version)
	cfg, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("reaching the API server: %w", err)
	}
	c, err := cluster.New(cfg, cluster.Options{
		Namespace: o.namespace, LoadBalancerClass: o.class, IgnoreExcludeLabel: o.ignoreExclude, DrainOn: drainOn,
		Endpoints: true, FieldOwner: "metallb-speaker", Node: o.node, Host: o.node, Peers: o.l2.peers(), Log: log,
	})
	if err != nil {
		return err
	}
	listener, err := bmp.Listen(ctx, o.bmp)
	if err != nil {
		return err
	}
	defer listener.Close()
	found, err := o.found(metrics.Registry, log)
	if err != nil {
		return err
	}
	driver := vtysh.New(vtysh.Options{Command: strings.Fields(o.vtysh), ConfFile: o.conf, RunDir: o.frrRun, OnFound: found, OnError: func(err error) {
		log.Error(err, "frr.conf not kept", "node", o.node)
	}})
	defer driver.Close()
	questions := vtysh.New(vtysh.Options{Command: strings.Fields(o.vtysh)})
	defer questions.Close()
	m, err := o.manager(cfg)
	if err != nil {
		return err
	}
	s, err := o.speaker(c, driver, questions, listener, layer2, log)
	if err != nil {
		return err
	}
	if err := m.AddReadyzCheck("members", s.Ready); err != nil {
		return fmt.Errorf("add readiness probe: %w", err)
	}
	if err := o.serveFRR(m, s, log); err != nil {
		return err
	}
	for _, r := range []manager.Runnable{c, s} {
		if err := m.Add(r); err != nil {
			return err
		}
	}
	return m.Start(ctx)
}

// SPDX-License-Identifier: Apache-2.0

// Command controller gives Services of type LoadBalancer their addresses and says
// on every object of the configuration what became of it. Of several replicas one,
// the leader, works.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/controller"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// name is the field owner, the event source and the name of the Lease.
const name = "metallb-controller"

// A replica takes over retryPeriod after an orderly end of the leader, and
// leaseDuration after it was killed. A leader that cannot renew its Lease writes
// nothing after renewDeadline, and ends.
const (
	leaseDuration = 8 * time.Second
	renewDeadline = 6 * time.Second
	retryPeriod   = time.Second
)

// namespaceFile holds the pod's namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

type flags struct {
	telemetry.Flags
	namespace, podName, class string
	ignoreExclude             bool
	drainOn                   intent.DrainOn
	secret                    controller.MemberSecret
	elect                     bool
	webhook                   webhookFlags
}

func (f *flags) register(fs *flag.FlagSet) {
	f.Flags.Register(fs)
	fs.StringVar(&f.namespace, "namespace", os.Getenv("METALLB_NAMESPACE"), "`namespace` of the configuration (env METALLB_NAMESPACE); empty: the pod's own")
	fs.StringVar(&f.podName, "pod-name", os.Getenv("METALLB_POD_NAME"), "`name` of the own pod, which becomes the owner of the ConfigurationState (env METALLB_POD_NAME); empty: it has none")
	fs.StringVar(&f.class, "lb-class", "", "the spec.loadBalancerClass of the Services to handle; empty: those without a `class`")
	fs.BoolVar(&f.ignoreExclude, "ignore-exclude-lb", false, "as given to the speakers, so that events name the right nodes")
	fs.Func("drain-on", "`list` as given to the speakers, so that events name the right nodes", func(text string) (err error) {
		f.drainOn, err = intent.ParseDrainOn(text)
		return err
	})
	fs.StringVar(&f.secret.Name, "ml-secret-name", os.Getenv("METALLB_ML_SECRET_NAME"), "`name` of the Secret with the key that the speakers share, which is made where it is missing (env METALLB_ML_SECRET_NAME); empty: it is not")
	fs.StringVar(&f.secret.Deployment, "deployment", os.Getenv("METALLB_DEPLOYMENT"), "`name` of the controller's Deployment, with which that Secret goes (env METALLB_DEPLOYMENT); empty: the Secret stays")
	fs.BoolVar(&f.elect, "leader-elect", true, "work only while holding the Lease "+name+"; false is for a single replica that never overlaps its successor")
	f.webhook.register(fs)
}

func main() {
	var f flags
	f.register(flag.CommandLine)
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "controller: %q: unexpected argument; want flags only, see -help\n", flag.Arg(0))
		os.Exit(2)
	}
	log, err := telemetry.NewLogger(os.Stdout, f.LogLevel)
	if err != nil {
		fmt.Fprintln(os.Stderr, "controller:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, log, &f); err != nil {
		log.Error(err, "controller ended")
		os.Exit(1)
	}
}

func run(ctx context.Context, log logr.Logger, f *flags) error {
	telemetry.SetDefault(log)
	build := telemetry.ReadBuild()
	log.Info("controller starts", "version", build.Version, "revision", build.Revision, "go", build.Go)
	namespace, err := ownNamespace(f.namespace)
	if err != nil {
		return err
	}
	cfg, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	var lease *cluster.Lease // nil: this process does not stand for election
	if f.elect && f.webhook.mode != onlyWebhook {
		if lease, err = cluster.NewLease(cfg, namespace, name, renewDeadline); err != nil {
			return err
		}
	}
	m, err := newManager(cfg, log, f, lease)
	if err != nil {
		return err
	}
	if err := build.Register(metrics.Registry); err != nil {
		return err
	}
	if f.webhook.mode != onlyWebhook {
		c, err := newController(ctx, cfg, log, f, namespace, lease)
		if err != nil {
			return err
		}
		if err := m.Add(c); err != nil {
			return fmt.Errorf("add controller: %w", err)
		}
	}
	if f.webhook.mode != webhookDisabled {
		w, err := newWebhook(cfg, log, f, namespace)
		if err != nil {
			return err
		}
		if err := m.Add(w); err != nil {
			return fmt.Errorf("add admission webhook: %w", err)
		}
	}
	return m.Start(ctx)
}

// newManager returns what elects the leader and serves health and metrics.
func newManager(cfg *rest.Config, log logr.Logger, f *flags, lease *cluster.Lease) (manager.Manager, error) {
	o := manager.Options{
		Scheme:                        cluster.Scheme(),
		Logger:                        log,
		LeaderElection:                lease != nil,
		LeaderElectionID:              name, // in metrics
		LeaderElectionReleaseOnCancel: true, // run ends when the manager does
		LeaseDuration:                 new(leaseDuration),
		RenewDeadline:                 new(renewDeadline),
		RetryPeriod:                   new(retryPeriod),
	}
	if lease != nil {
		o.LeaderElectionResourceLockInterface = lease
	}
	if err := f.Apply(&o, ""); err != nil {
		return nil, err
	}
	m, err := manager.New(cfg, o)
	if err != nil {
		return nil, fmt.Errorf("make manager: %w", err)
	}
	return m, telemetry.AddProbes(m)
}

func newController(ctx context.Context, cfg *rest.Config, log logr.Logger, f *flags, namespace string, lease *cluster.Lease) (*controller.Controller, error) {
	o := controller.Options{Log: log, MemberSecret: f.secret}
	var err error
	if o.Client, err = telemetry.NewClient(metrics.Registry); err != nil {
		return nil, err
	}
	if o.Allocator, err = telemetry.NewAllocator(metrics.Registry); err != nil {
		return nil, err
	}
	c, err := cluster.New(cfg, cluster.Options{
		Namespace:          namespace,
		LoadBalancerClass:  f.class,
		IgnoreExcludeLabel: f.ignoreExclude,
		DrainOn:            f.drainOn,
		Endpoints:          true,
		StatusWriter:       true,
		FieldOwner:         name,
		Lease:              lease,
		Log:                log,
	})
	if err != nil {
		return nil, err
	}
	if f.podName != "" {
		owner, err := c.OwnPod(ctx, f.podName)
		if err != nil {
			return nil, err
		}
		o.Owner = []metav1.OwnerReference{owner}
	}
	return controller.New(c, o), nil
}

// ownNamespace returns the namespace that flag or environment name, or the pod's.
func ownNamespace(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	data, err := os.ReadFile(namespaceFile)
	if err != nil {
		return "", fmt.Errorf("find the namespace of the configuration: --namespace and METALLB_NAMESPACE are not set, and this is no pod: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

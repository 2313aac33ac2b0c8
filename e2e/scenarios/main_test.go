// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/need"
	"metallb.io/metallb-frr/e2e/product"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
)

const (
	bringUpLimit  = 5 * time.Minute
	scenarioLimit = 3 * time.Minute
	waitLimit     = 30 * time.Second // of a single wait
)

// world is the cluster that all tests share.
type world struct {
	*lab.Lab
	objects    client.WithWatch
	k8s        *kubernetes.Clientset
	snapshots  *cluster.Cluster
	hops       map[string]string // next hop address to node name
	namespaces []string          // of the present test
}

func TestMain(m *testing.M) {
	lab.Main(func() int {
		status := m.Run()
		if err := takeDown(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = max(status, 1)
		}
		return status
	})
}

// shared is brought up by the first test that wants it.
var shared struct {
	once sync.Once
	*world
	err  error
	stop context.CancelFunc
}

func bringUp() {
	ctx, cancel := context.WithTimeoutCause(context.Background(), bringUpLimit, errors.New("the cluster was not up in time"))
	defer cancel()
	spec := lab.Spec{Name: "scen", Nodes: 3, Routers: 2, Clients: 1, LANClients: 2, NodeGrace: 10 * time.Second}
	l, err := lab.Up(ctx, spec, os.Stderr)
	if err != nil {
		shared.err = err
		return
	}
	w := &world{Lab: l, hops: map[string]string{}}
	shared.world = w
	if shared.err = product.Install(ctx, l, os.Stderr, "speaker.drainOn={"+drainTaint+"}"); shared.err != nil {
		return
	}
	if w.k8s, shared.err = product.Client(l); shared.err != nil {
		return
	}
	ctrllog.SetLogger(logr.Discard())
	quiet := l.RESTConfig()
	quiet.WarningHandler = rest.NoWarnings{} // BGPPeer v1beta1 is deprecated, and looked at all the same
	w.objects, shared.err = client.NewWithWatch(quiet, client.Options{Scheme: cluster.Scheme()})
	if shared.err != nil {
		return
	}
	drainOn, err := intent.ParseDrainOn(drainTaint)
	if err != nil {
		shared.err = err
		return
	}
	w.snapshots, shared.err = cluster.New(l.RESTConfig(), cluster.Options{
		Namespace: product.Namespace, Endpoints: true, FieldOwner: "metallb-scenarios", DrainOn: drainOn,
	})
	if shared.err != nil {
		return
	}
	running, stop := context.WithCancel(context.Background())
	shared.stop = stop
	go w.snapshots.Start(running) // returns when stopped, and no error but that
	if shared.err = w.snapshots.WaitSynced(ctx); shared.err == nil {
		shared.err = w.learnHops(ctx)
	}
}

func takeDown() error {
	if shared.stop != nil {
		shared.stop()
	}
	if shared.world == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return shared.Down(ctx)
}

// begin returns the cluster with nothing configured, and sees to it that the
// test leaves it so. ctx ends with the test.
func begin(t *testing.T) (context.Context, *world) {
	t.Helper()
	if !lab.Inside() {
		need.Skip(t, "needs root, to make namespaces")
	}
	shared.once.Do(bringUp)
	if errors.Is(shared.err, fs.ErrNotExist) {
		need.Skip(t, fmt.Sprintf("needs what `make e2e` builds first: %v", shared.err))
	}
	if shared.err != nil {
		t.Fatalf("no cluster to test on: %v", shared.err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), scenarioLimit, errors.New("the scenario took too long"))
	t.Cleanup(cancel)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(product.Pods(shared.Lab))
		}
		shared.clear(t)
	})
	return ctx, shared.world
}

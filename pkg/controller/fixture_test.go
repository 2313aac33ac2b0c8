// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/e2e/apiserver"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/controller"
	"metallb.io/metallb-frr/pkg/telemetry"
)

const (
	namespace = apiserver.Namespace
	// limit is how long a test waits for one thing.
	limit = 30 * time.Second
)

func TestMain(m *testing.M) { os.Exit(apiserver.Main(m)) }

// fixture is a real API server with a client.
type fixture struct {
	t      *testing.T
	config *rest.Config
	client.WithWatch
	writes atomic.Int64 // requests of controllers that would change something
}

// link is a controller's way to the API server. It counts the writes that pass
// through it: one that changes nothing makes no event in a watch, and is still one
// too many.
type link struct {
	next   http.RoundTripper
	writes *atomic.Int64

	mu  sync.RWMutex // read while a request is under way
	cut bool
}

func (l *link) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.cut {
		return nil, errors.New("the controller has ended")
	}
	if r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "/events") {
		l.writes.Add(1)
	}
	return l.next.RoundTrip(r)
}

// end returns when nothing is under way any more, and lets nothing more through, so
// that the next test hears nothing of this one: events are sent in the background.
func (l *link) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	t.Parallel() // they mostly wait
	return newFixtureAlone(t)
}

// newFixtureAlone is for a test that others would slow down.
func newFixtureAlone(t *testing.T) *fixture {
	t.Helper()
	config := apiserver.Shared(t)
	c, err := client.NewWithWatch(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t: t, config: config, WithWatch: c}
}

func (f *fixture) create(objs ...client.Object) {
	f.t.Helper()
	for _, o := range objs {
		if err := f.Create(f.t.Context(), o); err != nil {
			f.t.Fatalf("creating %T %s: %v", o, o.GetName(), err)
		}
	}
}

// controller runs a Controller until the returned function is called.
func (f *fixture) controller() (stop func()) {
	f.t.Helper()
	return f.controllerAs(cluster.Options{})
}

func (f *fixture) controllerAs(o cluster.Options, edits ...func(*controller.Options)) (stop func()) {
	f.t.Helper()
	o.Endpoints = true
	o.Namespace, o.StatusWriter, o.FieldOwner, o.Log = namespace, true, "metallb-controller", testr.New(f.t)
	config := rest.CopyConfig(f.config)
	way := &link{writes: &f.writes}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { way.next = next; return way })
	c, err := cluster.New(config, o)
	if err != nil {
		f.t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	options := controller.Options{Log: o.Log}
	if options.Client, err = telemetry.NewClient(registry); err != nil {
		f.t.Fatal(err)
	}
	if options.Allocator, err = telemetry.NewAllocator(registry); err != nil {
		f.t.Fatal(err)
	}
	for _, edit := range edits {
		edit(&options)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- controller.New(c, options).Start(ctx) }()
	var stopped bool
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				f.t.Errorf("controller: %v", err)
			}
		case <-time.After(limit):
			f.t.Error("controller does not end")
		}
		way.end()
	}
	f.t.Cleanup(stop)
	return stop
}

// await waits until an object of list's kind with obj's name makes ok true, and
// leaves it in obj.
func await[T client.Object](f *fixture, list client.ObjectList, obj T, what string, ok func(T) bool) T {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), limit)
	defer cancel()
	options := func(o metav1.ListOptions) []client.ListOption {
		return []client.ListOption{
			client.InNamespace(obj.GetNamespace()), client.MatchingFields{"metadata.name": obj.GetName()},
			&client.ListOptions{Raw: &o},
		}
	}
	lw := &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			l := list.DeepCopyObject().(client.ObjectList)
			return l, f.List(ctx, l, options(o)...)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return f.Watch(ctx, list.DeepCopyObject().(client.ObjectList), options(o)...)
		},
	}
	var last T
	_, err := watchtools.UntilWithSync(ctx, lw, obj, nil, func(e watch.Event) (bool, error) {
		got, isT := e.Object.(T)
		if !isT || e.Type == watch.Deleted {
			return false, nil
		}
		last = got
		return ok(got), nil
	})
	if err != nil {
		text, _ := json.MarshalIndent(last, "", " ")
		f.t.Fatalf("waiting for %s %s: %v; last seen: %s", obj.GetName(), what, err, text)
	}
	return last
}

func (f *fixture) awaitService(name, what string, ok func(*corev1.Service) bool) *corev1.Service {
	f.t.Helper()
	return await(f, &corev1.ServiceList{}, service(name), what, ok)
}

func (f *fixture) awaitPool(name, what string, ok func(*v1beta1.IPAddressPool) bool) *v1beta1.IPAddressPool {
	f.t.Helper()
	return await(f, &v1beta1.IPAddressPoolList{}, pool(name), what, ok)
}

func service(name string, edits ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.ServiceSpec{
			Type:  corev1.ServiceTypeLoadBalancer,
			Ports: []corev1.ServicePort{{Port: 80}},
		},
	}
	for _, e := range edits {
		e(s)
	}
	return s
}

func pool(name string, addresses ...string) *v1beta1.IPAddressPool {
	return &v1beta1.IPAddressPool{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1beta1.IPAddressPoolSpec{Addresses: addresses},
	}
}

func peer(name, addr string) *v1beta2.BGPPeer {
	return &v1beta2.BGPPeer{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1beta2.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, PeerAddress: addr},
	}
}

// holds reports whether the Service has exactly these addresses from that pool.
func holds(pool string, addresses ...string) func(*corev1.Service) bool {
	return func(s *corev1.Service) bool {
		var have []string
		for _, in := range s.Status.LoadBalancer.Ingress {
			have = append(have, in.IP)
		}
		return fmt.Sprint(have) == fmt.Sprint(addresses) && s.Annotations[v1beta1.AnnotationAllocatedFromPool] == pool &&
			meta.IsStatusConditionTrue(s.Status.Conditions, v1beta1.ConditionAddressAssigned) == (len(addresses) > 0)
	}
}

func hasCondition(conditions []metav1.Condition, kind string, status metav1.ConditionStatus, reason string) bool {
	c := meta.FindStatusCondition(conditions, kind)
	return c != nil && c.Status == status && (reason == "" || c.Reason == reason)
}

// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/e2e/apiserver"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
)

const namespace = "metallb-system"

// world is an API server of the test's own, and all that was written in it to
// Services and pools.
type world struct {
	t *testing.T
	client.WithWatch
	config     *rest.Config
	kubeconfig string

	mu      sync.Mutex
	history []version
	latest  map[string]version // by kind and key
	given   int                // Services that have got addresses
	broken  error              // the watch has a gap
	more    chan struct{}      // closed at the next write
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if _, err := build(); err != nil { // not while a clock runs
		t.Fatal(err)
	}
	config := apiserver.Start(t)
	apiserver.InstallCRDs(t, config)
	c, err := client.NewWithWatch(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, WithWatch: c, config: config, kubeconfig: apiserver.Kubeconfig(t, config),
		latest: map[string]version{}, more: make(chan struct{}),
	}
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	watched, stop := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	for _, list := range []func() client.ObjectList{
		func() client.ObjectList { return &corev1.ServiceList{} },
		func() client.ObjectList { return &v1beta1.IPAddressPoolList{} },
	} {
		first := list()
		if err := c.List(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		if err := meta.EachListItem(first, func(o runtime.Object) error { w.note(o.(client.Object), false); return nil }); err != nil {
			t.Fatal(err)
		}
		ended.Go(func() { w.watch(watched, list, first.GetResourceVersion()) })
	}
	t.Cleanup(func() { stop(); ended.Wait() })
	return w
}

// watch notes every write from a version on. A watch that ends is taken up where it
// ended; it never lists, so what it misses breaks it.
func (w *world) watch(ctx context.Context, list func() client.ObjectList, from string) {
	for ctx.Err() == nil {
		stream, err := w.Watch(ctx, list(), &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: from, AllowWatchBookmarks: true}})
		if err != nil {
			w.breaks(ctx, fmt.Errorf("watch from version %s: %w", from, err))
			return
		}
		for e := range stream.ResultChan() {
			if e.Type == watch.Error {
				stream.Stop()
				w.breaks(ctx, fmt.Errorf("watch from version %s: %w", from, apierrors.FromObject(e.Object)))
				return
			}
			o := e.Object.(client.Object)
			from = o.GetResourceVersion()
			if e.Type != watch.Bookmark {
				w.note(o, e.Type == watch.Deleted)
			}
		}
	}
}

func (w *world) breaks(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = err
	w.tell()
}

// tell wakes those who wait for a write. Called with the lock held.
func (w *world) tell() {
	close(w.more)
	w.more = make(chan struct{})
}

func (w *world) note(o client.Object, deleted bool) {
	var v version
	switch o := o.(type) {
	case *corev1.Service:
		v = serviceVersion(o)
	case *v1beta1.IPAddressPool:
		v = poolVersionOf(o)
	}
	v.rv, v.deleted = revision(o), deleted
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, v)
	key := keyOf(o)
	before := w.latest[key]
	if len(v.addrs) > 0 && !slices.Equal(before.addrs, v.addrs) {
		w.given++
	}
	w.latest[key] = v
	if deleted {
		delete(w.latest, key)
	}
	w.tell()
}

func keyOf(o client.Object) string { return fmt.Sprintf("%T %s", o, client.ObjectKeyFromObject(o)) }

func revision(o client.Object) uint64 {
	rv, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		panic(err) // the API server that the test brings along counts
	}
	return rv
}

// await waits until what was written makes ok true. It is called with the lock held.
func (w *world) await(what string, ok func() bool) {
	w.t.Helper()
	if !w.awaitFor(limit, ok) {
		w.t.Fatalf("waited %v for %s", limit, what)
	}
}

// awaitFor is await that gives up.
func (w *world) awaitFor(limit time.Duration, ok func() bool) bool {
	w.t.Helper()
	end := time.After(limit)
	for {
		w.mu.Lock()
		done, more, broken := ok(), w.more, w.broken
		w.mu.Unlock()
		if broken != nil {
			w.t.Fatalf("not every write was seen: %v", broken)
		}
		if done {
			return true
		}
		select {
		case <-more:
		case <-end:
			return false
		}
	}
}

// caughtUp waits until the watch has shown everything that is there now, and fails
// if it shows something else.
func (w *world) caughtUp() {
	w.t.Helper()
	there := map[string]uint64{}
	for _, l := range []client.ObjectList{&corev1.ServiceList{}, &v1beta1.IPAddressPoolList{}} {
		if err := w.List(w.t.Context(), l); err != nil {
			w.t.Fatal(err)
		}
		err := meta.EachListItem(l, func(o runtime.Object) error {
			there[keyOf(o.(client.Object))] = revision(o.(client.Object))
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.await("the watch to show what a list does", func() bool {
		for key, rv := range there {
			if w.latest[key].rv < rv {
				return false
			}
		}
		return true
	})
}

// settled waits until everybody who can have an address has one and the counters of
// all pools are right, and returns what was wrong on the way there.
func (w *world) settled() *judge {
	w.t.Helper()
	w.caughtUp()
	var j *judge
	seen := 0
	ok := w.awaitFor(limit, func() bool {
		if seen == len(w.history) {
			return false
		}
		seen = len(w.history)
		j = replay(w.history)
		return len(j.end()) == 0
	})
	if !ok {
		for _, text := range first(j.end(), 20) {
			w.t.Errorf("after %v: %s", limit, text)
		}
	}
	w.verdict(j)
	return j
}

// verdict fails the test for what was wrong of the writes so far.
func (w *world) verdict(j *judge) {
	w.t.Helper()
	for _, text := range first(j.wrong, 20) {
		w.t.Error(text)
	}
	w.t.Logf("%d writes of %d Services and %d pools seen; %d addresses given, %d times some taken for a reason, %d Services went back; %d wrong",
		len(w.history), len(j.services), len(j.pools), j.gains, j.losses, j.moves, len(j.wrong))
}

func first(texts []string, most int) []string {
	if len(texts) > most {
		return append(slices.Clone(texts[:most]), fmt.Sprintf("and %d more", len(texts)-most))
	}
	return texts
}

func (w *world) create(objs ...client.Object) {
	w.t.Helper()
	for _, o := range objs {
		if err := w.add(o); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) add(o client.Object) error {
	if err := w.Create(w.t.Context(), o); err != nil {
		return fmt.Errorf("create %T %s: %w", o, o.GetName(), err)
	}
	return nil
}

// edit changes an object as a user would, until nobody else has changed it meanwhile.
func edit[T client.Object](w *world, o T, change func(T)) error {
	for {
		err := w.Get(w.t.Context(), client.ObjectKeyFromObject(o), o)
		if err == nil {
			change(o)
			err = w.Update(w.t.Context(), o)
		}
		switch {
		case apierrors.IsConflict(err):
		case err != nil:
			return fmt.Errorf("edit %T %s: %w", o, o.GetName(), err)
		default:
			return nil
		}
	}
}

func service(name string, edits ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Annotations: map[string]string{}},
		Spec: corev1.ServiceSpec{
			Type:                          corev1.ServiceTypeLoadBalancer,
			AllocateLoadBalancerNodePorts: new(false),
			Ports:                         []corev1.ServicePort{{Port: 80}},
		},
	}
	for _, edit := range edits {
		edit(s)
	}
	return s
}

func annotated(key, value string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Annotations[key] = value }
}

func pool(name string, manual bool, addresses ...string) *v1beta1.IPAddressPool {
	auto := !manual
	return &v1beta1.IPAddressPool{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1beta1.IPAddressPoolSpec{Addresses: addresses, AutoAssign: &auto},
	}
}

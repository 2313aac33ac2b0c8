// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
)

// rounds is how often each figure is taken; settle how long one may take.
const (
	rounds = 25
	settle = 30 * time.Second
)

// benchPool has room for the Services that are there and the one measured.
const benchPool = "203.0.112.0/20"

// announcer is one run of the bench.
type announcer struct {
	lab  *lab.Lab
	k8s  *kubernetes.Clientset
	pods []corev1.Pod // that answer
}

// announce measures how long a Service takes to get its address, to be in the
// kernel of every router over all nodes, to answer, and to be gone again.
func announce(ctx context.Context) ([]Row, error) {
	l, err := lab.Up(ctx, lab.Spec{
		Name: "bench-announce", Nodes: 3, Routers: 2, Clients: 1, ProxyMode: []string{"nftables"},
		// What reaches a node before its kube-proxy is ready for it ends there,
		// instead of going to and fro between node and router.
		Unreachable: []netip.Prefix{netip.MustParsePrefix(benchPool)},
	}, os.Stdout)
	if err != nil {
		return nil, err
	}
	defer l.Down(context.WithoutCancel(ctx))
	a, err := newAnnouncer(ctx, l, product.ConfigOptions{Pool: benchPool})
	if err != nil {
		return nil, err
	}
	var rows []Row
	existing := 0
	for _, services := range []int{0, 100, 1000} {
		if err := a.fill(ctx, existing, services); err != nil {
			return rows, err
		}
		existing = services
		for _, endpoints := range []string{"static", "selector"} {
			fmt.Printf("%d services there, endpoints %s: %d rounds\n", services, endpoints, rounds)
			more, err := a.measure(ctx, map[string]any{"services": services, "endpoints": endpoints})
			rows = append(rows, more...)
			if err != nil {
				return rows, err
			}
		}
	}
	return rows, nil
}

func newAnnouncer(ctx context.Context, l *lab.Lab, o product.ConfigOptions) (*announcer, error) {
	if err := product.Install(ctx, l, os.Stdout); err != nil {
		return nil, err
	}
	config := product.Config(l, o)
	if err := product.Apply(ctx, l, config+"---\n"+product.WebApp("web", "default", 3, "Cluster")); err != nil {
		return nil, err
	}
	a := &announcer{lab: l}
	var err error
	if a.k8s, err = product.Client(l); err != nil {
		return nil, err
	}
	if out, err := l.Kubectl(ctx, "rollout", "status", "deploy/web", "--timeout=60s"); err != nil {
		return nil, fmt.Errorf("waiting for the web app: %w\n%s", err, out)
	}
	addr, err := product.WaitAddress(ctx, l, "default", "web")
	if err != nil {
		return nil, err
	}
	for _, r := range l.Routers() {
		if _, err := product.WaitNextHops(ctx, r, product.Host(addr), len(l.Nodes())); err != nil {
			return nil, err
		}
	}
	pods, err := a.k8s.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		return nil, err
	}
	a.pods = pods.Items
	return a, nil
}

// fill creates Services until there are n, all announced.
func (a *announcer) fill(ctx context.Context, from, n int) error {
	if from == n {
		return nil
	}
	began := time.Now()
	work := make(chan int)
	failed := make(chan error, 16)
	for range 16 {
		go func() {
			var first error
			for i := range work {
				if first == nil {
					first = a.create(ctx, fmt.Sprintf("fill-%d", i))
				}
			}
			failed <- first
		}()
	}
	for i := from; i < n; i++ {
		work <- i
	}
	close(work)
	for range 16 {
		if err := <-failed; err != nil {
			return fmt.Errorf("creating %d services: %w", n, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for _, r := range a.lab.Routers() {
		if err := a.allThere(ctx, r, n+1); err != nil {
			return err
		}
	}
	fmt.Printf("%d services created and announced after %.1f s\n", n-from, time.Since(began).Seconds())
	return nil
}

// allThere returns when the router has n routes over all nodes.
func (a *announcer) allThere(ctx context.Context, r *lab.Router, n int) error {
	events, err := r.WatchRoutes(ctx)
	if err != nil {
		return err
	}
	for {
		routes, err := r.Routes(ctx)
		if err != nil {
			return err
		}
		whole := 0
		for _, route := range routes {
			if len(route.NextHops) == len(a.lab.Nodes()) {
				whole++
			}
		}
		if whole >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s has %d routes over all nodes, want %d: %w", r.Name, whole, n, context.Cause(ctx))
		case <-events:
		}
	}
}

// create makes a Service with hand-written endpoints, which stand before it does.
func (a *announcer) create(ctx context.Context, name string) error {
	if err := a.createSlice(ctx, name); err != nil {
		return err
	}
	return a.createService(ctx, name, nil)
}

func (a *announcer) createSlice(ctx context.Context, service string) error {
	_, err := a.k8s.DiscoveryV1().EndpointSlices("default").Create(ctx, a.slice(service), metav1.CreateOptions{})
	return err
}

func (a *announcer) slice(service string) *discoveryv1.EndpointSlice {
	port, ready := int32(8080), true
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: service, Namespace: "default", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Port: &port}},
	}
	for _, p := range a.pods {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{p.Status.PodIP}, NodeName: &p.Spec.NodeName, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		})
	}
	return s
}

// measure takes every figure rounds times.
func (a *announcer) measure(ctx context.Context, params map[string]any) ([]Row, error) {
	names := []string{"create-to-address", "create-to-routes", "create-to-http", "delete-to-withdrawn"}
	values := map[string][]time.Duration{}
	for i := range rounds {
		took, err := a.round(ctx, fmt.Sprintf("round-%d", i), params["endpoints"] == "static")
		if err != nil {
			return nil, fmt.Errorf("round %d with %v: %w", i, params, err)
		}
		for name, d := range took {
			values[name] = append(values[name], d)
		}
	}
	var rows []Row
	for _, name := range names {
		rows = append(rows, milliseconds(name, params, values[name]))
	}
	return rows, nil
}

// round creates one Service, waits for all that follows, and deletes it.
func (a *announcer) round(ctx context.Context, name string, static bool) (map[string]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	watchers, err := a.watch(ctx)
	if err != nil {
		return nil, err
	}
	address := make(chan timed[netip.Addr], 1)
	go func() {
		addr, err := product.WaitAddress(ctx, a.lab, "default", name)
		address <- timed[netip.Addr]{addr, time.Now(), err}
	}()
	var selector map[string]string
	if static {
		err = a.createSlice(ctx, name)
	} else {
		selector = map[string]string{"app": "web"}
	}
	if err != nil {
		return nil, err
	}
	t0 := time.Now()
	if err := a.createService(ctx, name, selector); err != nil {
		return nil, err
	}
	got := <-address
	if got.err != nil {
		return nil, got.err
	}
	took := map[string]time.Duration{"create-to-address": got.at.Sub(t0)}
	answer := make(chan timed[struct{}], 1)
	go func() { answer <- a.firstAnswer(ctx, got.value) }()
	routes, err := watchers.until(product.Host(got.value), len(a.lab.Nodes()))
	if err != nil {
		return nil, err
	}
	took["create-to-routes"] = routes.Sub(t0)
	http := <-answer
	if http.err != nil {
		return nil, http.err
	}
	took["create-to-http"] = http.at.Sub(t0)
	t1 := time.Now()
	if err := a.k8s.CoreV1().Services("default").Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return nil, err
	}
	gone, err := watchers.until(product.Host(got.value), 0)
	if err != nil {
		return nil, err
	}
	took["delete-to-withdrawn"] = gone.Sub(t1)
	if static {
		err = a.k8s.DiscoveryV1().EndpointSlices("default").Delete(ctx, name, metav1.DeleteOptions{})
	}
	return took, err
}

func (a *announcer) createService(ctx context.Context, name string, selector map[string]string) error {
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Selector: selector, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	svc.Spec.Ports[0].TargetPort.IntVal = 8080
	_, err := a.k8s.CoreV1().Services("default").Create(ctx, svc, metav1.CreateOptions{})
	return err
}

// timed is a result and when it came.
type timed[T any] struct {
	value T
	at    time.Time
	err   error
}

// tryPause is how far apart the client's tries are, and so the resolution of
// create-to-http; tryLimit is how long each may take.
const (
	tryPause = 10 * time.Millisecond
	tryLimit = 500 * time.Millisecond
)

// firstAnswer returns when the first of the tries is answered. They do not wait
// for one another: one that comes before a node is ready for it is lost, and
// would hide for its whole limit that the next one is answered.
func (a *announcer) firstAnswer(ctx context.Context, addr netip.Addr) timed[struct{}] {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := a.lab.Client(0).HTTP(tryLimit)
	answered := make(chan time.Time, 1)
	tick := time.NewTicker(tryPause)
	defer tick.Stop()
	for {
		go func() {
			if err := ask(ctx, client, addr); err != nil {
				return
			}
			select {
			case answered <- time.Now():
			default: // another one was first
			}
		}()
		select {
		case <-ctx.Done():
			return timed[struct{}]{err: fmt.Errorf("no answer from %s: %w", addr, context.Cause(ctx))}
		case at := <-answered:
			return timed[struct{}]{at: at}
		case <-tick.C:
		}
	}
}

// ask makes one request and reads the answer.
func ask(ctx context.Context, client *http.Client, addr netip.Addr) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+netip.AddrPortFrom(addr, 80).String()+"/", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// watchers follow the kernels of all routers.
type watchers struct {
	routers []*lab.Router
	events  []<-chan lab.RouteEvent
}

func (a *announcer) watch(ctx context.Context) (*watchers, error) {
	w := &watchers{routers: a.lab.Routers()}
	for _, r := range w.routers {
		events, err := r.WatchRoutes(ctx)
		if err != nil {
			return nil, err
		}
		w.events = append(w.events, events)
	}
	return w, nil
}

// until returns when the last of the routers reached p over n next hops.
func (w *watchers) until(p netip.Prefix, n int) (time.Time, error) {
	var last time.Time
	for i, events := range w.events {
		at, err := w.one(events, p, n)
		if err != nil {
			return last, fmt.Errorf("%s, %s over %d next hops: %w", w.routers[i].Name, p, n, err)
		}
		if at.After(last) {
			last = at
		}
	}
	return last, nil
}

func (w *watchers) one(events <-chan lab.RouteEvent, p netip.Prefix, n int) (time.Time, error) {
	for e := range events {
		hops := len(e.Route.NextHops)
		if e.Deleted {
			hops = 0
		}
		if e.Route.Prefix == p && hops == n {
			return e.Time, nil
		}
	}
	return time.Time{}, fmt.Errorf("not in %s", settle)
}

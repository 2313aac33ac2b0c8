// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
)

// thousand is how many routes the advertisement carries, from each node,
// thousandRounds how often it is changed, and thousandLimit how long all may take.
const (
	thousand       = 1000
	thousandRounds = 9
	thousandLimit  = 5 * time.Minute
)

// warmUp is why the time of the first round, round 0, does not count. Next hops
// that are missing in it do.
const warmUp = "The times of round 0 do not count: the cluster has just made 1,000 Services, and kube-proxy is busy with them on every node."

// addedCommunity is 65000:200, which the advertisement does not have at first.
const addedCommunity = 65000<<16 | 200

// thousands is a cluster with so many routes.
type thousands struct {
	lab    *lab.Lab
	router *lab.Router
	api    client.Client
	ad     *v1beta1.BGPAdvertisement // as it was made
}

// withThousand runs a bench on a cluster of its own. It is without BFD, which on a
// busy machine would take sessions down that have nothing to do with it.
func withThousand(ctx context.Context, name string, run func(context.Context, *thousands) ([]Row, error)) ([]Row, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, thousandLimit, fmt.Errorf("not done after %v", thousandLimit))
	defer cancel()
	spec := lab.Spec{
		Name: name, Nodes: 3, Routers: 1, Clients: 1, ProxyMode: []string{"nftables"}, NodeASN: 65100, RouterASN: 65000,
		Unreachable: []netip.Prefix{netip.MustParsePrefix(benchPool)},
	}
	spec.RouterConf = []string{bmpConf(spec, 0)}
	l, err := lab.Up(ctx, spec, os.Stdout)
	if err != nil {
		return nil, err
	}
	defer l.Down(context.WithoutCancel(ctx))
	a, err := newAnnouncer(ctx, l, product.ConfigOptions{Pool: benchPool, NoBFD: true})
	if err != nil {
		return nil, err
	}
	if err := a.fill(ctx, 0, thousand-1); err != nil { // the web app is one
		return nil, err
	}
	t := &thousands{lab: l, router: l.Router(0)}
	if t.api, err = client.New(l.RESTConfig(), client.Options{Scheme: cluster.Scheme()}); err != nil {
		return nil, err
	}
	if t.ad, err = t.advertisement(ctx); err != nil {
		return nil, err
	}
	return run(ctx, t)
}

// advertisement reads the only one there is.
func (t *thousands) advertisement(ctx context.Context) (*v1beta1.BGPAdvertisement, error) {
	var list v1beta1.BGPAdvertisementList
	if err := t.api.List(ctx, &list, client.InNamespace(product.Namespace)); err != nil {
		return nil, err
	}
	if len(list.Items) != 1 {
		return nil, fmt.Errorf("there are %d BGPAdvertisements, want 1", len(list.Items))
	}
	return &list.Items[0], nil
}

func (t *thousands) params() map[string]any {
	return map[string]any{"routes": thousand, "nodes": len(t.lab.Nodes())}
}

// hops follows how many next hops the router's kernel has for each prefix.
type hops struct {
	events <-chan lab.RouteEvent
	now    map[netip.Prefix]int
	whole  int // prefixes with all next hops
	nodes  int
	// missing is how many next hops were found missing, each time one was.
	missing int
}

func (t *thousands) watch(ctx context.Context) (*hops, error) {
	events, err := t.router.WatchRoutes(ctx)
	if err != nil {
		return nil, err
	}
	routes, err := t.router.Routes(ctx)
	if err != nil {
		return nil, err
	}
	h := &hops{events: events, now: map[netip.Prefix]int{}, nodes: len(t.lab.Nodes())}
	for _, r := range routes {
		h.set(r.Prefix, len(r.NextHops))
	}
	return h, nil
}

func (h *hops) set(p netip.Prefix, n int) {
	if h.now[p] == h.nodes {
		h.whole--
	}
	if n == h.nodes {
		h.whole++
	} else {
		h.missing += h.nodes - n
	}
	if h.now[p] = n; n == 0 {
		delete(h.now, p)
	}
}

func (h *hops) take(e lab.RouteEvent) {
	n := len(e.Route.NextHops)
	if e.Deleted {
		n = 0
	}
	h.set(e.Route.Prefix, n)
}

// until returns when done says so, and the time of the event that made it so.
func (h *hops) until(ctx context.Context, done func() bool) (time.Time, error) {
	at := time.Now()
	for !done() {
		select {
		case e, ok := <-h.events:
			if !ok {
				return at, errors.New("the kernel's events ended")
			}
			h.take(e)
			at = e.Time
		case <-ctx.Done():
			return at, fmt.Errorf("%d prefixes at the router, %d of them over all %d nodes: %w", len(h.now), h.whole, h.nodes, context.Cause(ctx))
		}
	}
	return at, nil
}

func (h *hops) gone() bool  { return len(h.now) == 0 }
func (h *hops) there() bool { return h.whole == thousand && len(h.now) == thousand }

// withdraw deletes the advertisement and makes it again.
func withdraw(ctx context.Context) ([]Row, error) {
	return withThousand(ctx, "bench-withdraw", func(ctx context.Context, t *thousands) ([]Row, error) {
		var away, back []time.Duration
		for i := range 1 + thousandRounds {
			a, b, err := t.withdrawOnce(ctx)
			if err != nil {
				return nil, fmt.Errorf("round %d: %w", i, err)
			}
			fmt.Printf("round %d: gone after %d ms, back after %d ms\n", i, a.Milliseconds(), b.Milliseconds())
			if i == 0 {
				continue // see warmUp
			}
			away, back = append(away, a), append(back, b)
		}
		return withNote(warmUp, milliseconds("withdraw-1000", t.params(), away), milliseconds("announce-1000", t.params(), back)), nil
	})
}

func (t *thousands) withdrawOnce(ctx context.Context) (away, back time.Duration, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, settle, fmt.Errorf("not in %v", settle))
	defer cancel()
	h, err := t.watch(ctx)
	if err != nil {
		return 0, 0, err
	}
	if !h.there() {
		return 0, 0, fmt.Errorf("the router has %d routes over all nodes, want %d", h.whole, thousand)
	}
	if err := t.api.Delete(ctx, t.ad.DeepCopy()); err != nil {
		return 0, 0, err
	}
	replied := time.Now()
	at, err := h.until(ctx, h.gone)
	if err != nil {
		return 0, 0, err
	}
	away = at.Sub(replied)
	again := &v1beta1.BGPAdvertisement{ObjectMeta: metav1.ObjectMeta{Namespace: t.ad.Namespace, Name: t.ad.Name}, Spec: t.ad.Spec}
	if err := t.api.Create(ctx, again); err != nil {
		return 0, 0, err
	}
	replied = time.Now()
	if at, err = h.until(ctx, h.there); err != nil {
		return 0, 0, err
	}
	return away, at.Sub(replied), nil
}

// addCommunity adds a community to the advertisement and takes it away again.
func addCommunity(ctx context.Context) ([]Row, error) {
	return withThousand(ctx, "bench-community", func(ctx context.Context, t *thousands) ([]Row, error) {
		follow, stop := context.WithCancel(ctx)
		defer stop()
		got, err := followRouter(follow, t.lab, t.router, addedCommunity)
		if err != nil {
			return nil, err
		}
		h, err := t.watch(follow)
		if err != nil {
			return nil, err
		}
		count, end := h.follow(ctx)
		var took, back []time.Duration
		var missing []float64
		for i := range 1 + thousandRounds {
			before := count.Load()
			a, b, err := t.communityOnce(ctx, got)
			if err != nil {
				return nil, fmt.Errorf("round %d: %w", i, err)
			}
			short := count.Load() - before
			fmt.Printf("round %d: on all after %d ms, off all after %d ms, %d next hops missing meanwhile\n", i, a.Milliseconds(), b.Milliseconds(), short)
			missing = append(missing, float64(short))
			if i == 0 {
				continue // see warmUp
			}
			took, back = append(took, a), append(back, b)
		}
		if err := end(); err != nil {
			return nil, err
		}
		return withNote(warmUp,
			milliseconds("community-1000", t.params(), took), milliseconds("community-1000-removed", t.params(), back),
			figures("community-1000-next-hops-missing", t.params(), "next hops", missing)), nil
	})
}

// follow takes in what the kernel says, from now on, and counts in missing. The
// function that it returns ends it and says whether it heard everything.
func (h *hops) follow(ctx context.Context) (missing *atomic.Int64, stop func() error) {
	missing = &atomic.Int64{}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			select {
			case <-ctx.Done():
				ended <- nil
				return
			case e, ok := <-h.events:
				if !ok {
					ended <- errors.New("the kernel's events ended")
					return
				}
				h.take(e)
				missing.Store(int64(h.missing))
			}
		}
	}()
	return missing, func() error { cancel(); return <-ended }
}

func (t *thousands) communityOnce(ctx context.Context, got *received) (took, back time.Duration, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, settle, fmt.Errorf("not in %v", settle))
	defer cancel()
	paths := thousand * len(t.lab.Nodes())
	for _, with := range []bool{true, false} {
		ad, err := t.advertisement(ctx)
		if err != nil {
			return 0, 0, err
		}
		before := client.MergeFrom(ad.DeepCopy())
		ad.Spec.Communities = slices.Clone(t.ad.Spec.Communities)
		if with {
			ad.Spec.Communities = append(ad.Spec.Communities, "65000:200")
		}
		if err := t.api.Patch(ctx, ad, before); err != nil {
			return 0, 0, err
		}
		replied := time.Now()
		at, err := got.until(ctx, paths, with)
		if err != nil {
			return 0, 0, err
		}
		if with {
			took = at.Sub(replied)
		} else {
			back = at.Sub(replied)
		}
	}
	return took, back, nil
}

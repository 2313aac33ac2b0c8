// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/intent"
)

// A node that joins or returns announces when traffic that arrives is passed on:
// when its kube-proxy has its rules in force or, where nothing listens on its
// health port for a while, when the node is Ready; and at the latest after
// forwardingLimit, so that an odd health check never keeps a node out. Once it
// forwards the question is not asked again: a kube-proxy that restarts leaves its
// rules.
const (
	proxyAsk        = 250 * time.Millisecond
	proxySilence    = 3 * time.Second
	forwardingLimit = 30 * time.Second
)

type forwarding struct {
	log     logr.Logger
	asked   kubeProxy
	proxy   atomic.Bool // kube-proxy is ready, or the limit is over
	silent  atomic.Bool // nothing listens: the node's condition counts
	changed chan struct{}
}

func newForwarding(log logr.Logger) *forwarding {
	return &forwarding{log: log, asked: localProxy(), changed: make(chan struct{}, 1)}
}

// Changed receives a value when ready may say something else.
func (f *forwarding) Changed() <-chan struct{} { return f.changed }

// ready reports whether the node forwards.
func (f *forwarding) ready(n *intent.Node) bool {
	return f.proxy.Load() || f.silent.Load() && n != nil && n.Ready
}

// first settles the question before the first pass where it can be settled at
// once: kube-proxy is ready, or FRR announces already, because it is the speaker
// that has restarted and not the node. Such a speaker must not withdraw anything.
func (f *forwarding) first(ctx context.Context, announces bool) {
	if ok, _ := f.asked.ready(ctx); ok || announces {
		f.proxy.Store(true)
	}
}

// watch asks until kube-proxy is ready or the limit is over.
func (f *forwarding) watch(ctx context.Context) {
	if f.proxy.Load() {
		return
	}
	began := time.Now()
	tick := time.NewTicker(proxyAsk)
	defer tick.Stop()
	for {
		ok, listens := f.asked.ready(ctx)
		waited := time.Since(began)
		switch {
		case ok:
			f.log.Info("kube-proxy is ready", "took", waited.Round(time.Millisecond).String())
			f.set(&f.proxy)
			return
		case waited > forwardingLimit:
			f.log.Info("kube-proxy does not say that it is ready; announcing all the same", "took", waited.Round(time.Second).String())
			f.set(&f.proxy)
			return
		case !listens && waited > proxySilence && !f.silent.Load():
			f.log.Info("nothing listens on kube-proxy's health port; the node's condition Ready counts", "addr", f.asked.health)
			f.set(&f.silent)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (f *forwarding) set(flag *atomic.Bool) {
	flag.Store(true)
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

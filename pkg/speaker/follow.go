// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/intent"
)

// A node that gets its first endpoint of a Service with externalTrafficPolicy Local
// becomes a next hop of traffic that other nodes pass on already. kube-proxy hears
// of the endpoint when the speaker does, and may write its rules after the routers
// have the route; until then it drops what arrives. So the node waits for
// kube-proxy to say, on the Service's health check node port, that it has local
// endpoints. Where nobody says so the wait ends after followLimit. A Service that
// no other node serves has nothing to lose and does not wait.
const (
	followAsk   = 20 * time.Millisecond
	followLimit = 2 * time.Second
)

// follow keeps from the plan the endpoints that the node's kube-proxy does not pass
// traffic to yet. Its methods are called by the loop only.
type follow struct {
	node    string
	log     logr.Logger
	changed chan struct{}
	forward func(ctx context.Context, port uint16) bool // kube-proxy has endpoints
	before  []*intent.Service
	waiting map[intent.Key]*held
}

// held is a Service whose endpoints here are not shown.
type held struct {
	of, shown *intent.Service
	over      atomic.Bool
	stop      context.CancelFunc
}

func newFollow(node string, log logr.Logger) *follow {
	return &follow{node: node, log: log, changed: make(chan struct{}, 1), forward: askService, waiting: map[intent.Key]*held{}}
}

// Changed receives a value when show may say something else.
func (f *follow) Changed() <-chan struct{} { return f.changed }

// show returns in, without the endpoints that are waited for. What it waits for
// ends with ctx.
func (f *follow) show(ctx context.Context, in *intent.Intent) *intent.Intent {
	at := 0
	for _, s := range in.Services {
		if at < len(f.before) && f.before[at] == s {
			at++ // as nearly all are; keys need not be compared
			continue
		}
		for at < len(f.before) && f.before[at].Key.Compare(s.Key) < 0 {
			at++
		}
		if at == len(f.before) || f.before[at].Key != s.Key || f.before[at] == s {
			continue
		}
		if f.waiting[s.Key] == nil && f.gains(f.before[at], s) {
			f.hold(ctx, s)
		}
	}
	f.before = in.Services
	out := *in
	for key, h := range f.waiting {
		i, there := slices.BinarySearchFunc(in.Services, key, func(s *intent.Service, k intent.Key) int { return s.Key.Compare(k) })
		if !there || h.over.Load() || !in.Services[i].ServingNodes[f.node] || !in.Services[i].Local {
			h.stop()
			delete(f.waiting, key)
			continue
		}
		if &out.Services[0] == &in.Services[0] {
			out.Services = slices.Clone(in.Services)
		}
		out.Services[i] = h.show(in.Services[i], f.node)
	}
	if len(f.waiting) == 0 {
		return in
	}
	return &out
}

// gains reports whether the node gets its first endpoint of a Service that others
// serve already.
func (f *follow) gains(was, is *intent.Service) bool {
	return is.Local && is.HealthPort != 0 && is.ServingNodes[f.node] &&
		len(was.Addresses) > 0 && len(was.ServingNodes) > 0 && !was.ServingNodes[f.node]
}

// show returns s without the endpoints on the node: the same pointer as long as s
// is the same.
func (h *held) show(s *intent.Service, node string) *intent.Service {
	if h.of != s {
		without := *s
		without.ServingNodes = maps.Clone(s.ServingNodes)
		delete(without.ServingNodes, node)
		h.of, h.shown = s, &without
	}
	return h.shown
}

func (f *follow) hold(ctx context.Context, s *intent.Service) {
	ctx, stop := context.WithTimeout(ctx, followLimit)
	h := &held{stop: stop}
	f.waiting[s.Key] = h
	began := time.Now()
	go func() {
		defer stop()
		tick := time.NewTicker(followAsk)
		defer tick.Stop()
		followed := f.forward(ctx, s.HealthPort)
		for !followed && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-tick.C:
				followed = f.forward(ctx, s.HealthPort)
			}
		}
		reason := "it says so"
		if !followed {
			reason = "it does not say so, and was waited for long enough"
		}
		f.log.V(1).Info("kube-proxy passes traffic to the node's endpoint", "service", s.Key.String(), "reason", reason, "took", time.Since(began).Round(time.Millisecond).String())
		h.over.Store(true)
		select {
		case f.changed <- struct{}{}:
		default:
		}
	}()
}

// askService asks kube-proxy whether it has endpoints of the Service with that
// health check node port on this node.
func askService(ctx context.Context, port uint16) bool {
	code, _ := ask(ctx, fmt.Sprintf("http://127.0.0.1:%d/healthz", port))
	return code == 200
}

// addresses returns those of the Services that wait; nil: none does.
func (f *follow) addresses() map[netip.Addr]bool {
	if len(f.waiting) == 0 {
		return nil
	}
	out := map[netip.Addr]bool{}
	for _, h := range f.waiting {
		for _, a := range h.of.Addresses {
			out[a] = true
		}
	}
	return out
}

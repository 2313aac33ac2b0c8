// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/status"
)

const (
	// holdLimit is the longest that something which keeps changing is held back.
	holdLimit = 10 * time.Second
	// passesPerRound bounds the Services whose condition is let through in one
	// round, so in a second: each becomes a write that everybody who watches
	// Services hears of.
	passesPerRound = 50
)

// gate holds back what Services are to say of where they are announced from, until
// it has stayed the same for settleTime, and lets a bounded number through per
// round: those first that say yes for no, or have another reason.
type gate struct {
	shown atomic.Pointer[[]verdict]
	news  chan struct{} // capacity 1: something was let through

	// Only rounds touch the rest.
	waits map[intent.Key]*wait
}

// verdict is what one Service is to say.
type verdict struct {
	key       intent.Key
	announced *status.Announced
}

// wait is one that is held back.
type wait struct {
	next         *status.Announced
	first, since time.Time // it differs; it is next
	held         bool      // in this round
}

func newGate() *gate { return &gate{news: make(chan struct{}, 1), waits: map[intent.Key]*wait{}} }

// through returns what was let through, sorted by key. It is not changed any more.
func (g *gate) through() []verdict {
	if all := g.shown.Load(); all != nil {
		return *all
	}
	return nil
}

// candidate is a verdict that may be let through now.
type candidate struct {
	at     int // in the verdicts
	wait   *wait
	urgent bool
}

// round takes in what each of services is to say. objects are all Services of the
// cluster. It reports whether something is held back.
func (g *gate) round(services []*intent.Service, each []*status.Announced, objects []*corev1.Service, now time.Time) bool {
	before := g.through()
	all := make([]verdict, 0, len(services))
	var due []candidate
	for i, s := range services {
		v := verdict{key: s.Key, announced: each[i]}
		var was *status.Announced
		before, was = take(before, s.Key)
		if v.announced == nil {
			continue // it goes with the address
		}
		if was != v.announced {
			svc := objectOf(objects, s.Key)
			if svc != nil && !v.announced.Equal(was) && !v.announced.Said(svc) {
				w := g.hold(v, now)
				if now.Sub(w.since) >= settleTime || now.Sub(w.first) >= holdLimit {
					due = append(due, candidate{len(all), w, otherwise(svc, v.announced)})
				}
				v.announced = was
			}
		}
		all = append(all, v)
	}
	passed := g.pass(all, due)
	for key, w := range g.waits {
		if !w.held {
			delete(g.waits, key)
		}
		w.held = false
	}
	g.shown.Store(&all)
	if passed {
		wake(g.news)
	}
	return len(g.waits) > 0
}

// take returns the verdict of a key in a sorted list, and what follows it.
func take(all []verdict, key intent.Key) (rest []verdict, was *status.Announced) {
	for len(all) > 0 && all[0].key.Compare(key) < 0 {
		all = all[1:]
	}
	if len(all) > 0 && all[0].key == key {
		return all[1:], all[0].announced
	}
	return all, nil
}

// hold notes that v has to wait.
func (g *gate) hold(v verdict, now time.Time) *wait {
	w := g.waits[v.key]
	if w == nil {
		w = &wait{first: now}
		g.waits[v.key] = w
	}
	if !v.announced.Equal(w.next) {
		w.since = now
	}
	w.next, w.held = v.announced, true
	return w
}

// pass lets the most urgent of due through, and reports whether there was any.
func (g *gate) pass(all []verdict, due []candidate) bool {
	slices.SortStableFunc(due, func(a, b candidate) int {
		switch {
		case a.urgent == b.urgent:
			return a.wait.first.Compare(b.wait.first)
		case a.urgent:
			return -1
		}
		return 1
	})
	due = due[:min(len(due), passesPerRound)]
	for _, c := range due {
		all[c.at].announced, c.wait.held = c.wait.next, false
	}
	return len(due) > 0
}

// otherwise reports whether the Service says more than another text than a.
func otherwise(svc *corev1.Service, a *status.Announced) bool {
	have := status.Find(svc.Status.Conditions, v1beta1.ConditionAnnounced)
	if have == nil {
		return a.Status == metav1.ConditionFalse
	}
	return have.Status != a.Status || have.Reason != string(a.Reason)
}

// objectOf returns the Service of a key in a list sorted by it, or nil.
func objectOf(objects []*corev1.Service, key intent.Key) *corev1.Service {
	at, ok := slices.BinarySearchFunc(objects, key, func(svc *corev1.Service, key intent.Key) int {
		return intent.Key{Namespace: svc.Namespace, Name: svc.Name}.Compare(key)
	})
	if !ok {
		return nil
	}
	return objects[at]
}

// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
)

const (
	// syncLimit is how long a request waits for the cluster's objects to be listed.
	syncLimit = time.Second
	// reviewLimit is how long a request waits for its answer. The API server waits
	// 3 s, as the chart says.
	reviewLimit = 2 * time.Second
)

// Admission decides which changes of the objects that users write the API server
// takes. It has no rules of its own: it asks what the loops would find wrong with
// the cluster's objects after the change, and denies a change that makes something
// invalid that was not before. What it cannot judge in time it lets pass, with a
// warning: the same rules hold when the object is put to use.
//
// It answers for CREATE, UPDATE and DELETE of the objects themselves, never of their
// status. It works in every replica, leader or not.
type Admission struct {
	cluster *cluster.Cluster
	// known is the last world that was judged; a channel of capacity 1, so that
	// waiting for it can end.
	known chan *world
}

// NewAdmission returns an Admission that goes by what c says, which it starts
// itself; c needs no more than cluster.Options.ConfigOnly.
func NewAdmission(c *cluster.Cluster) *Admission {
	a := &Admission{cluster: c, known: make(chan *world, 1)}
	a.known <- nil
	return a
}

// NeedLeaderElection tells controller-runtime's manager to start it in every
// replica.
func (a *Admission) NeedLeaderElection() bool { return false }

// Start watches the cluster until ctx ends.
func (a *Admission) Start(ctx context.Context) error { return a.cluster.Start(ctx) }

// Handle answers one request, within reviewLimit.
func (a *Admission) Handle(ctx context.Context, req admission.Request) admission.Response {
	c, answer := readChange(req, a.cluster.Namespace())
	if answer != nil {
		return *answer
	}
	ctx, cancel := context.WithTimeoutCause(ctx, reviewLimit, fmt.Errorf("no answer within %s", reviewLimit))
	defer cancel()
	answered := make(chan admission.Response, 1)
	go func() { answered <- a.answer(ctx, c) }()
	select {
	case r := <-answered:
		return r
	case <-ctx.Done():
		return notValidated(c, context.Cause(ctx))
	}
}

// answer judges a change, and lets pass what cannot be judged.
func (a *Admission) answer(ctx context.Context, c *change) (r admission.Response) {
	defer func() {
		if p := recover(); p != nil {
			logr.FromContextOrDiscard(ctx).Error(fmt.Errorf("%v", p), "reviewing a change failed", "object", c.ref.String(), "stack", string(debug.Stack()))
			r = notValidated(c, errors.New("internal error, see the controller's log"))
		}
	}()
	sync, cancel := context.WithTimeout(ctx, syncLimit)
	defer cancel()
	if err := a.cluster.WaitSynced(sync); err != nil {
		return notValidated(c, err)
	}
	now, err := a.now(ctx)
	if err != nil {
		return notValidated(c, err)
	}
	return a.confirmed(ctx, c, now)
}

// confirmed reviews a change, and denies it only if the API server, asked again,
// still has what the denial rests on: the watch may be late with that.
func (a *Admission) confirmed(ctx context.Context, c *change, now *world) admission.Response {
	r := c.review(now)
	if r.Allowed {
		return r
	}
	latest, err := a.cluster.ReadThrough(ctx)
	if err != nil {
		return r
	}
	return c.review(judge(now, latest))
}

// now returns the world as it is.
func (a *Admission) now(ctx context.Context) (*world, error) {
	var w *world
	select {
	case w = <-a.known:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { a.known <- w }()
	s := a.cluster.Read()
	if w == nil || w.snapshot != s {
		w = judge(w, s)
	}
	return w, nil
}

// notValidated lets a change pass that could not be judged.
func notValidated(c *change, why error) admission.Response {
	return admission.Allowed("").WithWarnings(fmt.Sprintf("%s: not validated: %v; its conditions will say what is wrong with it", c.ref, why))
}

// denied denies a change.
func denied(ref intent.Ref, format string, args ...any) *admission.Response {
	r := admission.Denied(ref.String() + ": " + fmt.Sprintf(format, args...))
	return &r
}

// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/status"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// Options of a Controller.
type Options struct {
	Log       logr.Logger
	Client    *telemetry.Client    // required
	Allocator *telemetry.Allocator // required
	// Owner of the ConfigurationState "controller": the process's pod, so that
	// it goes with it. None: it stays.
	Owner []metav1.OwnerReference
	// MemberSecret is made where it is missing.
	MemberSecret MemberSecret
}

// Controller runs the cluster loop. Make one with New.
type Controller struct {
	cluster *cluster.Cluster
	options Options
	log     logr.Logger
	writer  *writer
	status  *statusWriter
	// announced tells Services where they are announced from.
	announced *announced
	secret    *secretMaker

	// Of the last pass; only the loop touches them.
	snapshot *intent.Snapshot
	intent   *intent.Intent
	usage    map[string]ipam.Usage
	services map[string]int64 // by the pool that their addresses are from
	// conflicts are those that the pass after it writes on Services.
	conflicts *status.Conflicts
	settled   settled
	reminders reminders
}

// New returns a Controller that works on c, which it starts itself: its caches
// are filled when it has become the leader, so that they show what the leader
// before it wrote.
func New(c *cluster.Cluster, o Options) *Controller {
	w := newWriter(c, o)
	c.HoldEvents(w.busy)
	return &Controller{
		cluster: c, options: o, log: o.Log,
		writer: w,
		status: newStatusWriter(c, o), announced: newAnnounced(c, o),
		secret: newSecretMaker(c, o),
	}
}

// NeedLeaderElection tells controller-runtime's manager to start it on the leader
// only.
func (c *Controller) NeedLeaderElection() bool { return true }

// Start runs the loop until ctx ends. It returns when everything that it started
// has ended.
func (c *Controller) Start(ctx context.Context) error {
	c.options.Client.Starts()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.cluster.Start(ctx) })
	g.Go(func() error { c.secret.run(ctx); return nil })
	g.Go(func() error {
		if !c.waitSynced(ctx) {
			return nil
		}
		g.Go(func() error { c.writer.run(ctx); return nil })
		g.Go(func() error { c.status.run(ctx); return nil })
		g.Go(func() error { c.announced.run(ctx); return nil })
		c.loop(ctx)
		return nil
	})
	return g.Wait()
}

// waitSynced waits for the first listing of every kind, and says every 30 s what
// it is waiting for. It returns false if ctx ends first.
func (c *Controller) waitSynced(ctx context.Context) bool {
	for {
		limit, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := c.cluster.WaitSynced(limit)
		cancel()
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		c.log.Error(err, "waiting for the cluster's objects")
	}
}

func (c *Controller) loop(ctx context.Context) {
	for {
		retry := c.pass(time.Now())
		fold := c.writer.fold()
		for wait := true; wait; {
			services, written := fold.let(c.cluster.ServicesChanged(), c.writer.wake)
			select {
			case <-ctx.Done():
				return
			case <-fold.urgent:
				fold.urgent = nil
			case <-fold.other:
				fold.other = nil
			case <-fold.limit:
				fold.urgent, fold.other = nil, nil
			case <-c.cluster.StatesChanged():
				wake(c.announced.work)
				wait = !c.heard()
			case <-c.cluster.EndpointsChanged():
				wake(c.announced.work)
			case <-c.cluster.ServiceL2Statuses().Changed():
				wake(c.announced.work)
			case <-c.announced.gate.news:
				wait = false
			case <-c.cluster.Changed():
				wait = false
			case <-services:
				wait = false
			case <-written:
				wait = false
			case <-retry:
				wait = false
			}
		}
	}
}

// heard takes in what speakers report. With hundreds of nodes that is all the
// time, so nothing is decided anew for it, but where addresses are found in
// conflict, or are no longer: then it reports that a pass is due.
func (c *Controller) heard() bool {
	now := *c.snapshot // of the last pass, which what was decided then belongs to
	now.States = c.cluster.Read().States
	c.status.offer(view{snapshot: &now, intent: c.intent, usage: c.usage})
	return !status.NewConflicts(now.States, c.intent.Nodes).Equal(c.conflicts)
}

// pass decides everything anew and hands over what differs. The channel it
// returns tells when a failed write is due again; it may be nil.
func (c *Controller) pass(now time.Time) <-chan time.Time {
	c.writer.forget() // before the Read, which shows it
	snapshot := c.cluster.Read()
	if snapshot != c.snapshot {
		c.intent = intent.Resolve(c.intent, snapshot)
		c.snapshot = snapshot
		c.secret.seen(snapshot)
		c.options.Client.Updates.Inc()
		c.options.Client.Resolved(status.Stale(ofPools(c.intent)))
	}
	outcomes, usage := ipam.Assign(c.intent, c.writer.assumed(snapshot.Services, now), now)
	c.conflicts = status.NewConflicts(snapshot.States, c.intent.Nodes)
	c.writer.begin(now)
	c.reminders.begin()
	c.offer(outcomes, now)
	next := earlier(c.writer.end(now), c.reminders.end())
	c.usageMetrics(usage, servicesOf(outcomes))
	c.status.offer(view{snapshot: snapshot, intent: c.intent, usage: usage})
	wake(c.announced.work)
	c.log.V(1).Info("pass done", "services", len(outcomes), "took", time.Since(now))
	if next.IsZero() {
		return nil
	}
	return time.After(time.Until(next))
}

// offer hands to the writer each Service that is not as it is to be. Services and
// outcomes have the same order.
func (c *Controller) offer(outcomes []ipam.Outcome, now time.Time) {
	announced := c.announced.gate.through()
	c.settled.begin(c.conflicts)
	for _, svc := range c.snapshot.Services {
		key := intent.Key{Namespace: svc.Namespace, Name: svc.Name}
		if len(outcomes) > 0 && outcomes[0].Service == key {
			var from *status.Announced
			announced, from = take(announced, key)
			if out := &outcomes[0]; !c.settled.is(svc, out, from) {
				want := status.ForService(svc, *out, c.conflicts, from, now)
				c.writer.offer(job{key: key, svc: svc, want: want, outcome: *out, urgent: !sameClaim(svc, want)})
				if c.reminders.due(key, svc, out, want, now) {
					e := failure(key, *out)
					c.cluster.Event(svc, e.kind, string(e.reason), e.message)
				}
			}
			outcomes = outcomes[1:]
			continue
		}
		if svc.Spec.Type != corev1.ServiceTypeLoadBalancer && !status.Cleared(svc) {
			c.writer.offer(job{key: key, svc: svc, urgent: true})
		}
	}
}

// sameClaim reports whether want leaves addresses and pool as they are.
func sameClaim(svc *corev1.Service, want status.Service) bool {
	want.Condition = status.Find(svc.Status.Conditions, v1beta1.ConditionAddressAssigned)
	want.Conflict = status.Find(svc.Status.Conditions, v1beta1.ConditionAddressConflict)
	want.Announced = status.Find(svc.Status.Conditions, v1beta1.ConditionAnnounced)
	return want.Same(svc)
}

// earlier returns the earlier of two times; zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// wake puts a value into a channel of capacity 1, unless there is one.
func wake(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

func (c *Controller) usageMetrics(usage map[string]ipam.Usage, services map[string]int64) {
	if maps.Equal(usage, c.usage) && maps.Equal(services, c.services) {
		return
	}
	for name, u := range usage {
		c.options.Allocator.Set(name,
			telemetry.PoolCounts{Total: telemetry.AddCapped(u.AssignedIPv4, u.AvailableIPv4), InUse: u.AssignedIPv4},
			telemetry.PoolCounts{Total: telemetry.AddCapped(u.AssignedIPv6, u.AvailableIPv6), InUse: u.AssignedIPv6},
			services[name])
	}
	for name := range c.usage {
		if _, ok := usage[name]; !ok {
			c.options.Allocator.Delete(name)
		}
	}
	c.usage, c.services = maps.Clone(usage), services
}

// servicesOf counts the Services that have addresses, by pool.
func servicesOf(outcomes []ipam.Outcome) map[string]int64 {
	all := map[string]int64{}
	for i := 0; i < len(outcomes); { // those of one pool mostly follow each other
		pool, from := outcomes[i].Pool, i
		for i < len(outcomes) && outcomes[i].Pool == pool {
			i++
		}
		if pool != "" {
			all[pool] += int64(i - from)
		}
	}
	return all
}

// report logs a failed write, unless it is one that the next pass mends by
// itself, the end of the program, or of its time as the leader, which leader
// election tells of.
func report(ctx context.Context, log logr.Logger, err error, what string, keysAndValues ...any) {
	if errors.Is(err, cluster.ErrOutdated) || errors.Is(err, cluster.ErrNotLeader) || ctx.Err() != nil {
		log.V(1).Info(what, append(keysAndValues, "reason", fmt.Sprint(err))...)
		return
	}
	log.Error(err, what, keysAndValues...)
}

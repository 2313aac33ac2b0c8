// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// ErrNotLeader: the write was not sent, because another process may be the leader
// by now.
var ErrNotLeader = errors.New("the Lease has not been renewed in time, so another replica may have taken over")

// Lease is the lock of a leader election that knows until when its holder may write.
//
// Leader election alone does not keep two from writing: a leader that was stopped
// for a while (a debugger, a node that swaps, a virtual machine that moves) works on
// where it was, with what it knew, until it finds that it cannot renew its Lease. So
// each write asks first.
type Lease struct {
	resourcelock.Interface
	term time.Duration

	mu      sync.Mutex
	renewed time.Time // when the request was made; zero: it is not held
}

// NewLease returns the Lease of that name, for this process alone. Whoever has it
// may write for term after a renewal; others must not take it sooner.
func NewLease(cfg *rest.Config, namespace, name string, term time.Duration) (*Lease, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("open Lease %s/%s: %w", namespace, name, err)
	}
	lock, err := resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, namespace, name,
		resourcelock.ResourceLockConfig{Identity: host + "_" + string(uuid.NewUUID())}, cfg, term)
	if err != nil {
		return nil, fmt.Errorf("open Lease %s/%s: %w", namespace, name, err)
	}
	return &Lease{Interface: lock, term: term}, nil
}

// Get, Create and Update are what leader election calls.

// Get returns what the API server has of the Lease. Where another holds it, this
// process does not any more, whatever its term.
func (l *Lease) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	r, raw, err := l.Interface.Get(ctx)
	if err == nil && r.HolderIdentity != l.Identity() {
		l.set(time.Time{})
	}
	return r, raw, err
}

// Create makes the Lease, held by this process.
func (l *Lease) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.renew(r, func() error { return l.Interface.Create(ctx, r) })
}

// Update takes, renews or gives back the Lease.
func (l *Lease) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.renew(r, func() error { return l.Interface.Update(ctx, r) })
}

func (l *Lease) renew(r resourcelock.LeaderElectionRecord, write func() error) error {
	at := time.Now()
	if r.HolderIdentity != l.Identity() { // given back, whether that succeeds or not
		l.set(time.Time{})
	}
	if err := write(); err != nil {
		return err
	}
	if r.HolderIdentity == l.Identity() {
		l.set(at)
	}
	return nil
}

func (l *Lease) set(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = at
}

// Left returns for how long this process may write, zero or less: not any more. A
// nil Lease, of a process that is alone, is never up.
func (l *Lease) Left() time.Duration {
	if l == nil {
		return time.Hour
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renewed.IsZero() {
		return 0
	}
	now := time.Now()
	// The monotonic clock stands still while a machine sleeps, the other one does
	// not. Whichever says more counts.
	age := max(now.Sub(l.renewed), now.Round(0).Sub(l.renewed.Round(0)))
	return l.term - age
}

// leaderOnly lets writes through while a Lease is held: the last thing before a
// request is sent. One that an API server says that it failed is not sent again behind
// our back, as client-go does where the answer says when: if it was made all the same,
// as when etcd is slow, the second is refused for it, and looks as if none was made.
type leaderOnly struct {
	lease *Lease
	next  http.RoundTripper
}

func (l leaderOnly) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		return l.next.RoundTrip(r)
	}
	if l.lease.Left() <= 0 {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, ErrNotLeader
	}
	answer, err := l.next.RoundTrip(r)
	if err == nil && answer.StatusCode >= http.StatusInternalServerError {
		answer.Header.Del("Retry-After")
	}
	return answer, err
}

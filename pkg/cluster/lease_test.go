// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"metallb.io/metallb-frr/pkg/api/v1beta1"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/e2e/apiserver"
)

// lock is the API server's side of a Lease.
type lock struct {
	resourcelock.Interface
	takes  time.Duration
	fails  error
	holder string
}

func (l *lock) Identity() string { return "me" }

func (l *lock) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	return &resourcelock.LeaderElectionRecord{HolderIdentity: l.holder}, nil, nil
}

func (l *lock) Update(context.Context, resourcelock.LeaderElectionRecord) error {
	time.Sleep(l.takes) // in a bubble
	return l.fails
}

func (l *lock) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	return l.Update(ctx, r)
}

func TestLeaseSaysHowLongItsHolderMayWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &lock{takes: time.Second}
		l := &Lease{Interface: server, term: 6 * time.Second}
		mine := resourcelock.LeaderElectionRecord{HolderIdentity: "me"}
		want := func(what string, want time.Duration) {
			t.Helper()
			if left := l.Left(); left != want {
				t.Errorf("%s: %v left, want %v", what, left, want)
			}
		}
		want("before", 0)
		if err := l.Create(t.Context(), mine); err != nil {
			t.Fatal(err)
		}
		want("made: the time of the request counts, not that of the answer", 5*time.Second)
		time.Sleep(2 * time.Second)
		want("later", 3*time.Second)
		server.fails = errors.New("no answer")
		if err := l.Update(t.Context(), mine); err == nil {
			t.Error("a renewal that fails reports no error")
		}
		want("not renewed", 2*time.Second)
		time.Sleep(time.Minute)
		want("paused", 6*time.Second-64*time.Second)
		server.fails = nil
		if err := l.Update(t.Context(), mine); err != nil {
			t.Fatal(err)
		}
		want("renewed", 5*time.Second)
		for _, server.holder = range []string{"me", "another"} {
			if _, _, err := l.Get(t.Context()); err != nil {
				t.Fatal(err)
			}
			want("seen with "+server.holder, map[string]time.Duration{"me": 5 * time.Second}[server.holder])
		}
		if err := l.Update(t.Context(), mine); err != nil {
			t.Fatal(err)
		}
		server.fails = errors.New("no answer")
		_ = l.Update(t.Context(), resourcelock.LeaderElectionRecord{})
		want("given back, perhaps", 0)
	})
	var none *Lease
	if none.Left() <= 0 {
		t.Error("a process that is alone may not write")
	}
}

// Without the Lease nothing is written, by no way, and reading goes on.
func TestNothingIsWrittenWithoutTheLease(t *testing.T) {
	cfg := apiserver.Start(t)
	apiserver.InstallCRDs(t, cfg)
	lease, err := NewLease(cfg, "default", "test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c := startCluster(t, cfg, Options{StatusWriter: true, Lease: lease})
	state := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Name: "controller", Labels: map[string]string{"a": "b"}}}
	if _, err := c.WriteConfigurationState(t.Context(), state); !errors.Is(err, ErrNotLeader) {
		t.Errorf("a write without the Lease: %v, want %v", err, ErrNotLeader)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, cfg.Host, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (leaderOnly{lease, http.DefaultTransport}).RoundTrip(request); !errors.Is(err, ErrNotLeader) {
		t.Errorf("a request without the Lease: %v, want %v", err, ErrNotLeader)
	}
	if err := lease.Create(t.Context(), resourcelock.LeaderElectionRecord{HolderIdentity: lease.Identity(), LeaseDurationSeconds: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteConfigurationState(t.Context(), state); errors.Is(err, ErrNotLeader) {
		t.Errorf("a write with the Lease: %v", err)
	}
}

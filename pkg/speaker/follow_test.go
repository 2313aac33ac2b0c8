// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/intent"
)

// served is an Intent with one Service that those nodes serve.
func served(local bool, nodes ...string) *intent.Intent {
	s := &intent.Service{Key: intent.Key{Namespace: "d", Name: "web"}, Local: local, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, ServingNodes: map[string]bool{}}
	if local {
		s.HealthPort = 30000
	}
	for _, n := range nodes {
		s.ServingNodes[n] = true
	}
	return &intent.Intent{Services: []*intent.Service{s}}
}

func TestFollow(t *testing.T) {
	for _, row := range []struct {
		name   string
		before *intent.Intent
		after  *intent.Intent
		waits  bool
	}{
		{"the first endpoint here, others elsewhere", served(true, "n2"), served(true, "n1", "n2"), true},
		{"a second endpoint here", served(true, "n1", "n2"), served(true, "n1", "n2"), false},
		{"the first endpoint of all", served(true), served(true, "n1"), false},
		{"an endpoint elsewhere", served(true, "n2"), served(true, "n2", "n3"), false},
		{"policy Cluster", served(false, "n2"), served(false, "n1", "n2"), false},
		{"a new Service", &intent.Intent{}, served(true, "n1", "n2"), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var follows atomic.Bool
				f := newFollow("n1", logr.Discard())
				f.forward = func(context.Context, uint16) bool { return follows.Load() }
				if f.show(t.Context(), row.before) != row.before {
					t.Error("what is there at the start is not shown as it is")
				}
				now := f.show(t.Context(), row.after)
				if !row.waits {
					if now != row.after {
						t.Error("it waits")
					}
					return
				}
				if now.Services[0].ServingNodes["n1"] || !now.Services[0].ServingNodes["n2"] {
					t.Fatalf("it shows %v", now.Services[0].ServingNodes)
				}
				if again := f.show(t.Context(), row.after); again.Services[0] != now.Services[0] {
					t.Error("the Service shown is another one though nothing changed")
				}
				time.Sleep(followLimit / 2)
				follows.Store(true)
				<-f.Changed()
				if f.show(t.Context(), row.after) != row.after {
					t.Error("kube-proxy follows, and the endpoint is not shown")
				}
			})
		})
	}
}

// Nobody answers on the port: the wait ends all the same.
func TestFollowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollow("n1", logr.Discard())
		f.forward = func(context.Context, uint16) bool { return false }
		after := served(true, "n1", "n2")
		f.show(t.Context(), served(true, "n2"))
		f.show(t.Context(), after)
		began := time.Now()
		<-f.Changed()
		if took := time.Since(began); took != followLimit {
			t.Errorf("it waited %v, want %v", took, followLimit)
		}
		if f.show(t.Context(), after) != after {
			t.Error("the endpoint is not shown")
		}
	})
}

// The endpoint goes while kube-proxy is waited for.
func TestFollowForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFollow("n1", logr.Discard())
		f.forward = func(context.Context, uint16) bool { return false }
		f.show(t.Context(), served(true, "n2"))
		f.show(t.Context(), served(true, "n1", "n2"))
		gone := served(true, "n2")
		if f.show(t.Context(), gone) != gone && len(f.waiting) > 0 {
			t.Error("it still waits")
		}
		f.show(t.Context(), served(true, "n1", "n2"))
		if len(f.waiting) != 1 {
			t.Error("it does not wait for the next one")
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
)

// MemberSecret names the Secret with the key that the speakers share.
type MemberSecret struct {
	// Name of the Secret; empty: none is made.
	Name string
	// Deployment is the controller's own, with which the Secret goes; empty: it
	// stays.
	Deployment string
}

// secretMaker makes the Secret where it is missing: at the start, before anything
// else is known, since the speakers' Pods cannot start without it; and when it
// disappears, as the one that belonged to another installation does with that.
type secretMaker struct {
	cluster *cluster.Cluster
	want    MemberSecret
	log     logr.Logger
	missing chan struct{} // capacity 1
}

func newSecretMaker(c *cluster.Cluster, o Options) *secretMaker {
	return &secretMaker{cluster: c, want: o.MemberSecret, log: o.Log, missing: make(chan struct{}, 1)}
}

// seen takes in what a Snapshot shows.
func (m *secretMaker) seen(s *intent.Snapshot) {
	if _, ok := s.Secrets[m.want.Name]; !ok && m.want.Name != "" {
		wake(m.missing)
	}
}

// run works until ctx ends.
func (m *secretMaker) run(ctx context.Context) {
	if m.want.Name == "" {
		return
	}
	for {
		m.make(ctx)
		select {
		case <-ctx.Done():
			return
		case <-m.missing:
		}
	}
}

// make tries until the Secret is there or ctx ends.
func (m *secretMaker) make(ctx context.Context) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		made, err := m.cluster.MakeMemberSecret(ctx, m.want.Name, m.want.Deployment)
		if err == nil {
			if made {
				m.log.Info("made the Secret that the speakers share", "secret", m.want.Name)
			}
			return
		}
		report(ctx, m.log, err, "the Secret that the speakers share is not made; trying again", "secret", m.want.Name)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"metallb.io/metallb-frr/e2e/product"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// l2Move is something that people do to a cluster and that moves addresses away from
// the victim, and what brings them back.
type l2Move struct {
	cause string
	away  func(context.Context) error
	back  func(context.Context) error // nil: they come back by themselves
}

func (b *l2Bench) moves() []l2Move {
	kubectl := func(args ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := b.Kubectl(ctx, args...)
			return err
		}
	}
	victim, other := b.victim.Name, b.Node(0).Name
	return []l2Move{
		{"speaker stopped", kubectl("-n", product.Namespace, "delete", "pod", "-l", "component=speaker", "--field-selector", "spec.nodeName="+victim, "--wait=false"), nil},
		{"node drained", kubectl("drain", victim, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s"), kubectl("uncordon", victim)},
		{"rollout", b.rollout, nil},
		{"preference changed", kubectl("annotate", "node", other, v1beta1.AnnotationL2Weight+"=100"), kubectl("annotate", "node", other, v1beta1.AnnotationL2Weight+"-")},
	}
}

// rollout updates all speakers, one after the other, and waits for the last.
func (b *l2Bench) rollout(ctx context.Context) error {
	for _, args := range [][]string{{"restart", "daemonset/speaker"}, {"status", "daemonset/speaker", "--timeout=120s"}} {
		if _, err := b.Kubectl(ctx, append([]string{"-n", product.Namespace, "rollout"}, args...)...); err != nil {
			return err
		}
	}
	return nil
}

// planned measures a planned move, away from the victim and back.
func (b *l2Bench) planned(ctx context.Context, m l2Move) ([]Row, error) {
	var outages, unanswered []time.Duration
	for range l2Planned {
		run, err := b.watched(ctx, func(ctx context.Context, watch *product.LANWatch) error {
			began := time.Now()
			if err := m.away(ctx); err != nil {
				return err
			}
			for _, to := range b.ports { // where the speaker restarts, this is over soon
				if _, err := product.Gratuitous(ctx, watch.Capture, began, to.Addr(), b.anothers); err != nil {
					return err
				}
			}
			if m.back != nil {
				if err := m.back(ctx); err != nil {
					return err
				}
			}
			return b.owned(ctx, watch)
		})
		if err != nil {
			return nil, err
		}
		fmt.Printf("%s: address without an answer for %d ms, client for %d ms%s\n", m.cause, run.unanswered.Milliseconds(), run.outage.Milliseconds(), run.busy())
		outages, unanswered = append(outages, run.outage), append(unanswered, run.unanswered)
	}
	params := map[string]any{"speakers": len(b.Nodes()), "where": "lab", "cause": m.cause}
	return withNote("away and back, the slower one of a Service's two addresses; an address that answers within 25 ms is answered for",
		milliseconds("client-outage", params, outages), milliseconds("address-unanswered", params, unanswered)), nil
}

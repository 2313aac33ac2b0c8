// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/status"
)

const (
	// settleTime is how long a set of nodes has to stay as it is to be told,
	// and the least time between two rounds.
	settleTime = time.Second
	// tellInterval is the least time between two events about one Service.
	tellInterval = 10 * time.Second
	// tellsPerRound bounds the events of a round. What sends them keeps a
	// thousand and drops the rest.
	tellsPerRound = 50
	// toldBefore is the age from which on a Service's addresses are taken to
	// have been told of by the leader before.
	toldBefore = time.Minute
)

// announced works out where Services are announced from. It tells each Service, in
// one event for all nodes, where that is over BGP, and again when that changes.
// What it tells is what the speakers mean to do, as worked out from the cluster's
// objects: a node that is not ready announces nothing. The condition that it makes
// says what is so: over BGP by sessions that are Established, in layer 2 by what the
// speakers say.
type announced struct {
	options Options
	read    func() *intent.Snapshot
	layer2  func() (all []*v1beta1.ServiceL2Status, known bool)
	event   func(svc *corev1.Service, message string)
	work    chan struct{} // capacity 1
	gate    *gate

	// Only run touches the rest.
	in      *intent.Intent
	nodes   *plan.Announcers
	held    []string // nodes whose kube-proxy is not ready
	states  reported
	all     *status.Announcements
	tellers map[intent.Key]*teller
	rounds  uint64
}

// teller is what is known of one Service.
type teller struct {
	told  []string // nodes in the last event
	at    time.Time
	now   []string // nodes as of the last round
	since time.Time
	seen  uint64 // the round that looked at it last
}

func newAnnounced(c *cluster.Cluster, o Options) *announced {
	return &announced{
		options: o, work: make(chan struct{}, 1), gate: newGate(),
		read:   func() *intent.Snapshot { return c.Read() },
		layer2: layer2Of(c),
		event: func(svc *corev1.Service, message string) {
			c.Event(svc, corev1.EventTypeNormal, string(eventAnnounced), message)
		},
	}
}

func (a *announced) run(ctx context.Context) {
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.work:
		case <-due:
		}
		due = nil
		if a.round(time.Now()) {
			due = time.After(settleTime)
		}
		select { // what changes meanwhile is folded into the next round
		case <-ctx.Done():
			return
		case <-time.After(settleTime):
		}
	}
}

// round looks at all Services, tells what is due and hands over what their
// conditions are to say. It reports whether something of that is left.
func (a *announced) round(now time.Time) bool {
	snapshot := a.read()
	a.in = intent.Resolve(a.in, snapshot)
	if held := notForwarding(snapshot.States); !slices.Equal(held, a.held) {
		a.held, a.nodes = held, nil
	}
	a.nodes = plan.ForNodes(a.nodes, a.in, func(n *intent.Node) plan.NodeFacts {
		return plan.NodeFacts{Name: n.Name, Forwarding: n.Ready && !slices.Contains(a.held, n.Name)}
	})
	left := a.tellAll(snapshot, now)
	return a.judge(snapshot, now) || left
}

// judge works out what the Services' conditions are to say. It reports whether
// some of it is held back.
func (a *announced) judge(snapshot *intent.Snapshot, now time.Time) bool {
	layer2, known := a.layer2()
	if !known {
		return false // their first list makes another round
	}
	a.states.take(snapshot.States, a.in.Nodes)
	a.all = status.NewAnnouncements(a.all, status.Sources{
		Intent: a.in, BGP: a.nodes, Layer2: layer2, Reports: a.states.reports, Conflicts: a.states.conflicts,
	})
	return a.gate.round(a.in.Services, a.all.Each, snapshot.Services, now)
}

// tellAll tells what is due. It reports whether something is left to tell.
func (a *announced) tellAll(snapshot *intent.Snapshot, now time.Time) bool {
	first := a.tellers == nil
	if first {
		a.tellers = map[intent.Key]*teller{}
	}
	left, tells := false, 0
	a.rounds++
	for i, s := range a.in.Services {
		nodes := a.nodes.Reaches[i].Nodes
		t := a.tellers[s.Key]
		if t == nil {
			if len(nodes) == 0 {
				continue
			}
			t = &teller{since: now, now: nodes}
			if first && !s.AssignedSince.IsZero() && now.Sub(s.AssignedSince) > toldBefore {
				t.told = nodes
			}
			a.tellers[s.Key] = t
		}
		t.seen = a.rounds
		if !sameNodes(t.now, nodes) {
			t.now, t.since = nodes, now
		}
		switch {
		case sameNodes(t.now, t.told):
		case len(t.now) == 0:
			t.told = nil // that it is announced again will be news
		case now.Sub(t.since) < settleTime || now.Sub(t.at) < tellInterval || tells == tellsPerRound:
			left = true
		default:
			a.tell(snapshot, s.Key, t, now)
			tells++
		}
	}
	for key, t := range a.tellers {
		if t.seen != a.rounds {
			delete(a.tellers, key)
		}
	}
	return left
}

// sameNodes compares lists that Services share, so that mostly a look at where they
// begin tells.
func sameNodes(a, b []string) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

func (a *announced) tell(s *intent.Snapshot, key intent.Key, t *teller, now time.Time) {
	t.told, t.at = t.now, now
	svc := objectOf(s.Services, key)
	if svc == nil {
		return
	}
	a.event(svc, announcedFrom(t.now))
	a.options.Log.V(1).Info("service is announced", "service", key.String(), "node", t.now)
}

// announcedFrom is the text of the event. For one node it is MetalLB's; of many it
// names the first ten.
func announcedFrom(nodes []string) string {
	const most = 10
	quoted := make([]string, 0, most)
	for _, n := range nodes[:min(len(nodes), most)] {
		quoted = append(quoted, fmt.Sprintf("%q", n))
	}
	text := "announcing from node " + strings.Join(quoted, ", ")
	if len(nodes) > most {
		text += fmt.Sprintf(" and %d more", len(nodes)-most)
	}
	return text + ` with protocol "bgp"`
}

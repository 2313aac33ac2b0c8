// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/bmp"
	"metallb.io/metallb-frr/pkg/frr/vtysh"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/status"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// Options of a Speaker. They are required where nothing else is said.
type Options struct {
	// Node is the name of the node in Kubernetes.
	Node string
	// Cluster must have been made with Node in its own Options.
	Cluster *cluster.Cluster
	FRR     *vtysh.Driver
	// Questions is what FRR is asked through, beside FRR, so that a long load
	// holds no question up and a question without an answer no load; nil: FRR.
	Questions *vtysh.Driver
	BMP       *bmp.Listener
	// Document says where bgpd reports to and how the templates look.
	Document frr.Options
	// Findings are what is wrong with how the speaker was started; may be nil.
	Findings []intent.Finding
	Log      logr.Logger
	Metrics  *telemetry.Speaker
	Passes   *telemetry.Client
	// Owner is the speaker's own Pod, to own what it writes; may be zero.
	Owner Owner
	// DrainWait is the time that a node which leaves service gives the routers
	// between marking its routes and withdrawing them; 0: it does not mark.
	DrainWait time.Duration
	// ServiceStatus says whether ServiceBGPStatuses are written; empty: auto.
	ServiceStatus ServiceStatus
	// Layer2 says how addresses are announced by ARP and NDP; nil: not at all.
	Layer2 *Layer2
}

// Owner identifies the Pod that the speaker runs in.
type Owner struct{ Name, UID string }

// Speaker is one node's loop.
type Speaker struct {
	Options
	intent    *intent.Intent
	result    *plan.Result
	document  *frr.Document
	applied   frr.Applied
	sessions  *sessions
	forward   *forwarding
	follow    *follow
	layer2    *layer2 // nil without Options.Layer2
	l2status  *l2Statuses
	statuses  *serviceStatuses
	latest    atomic.Pointer[report] // to be published
	unwritten chan struct{}
	failure   string      // of the last pass; empty: none
	passed    bool        // a pass has succeeded
	late      atomic.Bool // Ready waits no longer
	aside     bool        // FRR is behind what was decided beside it
	lost      bool        // bgpd has gone since its last report
	found     bool        // FRR announced when the speaker started
	drain     *drain
	step      status.Step // as last told
	gauges    gauges
	asker     *asker
	drift     *drift
	daemons   chan vtysh.DaemonEvent
	news      *news // of layer 2
	// layer2says is published by report.
	layer2says layer2Report
}

// retryFirst and retryMost bound the pause after a pass that failed: FRR may be
// starting, or gone.
const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 2 * time.Second
)

// hanging is how long FRR may take for something before layer 2 does not wait for
// it any more with changes of the cluster. With what happens to other nodes it
// never does.
const hanging = 250 * time.Millisecond

// New returns a Speaker that Start runs.
func New(o Options) *Speaker {
	if o.Questions == nil {
		o.Questions = o.FRR
	}
	s := &Speaker{
		Options:   o,
		sessions:  newSessions(o.Log),
		forward:   newForwarding(o.Log),
		follow:    newFollow(o.Node, o.Log),
		unwritten: make(chan struct{}, 1),
		drain:     newDrain(o.DrainWait),
		gauges:    gauges{metrics: o.Metrics, node: o.Node},
		asker:     newAsker(o.Questions, o.Log),
		drift:     newDrift(),
		daemons:   make(chan vtysh.DaemonEvent),
		news:      newNews(o),
	}
	s.statuses = newServiceStatuses(o, s.wake)
	s.layer2, s.l2status = newLayer2(o), newL2Statuses(o)
	return s
}

// NeedLeaderElection: every node's speaker works.
func (s *Speaker) NeedLeaderElection() bool { return false }

// Start runs until ctx ends. FRR goes on as it is when the speaker stops: what
// withdraws a node's routes is the end of the frr container.
func (s *Speaker) Start(ctx context.Context) error {
	s.Passes.Starts()
	if err := s.Cluster.WaitSynced(ctx); err != nil {
		return fmt.Errorf("starting the speaker of node %s: %w", s.Node, err)
	}
	time.AfterFunc(readyLimit, func() { s.late.Store(true) })
	if err := s.layer2.start(ctx); err != nil {
		return fmt.Errorf("starting the speaker of node %s: %w", s.Node, err)
	}
	s.found = s.announces(ctx)
	s.forward.first(ctx, s.found)
	go s.forward.watch(ctx)
	go s.asker.run(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { s.publish(ctx) })
	beside.Go(func() { s.statuses.run(ctx) })
	beside.Go(func() { s.l2status.run(ctx) })
	beside.Go(func() { s.news.run(ctx) })
	go s.FRR.Watch(ctx, func(e vtysh.DaemonEvent) {
		select {
		case s.daemons <- e:
		case <-ctx.Done():
		}
	})
	s.loop(ctx)
	s.layer2.end()
	beside.Wait()
	return nil
}

// announces reports whether FRR has routes to announce now. An FRR that does not
// answer has none that we know of.
func (s *Speaker) announces(ctx context.Context) bool {
	var text string
	if err := s.FRR.Show(ctx, "show running-config", &text); err != nil {
		s.Log.V(1).Info("FRR does not answer yet", "node", s.Node, "reason", err.Error())
		return false
	}
	return len(frr.ParseRunning(text).Networks) > 0
}

func (s *Speaker) loop(ctx context.Context) {
	repeat := time.NewTicker(repeatEstablished)
	defer repeat.Stop()
	pause := retryFirst
	retry := time.NewTimer(0) // the first pass
	defer retry.Stop()
	for {
		work := true
		if s.aside {
			s.aside = false
			retry.Reset(0)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.Cluster.Changed():
		case <-s.forward.Changed():
		case <-s.follow.Changed():
		case <-s.layer2.Changed():
		case ev := <-s.layer2.Events():
			s.heardEngine(ev)
			work = false
		case <-s.layer2.Due():
			s.tellLayer2()
			work = false
		case <-retry.C:
		case <-s.drain.Due():
		case e := <-s.BMP.Events():
			work = s.heard(e)
			s.drift.within(checkSoon) // a session may have ended by hand
		case state := <-s.asker.answers:
			s.answered(state)
			work = false
		case e := <-s.daemons:
			work = s.daemon(e)
		case <-s.drift.timer.C:
			work = s.check(ctx)
		case <-repeat.C:
			s.sessions.repeat()
			s.layer2.look()
			work = false
		}
		if !work {
			continue
		}
		if err := s.pass(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			s.drift.healthy = false
			s.failed(err)
			retry.Reset(pause)
			pause = min(2*pause, retryMost)
			continue
		}
		pause, s.failure = retryFirst, ""
	}
}

// failed counts a pass that failed, and logs it unless it fails as the one before:
// an FRR that restarts takes some tries.
func (s *Speaker) failed(err error) {
	text := err.Error()
	again := text == s.failure
	s.failure = text
	if errors.Is(err, vtysh.ErrDraining) {
		if s.drift.sync.Draining = true; !again {
			s.Log.Info("the frr container is leaving; nothing is loaded until it is back", "node", s.Node)
			s.report()
		}
		return
	}
	s.Passes.UpdateErrors.Inc()
	if !again {
		s.Log.Error(err, "pass failed, trying again", "node", s.Node)
		s.drift.sync.LoadError, s.drift.sync.Draining = text, false
		s.report()
	}
}

// heard takes in what bgpd reported and says whether a pass is due: bgpd that
// went away may come back with another configuration, or with none.
func (s *Speaker) heard(e bmp.Event) bool {
	switch e.Kind {
	case bmp.Disconnected:
		if s.result != nil && len(s.result.Plan.Routers) == 0 {
			s.sessions.lostAll("no longer configured") // with the last peer
			s.report()
			return false
		}
		s.Log.Info("bgpd is gone", "node", s.Node)
		s.lost = true
		s.FRR.Forget()
		s.sessions.lostAll("bgpd ended")
		s.report()
		return true
	case bmp.Connected:
		s.Log.V(1).Info("bgpd reports its sessions", "node", s.Node)
		if s.lost {
			s.lost = false
			s.FRR.Forget()
			return true
		}
		return false
	}
	ask := s.sessions.heard(e)
	s.asker.ask(s.sessions, ask, true)
	s.report()
	return false
}

// decide reads what the cluster says now, plans, and puts in force what is
// announced in layer 2. It returns the node, and the Intent as BGP goes by it.
func (s *Speaker) decide(ctx context.Context) (*intent.Node, *intent.Intent) {
	s.intent = intent.Resolve(s.intent, s.Cluster.Read())
	node := s.intent.Node(s.Node)
	facts := plan.NodeFacts{
		Name: s.Node, Forwarding: s.forward.ready(node),
		Marking: s.drain.next(node != nil && node.Leaving != nil, s.announcing()),
		Alive:   s.layer2.alive(s.intent.Config), Held: s.Cluster.Held(), Passed: s.follow.show(ctx, s.intent),
	}
	before := s.result
	s.result = plan.ForNode(before, s.intent, facts)
	logDecisions(s.Log, before, s.result)
	s.tellFailures(before)
	s.layer2.apply(s.intent, s.result, s.follow.addresses(), facts.Forwarding)
	if !s.passed {
		s.report() // what FRR is not needed for
	}
	return node, facts.Passed
}

// pass brings FRR to what the cluster says now.
func (s *Speaker) pass(ctx context.Context) error {
	began := time.Now()
	node, passed := s.decide(ctx)
	result := s.result
	document, err := frr.Build(s.document, result.Plan, s.Document)
	if err != nil {
		return err
	}
	s.document = document
	s.sessions.plan(result.Plan)
	s.asker.label(s.sessions)
	s.pause(began)
	var applied frr.Applied
	s.beside(ctx, func() { applied, err = s.FRR.Apply(ctx, document) })
	if err != nil {
		return fmt.Errorf("applying the FRR configuration: %w", err)
	}
	was := s.applied
	s.took(applied)
	s.logApplied(was, time.Since(began))
	s.drain.applied()
	s.tell(s.inService(node))
	s.passed, s.drift.healthy = true, true
	s.drift.sync.LoadError, s.drift.sync.Draining = "", false
	s.Passes.Updates.Inc()
	s.gauges.set(result)
	s.asker.ask(s.sessions, false, false)
	s.statuses.offer(passed, result)
	s.Passes.Resolved(status.Stale(s.findings()))
	s.report()
	return nil
}

// beside calls f, which asks something of FRR, and looks after layer 2 until it
// returns: an FRR that hangs must not keep the node from taking over addresses. f
// must touch nothing that decide does.
func (s *Speaker) beside(ctx context.Context, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	var changes <-chan struct{}
	hangs := time.NewTimer(hanging)
	defer hangs.Stop()
	for {
		select {
		case <-done:
			return
		case <-hangs.C:
			changes = s.layer2.lately(s.Cluster.Changed())
			continue
		case <-s.layer2.Changed():
		case <-changes:
		case ev := <-s.layer2.Events():
			s.heardEngine(ev)
			continue
		case <-s.layer2.Due():
			s.tellLayer2()
			continue
		}
		s.decide(ctx)
		s.aside = true
	}
}

// took notes what became of the present Document.
func (s *Speaker) took(applied frr.Applied) {
	applied.Refused = slices.Concat(applied.Refused, s.document.Unrendered)
	s.applied = applied
}

// logApplied logs what was applied and, of what FRR refuses, what was not refused
// before.
func (s *Speaker) logApplied(before frr.Applied, took time.Duration) {
	if s.applied.Commands > 0 {
		s.Log.V(1).Info("configuration applied", "node", s.Node, "commands", s.applied.Commands, "took", took.String())
	}
	known := map[string]bool{}
	for _, r := range before.Refused {
		known[r.Line.Text+r.Message] = true
	}
	for _, r := range s.applied.Refused {
		if !known[r.Line.Text+r.Message] {
			s.Log.Info("FRR refuses a line", "node", s.Node, "line", intent.Masked(r.Line.Text), "reason", r.Message, "objects", fmt.Sprint(r.Origins))
		}
	}
}

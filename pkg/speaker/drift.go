// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/vtysh"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/status"
)

// checkEvery is how often FRR's running configuration is compared with what was
// configured. After an event that may have to do with a change, such as the end
// of a session, it is done checkSoon later, and not more often than that.
const (
	checkEvery = 10 * time.Second
	checkSoon  = time.Second
)

// reviveFor is how long after the return of zebra or bfdd BFD sessions are looked
// at, every checkSoon: the daemons find each other again within that time.
const reviveFor = 15 * time.Second

// drift is what the loop knows of others' changes to FRR.
type drift struct {
	sync    status.Sync
	timer   *time.Timer // the next check, or the end of a pause
	next    time.Time   // when timer is due
	down    map[string]bool
	revive  time.Time // until then BFD sessions are looked at
	known   string    // the differences that were reported last
	pause   string    // the value of the Node's annotation, as of the last look
	healthy bool      // the last pass succeeded
}

func newDrift() *drift {
	t := time.NewTimer(checkEvery)
	return &drift{timer: t, next: time.Now().Add(checkEvery), down: map[string]bool{}}
}

// within has the next check no later than after d.
func (d *drift) within(after time.Duration) {
	if at := time.Now().Add(after); at.Before(d.next) {
		d.schedule(at)
	}
}

func (d *drift) schedule(at time.Time) {
	d.next = at
	d.timer.Reset(max(0, time.Until(at)))
}

// check compares FRR with what was configured, and repairs it unless an operator
// has paused that. It reports whether a pass is due: FRR must be read back.
func (s *Speaker) check(ctx context.Context) bool {
	now := time.Now()
	s.drift.schedule(now.Add(checkEvery))
	before := s.drift.sync.Condition(nil, now)
	defer func() {
		if after := s.drift.sync.Condition(nil, now); !status.SameCondition(&before, &after) {
			s.report()
		}
	}()
	s.pause(now)
	if !s.drift.healthy {
		return false // the pass that is tried again finds out
	}
	var found []frr.Command
	var err error
	s.beside(ctx, func() { found, err = s.FRR.Drift(ctx) })
	if ctx.Err() != nil {
		return false
	}
	switch {
	case errors.Is(err, vtysh.ErrUnknown):
		return true
	case errors.Is(err, vtysh.ErrDraining):
		s.drift.sync.Draining = true
	case err != nil:
		s.FRR.Forget()
		return true
	case len(found) > 0:
		s.drifted(ctx, found)
	default:
		s.drift.sync.Found, s.drift.sync.RepairError, s.drift.known = nil, "", ""
		s.drift.sync.Draining = false
	}
	if now.Before(s.drift.revive) {
		s.reviveBFD(ctx)
		s.drift.within(checkSoon)
	}
	return false
}

// drifted reports what somebody else has changed, once, and sets it right.
func (s *Speaker) drifted(ctx context.Context, found []frr.Command) {
	d := s.drift
	d.sync.Found = found
	text := status.Differences(found)
	fresh := text != d.known
	d.known = text
	paused := !d.sync.PausedUntil.IsZero()
	if fresh {
		s.Metrics.Drift.Detected.Inc()
		s.Log.Info("FRR's configuration was changed by somebody else", "node", s.Node, "commands", len(found), "lines", text, "paused", paused)
	}
	if paused {
		if fresh {
			s.event(corev1.EventTypeWarning, status.ReasonDrift, "FRR's configuration was changed; repairs are paused; "+text)
		}
		return
	}
	began := time.Now()
	var r vtysh.Repaired
	var err error
	document := s.document
	s.beside(ctx, func() { r, err = s.FRR.Repair(ctx, document) })
	if errors.Is(err, vtysh.ErrDraining) {
		d.sync.Draining = true
		return
	}
	if err != nil {
		d.sync.RepairError = err.Error()
		d.within(checkSoon)
		if fresh {
			s.event(corev1.EventTypeWarning, status.ReasonRepairFailed, "FRR's configuration was changed and could not be set right: "+err.Error()+"; "+text)
			s.Log.Error(err, "repair failed, trying again", "node", s.Node)
		}
		return
	}
	d.sync.Found, d.sync.RepairError, d.known = nil, "", ""
	was := s.applied
	s.took(r.Applied)
	s.logApplied(was, time.Since(began))
	s.report()
	if len(r.Odd) > 0 {
		s.Log.Info("FRR prints lines in another form than they are written; write them in FRR's", "node", s.Node, "lines", status.Differences(r.Odd))
	}
	if len(r.Odd) == len(r.Found) {
		return // nobody changed anything
	}
	s.Metrics.Drift.Repairs.Inc()
	s.event(corev1.EventTypeWarning, status.ReasonDrift, setRight(text))
	s.Log.Info("FRR's configuration is set right", "node", s.Node, "commands", r.Commands, "took", time.Since(began).String())
}

// pause takes in whether the Node's annotation pauses repairs.
func (s *Speaker) pause(now time.Time) {
	d := s.drift
	value := annotation(s.Cluster.Read().Nodes, s.Node, v1beta1.AnnotationPauseRepairs)
	until, err := status.PauseUntil(value, now)
	wrong := ""
	switch {
	case err != nil && value == d.pause && d.sync.InvalidPause != "":
		wrong = d.sync.InvalidPause // its example of a time is another each time
	case err != nil:
		wrong = err.Error()
	}
	d.pause = value
	if wrong != d.sync.InvalidPause && wrong != "" {
		s.event(corev1.EventTypeWarning, status.ReasonInvalidPause, wrong)
		s.Log.Info("repairs are not paused", "node", s.Node, "reason", wrong)
	}
	d.sync.InvalidPause = wrong
	was := d.sync.PausedUntil
	d.sync.PausedUntil = until
	s.FRR.Tolerate(!until.IsZero())
	switch {
	case !until.IsZero():
		s.Metrics.Drift.Paused.Set(1)
		if left := until.Sub(now); left < checkEvery {
			d.within(left)
		}
		if !until.Equal(was) {
			s.Log.Info("repairs of FRR's configuration are paused", "node", s.Node, "until", until.UTC().Format(time.RFC3339))
		}
	case !was.IsZero():
		s.Metrics.Drift.Paused.Set(0)
		d.known = "" // what was tolerated is reported as it is set right
		d.within(0)
		s.Log.Info("repairs of FRR's configuration go on", "node", s.Node)
	}
}

// annotation returns the annotation of the node of that name; nodes are sorted.
func annotation(nodes []*corev1.Node, name, key string) string {
	i, ok := slices.BinarySearchFunc(nodes, name, func(n *corev1.Node, name string) int { return cmp.Compare(n.Name, name) })
	if !ok {
		return ""
	}
	return nodes[i].Annotations[key]
}

// daemon takes in that a daemon of FRR's has ended or is there, and reports
// whether a pass is due: it may have come back with nothing.
func (s *Speaker) daemon(e vtysh.DaemonEvent) bool {
	d := s.drift
	switch {
	case !e.Up:
		d.down[e.Daemon] = true
		draining := s.FRR.Draining()
		s.Log.Info("FRR daemon is gone", "node", s.Node, "daemon", e.Daemon, "draining", draining)
		if draining {
			break // in order
		}
		s.Metrics.Drift.Losses.WithLabelValues(e.Daemon).Inc()
		s.event(corev1.EventTypeWarning, status.ReasonDaemonLost, lost(e.Daemon))
	case d.down[e.Daemon]:
		delete(d.down, e.Daemon)
		s.Log.Info("FRR daemon is back", "node", s.Node, "daemon", e.Daemon)
		if e.Daemon == "zebra" || e.Daemon == "bfdd" {
			d.revive = time.Now().Add(reviveFor)
		}
		d.within(checkSoon) // frr.conf may be loaded beside us, an old one
	default:
		return !d.healthy // we may be waiting for it
	}
	s.FRR.Forget()
	return true
}

func (s *Speaker) reviveBFD(ctx context.Context) {
	var n int
	var err error
	s.beside(ctx, func() { n, err = s.FRR.ReviveBFD(ctx) })
	switch {
	case err != nil && ctx.Err() == nil:
		s.Log.Error(err, "BFD sessions not looked at", "node", s.Node)
	case n > 0:
		s.Log.Info("BFD sessions that bgpd had not asked for again are revived", "node", s.Node, "sessions", n)
	}
}

// setRight and lost are the texts of events.
func setRight(differences string) string {
	return "FRR's configuration was changed by somebody else and is set right; " + differences
}

func lost(daemon string) string {
	return "FRR's " + daemon + " has ended; its configuration is loaded again when it is back"
}

// event records an event about the speaker's own ConfigurationState.
func (s *Speaker) event(kind string, reason intent.Reason, message string) {
	name := v1beta1.SpeakerStatePrefix + s.Node
	o := s.Cluster.State(name)
	if o == nil {
		o = &v1beta1.ConfigurationState{}
		o.Namespace, o.Name = s.Cluster.Namespace(), name
	}
	s.Cluster.Event(o, kind, string(reason), message)
}

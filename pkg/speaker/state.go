// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/vtysh"
)

// What bgpd pushes says nothing of BFD, and names neither unnumbered sessions nor
// VRFs. FRR is asked about those: at each event, then every askSettling for
// aftermath, or until all BFD sessions are up, at most for settling, and every
// askUsual from then on. While BFD sessions are on their way up, only an event
// makes us ask about neighbours. A session in a VRF is asked about every
// askSettling while bgpd has not reported any such: it may not reach us from
// there. A question costs FRR under a millisecond, whatever the number of routes.
const (
	askSettling = time.Second
	aftermath   = 5 * time.Second // BFD notices a loss later than BGP, or is set up anew
	settling    = time.Minute
	askUsual    = 10 * time.Second
	askLimit    = 5 * time.Second
)

// asker asks FRR, beside the loop.
type asker struct {
	log     logr.Logger
	frr     *vtysh.Driver
	answers chan *answer
	wake    chan struct{}

	mu    sync.Mutex
	want  questions
	now   bool                  // the neighbours are to be asked about, whatever want says
	event time.Time             // the last one
	ports map[sessionKey]uint16 // as configured
}

// questions are what there is to be asked.
type questions struct {
	bfd       int  // sessions with BFD
	open      int  // those whose BFD session is not up
	neighbors int  // sessions that are not pushed
	vrf       bool // one of them is in a VRF, and bgpd has not reported any such
}

// answer is FRR's.
type answer struct {
	state     *frr.State
	neighbors bool // they are part of it
	at        time.Time
}

func newAsker(f *vtysh.Driver, log logr.Logger) *asker {
	return &asker{log: log, frr: f, answers: make(chan *answer), wake: make(chan struct{}, 1), ports: map[sessionKey]uint16{}}
}

// ask has questions asked where the sessions call for any: at once after an
// event, and where what is to be asked has changed. neighbors: also about those
// that are pushed.
func (a *asker) ask(t *sessions, neighbors, event bool) {
	var want questions
	for _, s := range t.byKey {
		if !s.planned {
			continue
		}
		if s.wantBFD {
			want.bfd++
			if s.bfd != "up" {
				want.open++
			}
		}
		if s.asked() {
			want.neighbors++
			want.vrf = want.vrf || s.vrf != "" && !t.pushed
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := want.bfd != a.want.bfd || want.neighbors != a.want.neighbors
	a.want, a.now = want, a.now || neighbors
	if !event && !changed {
		return
	}
	a.event = time.Now()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// run asks until ctx ends.
func (a *asker) run(ctx context.Context) {
	timer := time.NewTimer(askUsual)
	defer timer.Stop()
	failure := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-timer.C:
		}
		if answer, err := a.once(ctx); err != nil {
			if text := err.Error(); text != failure && ctx.Err() == nil {
				failure = text
				a.log.V(1).Info("FRR does not say how its sessions are", "reason", text)
			}
		} else if failure = ""; answer != nil {
			select {
			case a.answers <- answer:
			case <-ctx.Done():
			}
		}
		timer.Reset(a.pause(time.Now()))
	}
}

// once asks what is to be asked; nil: nothing.
func (a *asker) once(ctx context.Context) (_ *answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	var said frr.Answers
	want, neighbors := a.next(time.Now())
	defer func() {
		if neighbors && err != nil { // what was heard is still not known
			a.mu.Lock()
			defer a.mu.Unlock()
			a.now = true
		}
	}()
	out := &answer{neighbors: neighbors}
	if out.neighbors {
		if err := a.frr.Show(ctx, frr.ShowNeighbors, &said.Neighbors); err != nil {
			return nil, err
		}
	}
	if want.bfd > 0 {
		if err := a.frr.Show(ctx, frr.ShowBFDPeers, &said.BFDPeers); err != nil {
			return nil, err
		}
	}
	if !out.neighbors && want.bfd == 0 {
		return nil, nil
	}
	state, err := frr.FromJSON(said)
	if err != nil {
		return nil, err
	}
	out.state, out.at = state, time.Now()
	return out, nil
}

// next takes what is to be asked now, and whether neighbours are part of it.
func (a *asker) next(at time.Time) (want questions, neighbors bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.want
	neighbors = w.neighbors > 0 && (a.now || w.vrf || w.open == 0 || at.Sub(a.event) >= settling)
	a.now = false
	return w, neighbors
}

// pause is how long after the last question the next one is due.
func (a *asker) pause(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	past := now.Sub(a.event)
	if a.want.vrf || past < aftermath || a.want.open > 0 && past < settling {
		return askSettling
	}
	return askUsual
}

// answered takes in what FRR said, and reports it where it is new.
func (s *Speaker) answered(a *answer) {
	if a.at.Before(s.sessions.lost) {
		s.asker.ask(s.sessions, a.neighbors, true) // it is that of a bgpd that has ended
		return
	}
	changed := false
	if a.neighbors {
		changed = s.sessions.saw(a.state, a.at)
	}
	if s.sessions.sawBFD(a.state, a.at) {
		changed = true
	}
	s.asker.ask(s.sessions, false, false)
	if changed {
		s.report()
	}
}

// label notes the sessions' TCP ports for State.
func (a *asker) label(t *sessions) {
	ports := make(map[sessionKey]uint16, len(t.byKey))
	for key, s := range t.byKey {
		if s.planned {
			ports[key] = s.port
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ports = ports
}

// State asks FRR for all of its sessions, with counters. Their ports are those
// that are configured, so that a session is the same one while it is down. It may
// be called from any goroutine.
func (s *Speaker) State(ctx context.Context) (*frr.State, error) {
	var said frr.Answers
	for _, q := range []struct {
		show string
		out  *string
	}{{frr.ShowNeighbors, &said.Neighbors}, {frr.ShowBFDPeers, &said.BFDPeers}, {frr.ShowBFDCounters, &said.BFDCounters}} {
		if err := s.Questions.Show(ctx, q.show, q.out); err != nil {
			return nil, err
		}
	}
	state, err := frr.FromJSON(said)
	if err != nil {
		return nil, err
	}
	s.asker.mu.Lock()
	ports := s.asker.ports
	s.asker.mu.Unlock()
	for i := range state.Sessions {
		at := &state.Sessions[i]
		if port, ok := ports[sessionKey{at.VRF, at.Neighbor}]; ok {
			at.Port = port
		} else if at.Port == 0 {
			at.Port = 179 // typed by hand, and not connected
		}
	}
	return state, nil
}

// Alive returns an error unless each of FRR's daemons answers.
func (s *Speaker) Alive(ctx context.Context) error {
	var text string
	if err := s.Questions.Show(ctx, "show logging", &text); err != nil {
		return err
	}
	for _, d := range vtysh.Daemons() {
		if !slices.ContainsFunc(strings.Split(text, "\n"), func(l string) bool {
			return strings.HasPrefix(l, "Logging configuration for "+d)
		}) {
			return fmt.Errorf("asking FRR's daemons: %w", &vtysh.DownError{Daemon: d})
		}
	}
	return nil
}

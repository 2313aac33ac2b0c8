// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/members"
	"metallb.io/metallb-frr/pkg/plan"
)

// joinLimit bounds how long what the membership says is not believed because some
// speaker, perhaps a dead one, was not reached: the others may know of us already
// and count on us.
const joinLimit = time.Second

// membership is this node's among the speakers. It lasts while the node passes on
// what arrives: who is not a member is given no addresses by the others.
type membership struct {
	begin   func() (*members.Members, error)
	peers   peers
	told    func() // alive may say something else
	log     logr.Logger
	now     atomic.Pointer[members.Members] // nil: none, or those of others are not known
	joined  atomic.Bool                     // it was a member once
	noticed atomic.Int64                    // when it said something else, since the last pass; 0: it did not

	failed string // why it did not begin; only run touches it

	mu    sync.Mutex
	stop  context.CancelFunc // of the present one; nil: none is wanted
	ended chan struct{}      // closed once the one before has ended
}

// peers says where other speakers may be; a Cluster does.
type peers interface {
	PeerAddrs() []netip.Addr
	PeersChanged() <-chan struct{}
}

func newMembership(begin func() (*members.Members, error), p peers, told func(), log logr.Logger) *membership {
	ended := make(chan struct{})
	close(ended)
	return &membership{begin: begin, peers: p, told: told, log: log, ended: ended}
}

// alive returns the members that are alive; nobody as long as the node is none, or
// does not know the others.
func (m *membership) alive() *plan.Alive {
	if now := m.now.Load(); now != nil {
		return now.Alive()
	}
	return nobody
}

// since returns when a change was noticed that the pass is the first to see; zero:
// there was none.
func (m *membership) since() time.Time {
	if at := m.noticed.Swap(0); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

func (m *membership) tell() {
	m.noticed.CompareAndSwap(0, time.Now().UnixNano())
	m.told()
}

// want has the node be a member, or not. It does not wait.
func (m *membership) want(member bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case member == (m.stop != nil):
	case !member:
		m.stop()
		m.stop = nil
	default:
		ctx, stop := context.WithCancel(context.Background())
		before, ended := m.ended, make(chan struct{})
		m.stop, m.ended = stop, ended
		go func() {
			defer close(ended)
			<-before
			m.run(ctx)
		}()
	}
}

// end ends it, and returns when the others have been told.
func (m *membership) end() {
	m.want(false)
	m.mu.Lock()
	ended := m.ended
	m.mu.Unlock()
	<-ended
}

// run is a member until ctx ends.
func (m *membership) run(ctx context.Context) {
	for m.peers.PeerAddrs() == nil { // not listed yet: nobody can be joined
		select {
		case <-ctx.Done():
			return
		case <-m.peers.PeersChanged():
		}
	}
	now := m.started(ctx)
	if now == nil {
		return
	}
	defer func() {
		m.now.Store(nil)
		if err := now.Close(); err != nil {
			m.log.Error(err, "membership not ended")
		}
		m.tell()
	}()
	now.Join(m.peers.PeerAddrs())
	joined, limit := now.Joined(), time.After(joinLimit)
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.peers.PeersChanged():
			now.Join(m.peers.PeerAddrs())
		case <-joined:
			joined, limit = nil, nil
			m.join(now)
		case <-limit:
			joined, limit = nil, nil
			m.join(now)
		case <-now.Changed():
			m.tell()
		}
	}
}

// join has what the membership says count.
func (m *membership) join(now *members.Members) {
	m.now.Store(now)
	m.joined.Store(true)
	m.tell()
}

// started begins, again and again until it succeeds; nil when ctx ends.
func (m *membership) started(ctx context.Context) *members.Members {
	for ctx.Err() == nil {
		now, err := m.begin()
		if err == nil {
			m.failed = ""
			return now
		}
		if text := err.Error(); text != m.failed {
			m.failed = text
			m.log.Error(err, "not a member of the speakers, trying again; the node announces nothing in layer 2")
		}
		_ = wait(ctx, retryMost)
	}
	return nil
}

// readyLimit is when a speaker that could not become a member counts as ready all
// the same.
const readyLimit = 40 * time.Second

// Ready returns an error until the node takes part in layer 2, so that a rolling
// update goes on to the next node only then: the addresses of that one may come to
// this. It is a readiness check, and once it has passed it passes.
func (s *Speaker) Ready(*http.Request) error {
	if s.layer2 == nil || s.layer2.members == nil || s.layer2.members.joined.Load() || s.late.Load() {
		return nil
	}
	return errors.New("not a member of the speakers yet")
}

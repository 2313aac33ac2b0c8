// SPDX-License-Identifier: Apache-2.0

package product

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/wire"
)

const (
	// lanAskPause is how often the network is asked for each address: the
	// resolution of what is measured there.
	lanAskPause = 5 * time.Millisecond
	// lanSilence is for how long an owner that is asked all the time must say
	// nothing before it counts as silent.
	lanSilence = 5 * lanAskPause
	// lanRequestPause is how often a request begins, to each port.
	lanRequestPause = 10 * time.Millisecond
	// lanRequestLimit is below the second after which TCP tries again to connect:
	// who finds nobody there has failed.
	lanRequestLimit = 900 * time.Millisecond
	// lanAnswers is how long a watch goes on for answers that are late.
	lanAnswers = 500 * time.Millisecond
)

// A LANWatch sees how a client on the nodes' own network fares: who says that they
// have the addresses that it uses, asked each 5 ms by another client, and what becomes
// of a request each 10 ms over a connection of its own.
type LANWatch struct {
	*wire.Capture
	client   wire.MAC
	began    time.Time
	asker    *wire.Asker
	requests []*lanRequests
}

// LANOutage is what the client went without, at one port of an address.
type LANOutage struct {
	To netip.AddrPort
	// Unanswered is the longest time for which the owner that the client knew, or
	// anybody while it knew none, did not answer ARP or neighbour discovery, from
	// the first question without an answer, and UnansweredAt when that was. Below
	// 25 ms it is 0.
	Unanswered   time.Duration
	UnansweredAt time.Time
	// Shared is the longest time for which two nodes answered.
	Shared time.Duration
	// Unasked is the longest time for which the machine was too busy to ask; what
	// was then is not known.
	Unasked time.Duration
	// Owners are those that claimed the address, in turn, and Heard what was heard
	// of it.
	Owners []wire.Tenure
	Heard  wire.Record
	// Requests is how many there were, and Failed how many of them had no answer
	// within 0.9 s, with the error of one.
	Requests, Failed int
	LastError        error
	// Outage is the longest time for which requests failed: from when the first
	// of those in a row began to when the last did, and the pause after it. A
	// connection that is open when the address moves may fail, and counts.
	// OutageAt is when the first began.
	Outage   time.Duration
	OutageAt time.Time
}

// String returns a line.
func (o LANOutage) String() string {
	var owners []string
	for _, t := range o.Owners {
		owners = append(owners, fmt.Sprintf("%s %s-%s", t.Who(), t.From.Format("05.000"), t.Until.Format("05.000")))
	}
	text := fmt.Sprintf("%s: unanswered for %d ms%s, two owners for %d ms, not asked for %d ms; %d of %d requests failed, for %d ms%s; owners %s",
		o.To, o.Unanswered.Milliseconds(), from(o.UnansweredAt), o.Shared.Milliseconds(), o.Unasked.Milliseconds(),
		o.Failed, o.Requests, o.Outage.Milliseconds(), from(o.OutageAt), strings.Join(owners, ", "))
	if o.LastError != nil {
		text += fmt.Sprintf("; last error: %v", o.LastError)
	}
	return text
}

// Around is what was heard around the time for which the address was unanswered, but
// for questions to everybody and, of answers of one to another in a row, all but the
// last.
func (o LANOutage) Around() wire.Record {
	const apart = 100 * time.Millisecond
	var out wire.Record
	for _, f := range o.Heard.Between(o.UnansweredAt.Add(-apart), o.UnansweredAt.Add(o.Unanswered+apart)) {
		if f.Kind == wire.Query && f.Dst.Multicast() {
			continue
		}
		if f.Kind == wire.Claim && slices.ContainsFunc(out[max(0, len(out)-1):], func(l wire.Frame) bool {
			return l.Kind == f.Kind && l.MAC == f.MAC && l.Dst == f.Dst && f.Time.Sub(l.Time) < lanSilence
		}) {
			out[len(out)-1].Time = f.Time
			continue
		}
		out = append(out, f)
	}
	return out
}

func from(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(" from 05.000")
}

// WatchLAN begins to watch how the lab's first client on the nodes' network reaches
// TCP ports of the lab's web app; the second one asks, since who asks hears the
// answers. It ends with [LANWatch.Stop].
func WatchLAN(ctx context.Context, l *lab.Lab, to ...netip.AddrPort) (*LANWatch, error) {
	fail := func(err error) (*LANWatch, error) {
		return nil, fmt.Errorf("watching %v from the nodes' network: %w", to, err)
	}
	if l.Spec.LANClients < 2 {
		return fail(errors.New("it takes two clients there"))
	}
	client := l.LANClient(0)
	mac, err := client.MAC()
	if err != nil {
		return fail(err)
	}
	var addrs []netip.Addr
	for _, t := range to {
		if !slices.Contains(addrs, t.Addr()) {
			addrs = append(addrs, t.Addr())
		}
	}
	capture, err := l.Capture()
	if err != nil {
		return fail(err)
	}
	asker, err := l.LANClient(1).Ask(lanAskPause, addrs...)
	if err != nil {
		_, cerr := capture.Stop()
		return fail(errors.Join(err, cerr))
	}
	w := &LANWatch{Capture: capture, client: mac, began: time.Now(), asker: asker}
	for _, t := range to {
		w.requests = append(w.requests, startLANRequests(ctx, client, t))
	}
	return w, nil
}

// Owned waits until one node alone, of those that may, has answered for the address
// for half a second, not before after. It returns the node's name.
func (w *LANWatch) Owned(ctx context.Context, after time.Time, addr netip.Addr, may func(member string) bool) (string, error) {
	const alone = 500 * time.Millisecond
	var first wire.Frame
	f, err := w.Wait(ctx, after, func(f wire.Frame) bool {
		if claimed, ok := f.Claimed(); !ok || claimed != addr {
			return false
		}
		if f.MAC != first.MAC {
			first = f
		}
		return may(f.Member) && f.Time.Sub(first.Time) >= alone
	})
	if err != nil {
		return "", fmt.Errorf("waiting for an owner of %s, at last it was %s: %w", addr, first.Who(), err)
	}
	return f.Member, nil
}

// Stop ends the watch and returns what was seen from its beginning, for each port.
func (w *LANWatch) Stop(ctx context.Context) ([]LANOutage, error) {
	until := time.Now()
	for _, r := range w.requests {
		r.stop()
	}
	// What was asked by now has its time to be answered.
	_, err := w.Wait(ctx, until.Add(lanAnswers), func(f wire.Frame) bool { return f.Kind == wire.Query })
	err = errors.Join(err, w.asker.Stop())
	record, cerr := w.Capture.Stop()
	if err = errors.Join(err, cerr); err != nil {
		return nil, fmt.Errorf("watching the nodes' network: %w", err)
	}
	var all []LANOutage
	for _, r := range w.requests {
		o := LANOutage{To: r.to}
		o.addRequests(r.made)
		o.addRecord(record, w.client, w.began, until)
		all = append(all, o)
	}
	return all, nil
}

// addRecord says who answered for the address.
func (o *LANOutage) addRecord(r wire.Record, client wire.MAC, from, until time.Time) {
	o.Heard = r.Between(from, until).Of(o.To.Addr())
	o.Owners = o.Heard.Tenures(o.To.Addr(), 0)
	rule := wire.Rule{Addr: o.To.Addr(), Client: client, Limit: 1, Apart: lanSilence}
	for _, v := range r.Check(rule, from, until) {
		long := map[wire.Reason]*time.Duration{wire.NoOwner: &o.Unanswered, wire.TwoOwners: &o.Shared, wire.NotAsked: &o.Unasked}[v.Reason]
		if v.Reason == wire.NoOwner && v.Until.Sub(v.From) > *long {
			o.UnansweredAt = v.From
		}
		*long = max(*long, v.Until.Sub(v.From))
	}
}

// lanRequests are the requests to one port.
type lanRequests struct {
	to     netip.AddrPort
	cancel context.CancelFunc
	done   chan struct{}

	mu   sync.Mutex
	made []lanRequest
}

type lanRequest struct {
	began time.Time
	err   error
}

func startLANRequests(ctx context.Context, c *lab.Client, to netip.AddrPort) *lanRequests {
	ctx, cancel := context.WithCancel(ctx)
	r := &lanRequests{to: to, cancel: cancel, done: make(chan struct{})}
	go r.run(ctx, c.HTTP(lanRequestLimit))
	return r
}

func (r *lanRequests) run(ctx context.Context, client *http.Client) {
	defer close(r.done)
	each(ctx, lanRequestPause, func(ctx context.Context, _ time.Time) {
		began := time.Now() // not when it was due: the machine may be late
		_, err := Get(ctx, client, "http://"+r.to.String()+"/")
		r.mu.Lock()
		defer r.mu.Unlock()
		r.made = append(r.made, lanRequest{began, err})
	})
}

func (r *lanRequests) stop() {
	r.cancel()
	<-r.done
}

// addRequests says what became of the requests, which have stopped.
func (o *LANOutage) addRequests(made []lanRequest) {
	slices.SortFunc(made, func(a, b lanRequest) int { return a.began.Compare(b.began) })
	o.Requests = len(made)
	var first time.Time // of those that failed in a row
	for _, m := range made {
		if m.err == nil {
			first = time.Time{}
			continue
		}
		if first.IsZero() {
			first = m.began
		}
		o.Failed++
		o.LastError = m.err
		if long := m.began.Sub(first) + lanRequestPause; long > o.Outage {
			o.Outage, o.OutageAt = long, first
		}
	}
}

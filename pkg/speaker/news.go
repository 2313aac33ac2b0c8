// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/l2"
)

// news is what is told of layer 2 beside the loop: lines that stand for many, and
// events on Services and Nodes. Its methods never wait.
type news struct {
	node   string
	logger logr.Logger
	read   func() *intent.Snapshot
	event  func(obj eventObject, kind, reason, message string)
	work   chan struct{} // capacity 1

	mu     sync.Mutex
	bursts map[string]*burst // by reason
	said   map[notice]time.Time
	pruned time.Time
	ipvs   map[string]time.Time // nodes whose kernels answer, and when that was told

	warnings, normal waiting
}

// burst is what happened of a kind within a while.
type burst struct {
	lines  int
	folded int           // more than had a line of their own
	addrs  []netip.Addr  // the first of those
	took   time.Duration // the longest of those
}

func newNews(o Options) *news {
	return &news{
		node: o.Node, logger: o.Log, work: make(chan struct{}, 1),
		read:   func() *intent.Snapshot { return o.Cluster.Read() },
		event:  func(obj eventObject, kind, reason, message string) { o.Cluster.Event(obj, kind, reason, message) },
		bursts: map[string]*burst{}, said: map[notice]time.Time{}, ipvs: map[string]time.Time{},
	}
}

// log writes an event's line, or folds it into one with others. That an address is
// announced again where it was is no news: its line is at the debug level.
func (n *news) log(ev l2.Event, services []*intent.Service) {
	log, kind := n.logger, ev.Kind.String()
	known := ev.Kind == l2.Resumed || ev.Kind == l2.LinkFailed && !n.once(notice{reason: intent.Reason(kind), node: ev.Link, message: fmt.Sprint(ev.Err)}, sayAgain)
	if known || !n.single(kind, ev.Addr, ev.Took) {
		log = log.V(1)
	}
	if !log.Enabled() {
		return
	}
	words := layer2Words[ev.Kind]
	fields := []any{"node", n.node, "reason", kind, "why", words.why}
	add := func(there bool, key, value string) {
		if there {
			fields = append(fields, key, value)
		}
	}
	add(ev.Addr.IsValid(), "addr", ev.Addr.String())
	add(len(services) > 0, "service", keysOf(services))
	add(ev.Node != "", "other", ev.Node)
	add(ev.MAC != l2.MAC{}, "mac", ev.MAC.String())
	add(ev.Link != "", "link", ev.Link)
	add(ev.Kind == l2.TakenOver, "took", ev.Took.String())
	if ev.Err != nil {
		add(true, "error", ev.Err.Error())
	}
	log.Info(words.message, fields...)
}

// single reports whether something has a line of its own at the usual level. If
// not, it is folded into one with others.
func (n *news) single(reason string, addr netip.Addr, took time.Duration) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.bursts[reason]
	if b == nil {
		b = &burst{}
		n.bursts[reason] = b
		n.wake()
	}
	if b.lines < linesAtOnce {
		b.lines++
		return true
	}
	b.folded++
	b.took = max(b.took, took)
	if addr.IsValid() && len(b.addrs) < linesAtOnce {
		b.addrs = append(b.addrs, addr)
	}
	return false
}

// flush ends all bursts: what was folded has its line.
func (n *news) flush() {
	n.mu.Lock()
	bursts := n.bursts
	n.bursts = map[string]*burst{}
	n.mu.Unlock()
	for _, reason := range slices.Sorted(maps.Keys(bursts)) {
		b := bursts[reason]
		if b.folded == 0 {
			continue
		}
		fields := []any{"node", n.node, "reason", reason, "count", b.folded, "addr", fmt.Sprint(b.addrs)}
		if b.took > 0 {
			fields = append(fields, "took", b.took.String())
		}
		n.logger.Info("more of the same in layer 2", fields...)
	}
}

// once reports whether something was not said for a while, and takes it as said.
func (n *news) once(what notice, apart time.Duration) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if now.Sub(n.pruned) > apart {
		maps.DeleteFunc(n.said, func(_ notice, at time.Time) bool { return now.Sub(at) >= apart })
		n.pruned = now
	}
	if at, ok := n.said[what]; ok && now.Sub(at) < apart {
		return false
	}
	n.said[what] = now
	return true
}

// answers reports whether it is to be told that a node's kernel answers.
func (n *news) answers(node string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(n.ipvs, func(_ string, at time.Time) bool { return now.Sub(at) >= ipvsAgain })
	if _, told := n.ipvs[node]; told || len(n.ipvs) == ipvsMost {
		return false
	}
	n.ipvs[node] = now
	return true
}

func (n *news) wake() {
	select {
	case n.work <- struct{}{}:
	default:
	}
}

// run writes and sends what has gathered, until ctx ends.
func (n *news) run(ctx context.Context) {
	defer n.flush()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.work:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(burstTime):
		}
		n.flush()
		if n.send() {
			n.wake()
		}
	}
}

// keysOf names Services: the first three, and how many more there are.
func keysOf(services []*intent.Service) string {
	const most = 3
	names := make([]string, 0, most)
	for _, s := range services[:min(len(services), most)] {
		names = append(names, s.Key.String())
	}
	slices.Sort(names)
	text := strings.Join(names, ", ")
	if len(services) > most {
		text += fmt.Sprintf(" and %d more", len(services)-most)
	}
	return text
}

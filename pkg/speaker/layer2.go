// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/l2"
	"metallb.io/metallb-frr/pkg/links"
	"metallb.io/metallb-frr/pkg/members"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// Layer2 says how addresses are announced by ARP and NDP.
type Layer2 struct {
	// Period is the time between two unsolicited announcements of an address
	// after those of its beginning; 0: none.
	Period time.Duration
	// Exclude is the file that lists the interfaces to leave alone, as
	// links.WatchExclusion reads it; empty: none is left alone.
	Exclude string
	// Members starts the membership of the speakers. It is called once the node
	// passes on what arrives, since a member is given addresses. Nil: a node
	// counts as alive while it is Ready.
	Members func() (*members.Members, error)
}

const (
	// tellApart is the least time between two looks at what the engine has.
	tellApart = 100 * time.Millisecond
	// introduction bounds how long a speaker waits for its links to be published
	// before it becomes a member.
	introduction = 3 * time.Second
	// handOver bounds how long a speaker that ends goes on answering until others
	// have its addresses.
	handOver = 2 * time.Second
)

// layer2 makes the engine follow the plan, on the links that there are. Its methods
// are called by the loop, where nothing else is said.
type layer2 struct {
	Layer2
	node    string
	log     logr.Logger
	metrics *telemetry.Layer2
	engine  *l2.Engine    // nil before start
	members *membership   // nil without Layer2.Members
	changed chan struct{} // capacity 1
	due     *time.Timer   // a look at the engine
	armed   bool
	looked  time.Time

	mu       sync.Mutex // of what the watchers report
	links    []links.Link
	exclude  *links.Exclusion
	known    bool // links
	excluded bool // exclude

	config   *intent.Config // that the next two were made from
	ready    *plan.Alive
	stations map[l2.MAC]string
	counted  *plan.Alive // in the metrics
	applied  *plan.Result
	linksNow []l2.Link // in force
	foreign  map[netip.Addr]v1beta1.ForeignOwner
	met      bool      // introduced, once
	limit    time.Time // of the waiting for that
}

// newLayer2 returns nil without options.
func newLayer2(o Options) *layer2 {
	if o.Layer2 == nil {
		return nil
	}
	l := &layer2{
		Layer2: *o.Layer2, node: o.Node, log: o.Log, metrics: o.Metrics.Layer2, changed: make(chan struct{}, 1), due: time.NewTimer(time.Hour),
		foreign: map[netip.Addr]v1beta1.ForeignOwner{},
	}
	l.due.Stop()
	if l.Members != nil {
		l.members = newMembership(l.Members, o.Cluster, l.wake, o.Log)
	}
	return l
}

// Changed receives a value when a pass is due.
func (l *layer2) Changed() <-chan struct{} {
	if l == nil {
		return nil
	}
	return l.changed
}

// Events are the engine's.
func (l *layer2) Events() <-chan l2.Event {
	if l == nil {
		return nil
	}
	return l.engine.Events()
}

// Due receives a value when it is time to look at what the engine has.
func (l *layer2) Due() <-chan time.Time {
	if l == nil {
		return nil
	}
	return l.due.C
}

func (l *layer2) wake() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// start begins to watch. What it starts ends with ctx, but for the engine and the
// membership, which end does.
func (l *layer2) start(ctx context.Context) error {
	if l == nil {
		return nil
	}
	engine, err := l2.New(l2.Options{Node: l.node, Period: l.Period})
	if err != nil {
		return err
	}
	l.engine = engine
	l.metrics.Count(countsOf(engine))
	go l.persist(ctx, "interfaces not watched, trying again", func() error {
		return links.Watch(ctx, links.Options{Trouble: func(err error) { l.log.V(1).Info("interface not read", "node", l.node, "reason", err.Error()) }}, l.linked)
	})
	if l.Exclude == "" {
		l.excluded = true
		return nil
	}
	go l.persist(ctx, "list of interfaces to leave alone not watched, trying again", func() error {
		return links.WatchExclusion(ctx, l.Exclude, l.excludes)
	})
	return nil
}

// persist calls watch until ctx ends.
func (l *layer2) persist(ctx context.Context, trouble string, watch func() error) {
	for ctx.Err() == nil {
		if err := watch(); err != nil {
			l.log.Error(err, trouble, "node", l.node)
			_ = wait(ctx, retryMost)
		}
	}
}

func (l *layer2) linked(now []links.Link) {
	l.mu.Lock()
	l.links, l.known = now, true
	l.mu.Unlock()
	l.wake()
}

func (l *layer2) excludes(x *links.Exclusion, err error) {
	if err != nil {
		l.log.Error(err, "list of interfaces to leave alone not taken", "node", l.node)
	}
	l.mu.Lock()
	same := l.excluded && l.exclude.Equal(x)
	l.exclude, l.excluded = x, true
	l.mu.Unlock()
	if !same {
		l.wake()
	}
}

// present returns the links, and the list of those to leave alone; not before both
// are known.
func (l *layer2) present() ([]links.Link, *links.Exclusion, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.links, l.exclude, l.known && l.excluded
}

// report returns what the node says of itself.
func (l *layer2) report() layer2Report {
	all, exclude, known := l.present()
	if !known {
		return layer2Report{}
	}
	r := layer2Report{links: links.Published(all, exclude), foreign: l.strangers()}
	if r.links == nil {
		r.links = []v1beta1.Link{}
	}
	return r
}

// alive returns the nodes that count as alive.
func (l *layer2) alive(c *intent.Config) *plan.Alive {
	switch {
	case l == nil:
		return nobody
	case l.members != nil:
		return l.members.alive()
	}
	l.learn(c)
	return l.ready
}

// member reports whether the node takes part. One that does not yet announces
// nothing, and still must not take back what it published in its life before: an
// address that nobody holds is claimed only after a while.
func (l *layer2) member() bool { return l.members == nil || l.members.alive().Has(l.node) }

// learn takes over what a Config says of the nodes.
func (l *layer2) learn(c *intent.Config) {
	if l.config != c {
		l.config, l.ready, l.stations = c, plan.ReadyNodes(c), stations(c)
	}
}

var nobody = plan.NewAlive()

// apply puts r's Announcements in force. Those of an address in waits are left to
// who has it.
func (l *layer2) apply(in *intent.Intent, r *plan.Result, waits map[netip.Addr]bool, forwarding bool) {
	if l == nil {
		return
	}
	all, exclude, known := l.present()
	if !known {
		return
	}
	l.learn(in.Config)
	alive := l.alive(in.Config)
	d := l2.Desired{Announcements: l.wanted(r, waits, alive), Speakers: l.stations}
	for _, k := range all {
		if a := k.Answers(exclude); a.Any() {
			d.Links = append(d.Links, l2.Link{Name: k.Name, Index: k.Index, MAC: l2.MAC(k.MAC), ARP: a.ARP.Reason == "", NDP: a.NDP.Reason == ""})
		}
	}
	if l.members != nil {
		d.Since = l.members.since()
	}
	if err := l.engine.Apply(d); err != nil { // the engine reports it, and tries again
		l.log.V(1).Info("layer 2 is not all in force", "node", l.node, "reason", err.Error())
	}
	if l.members != nil {
		l.members.want(forwarding && l.introduced(in))
	}
	if alive != l.counted {
		l.counted = alive
		l.metrics.SetAlive(len(alive.Names()))
	}
	if was, is := r.ChangedL2(l.applied); len(was)+len(is) > 0 || !slices.Equal(d.Links, l.linksNow) {
		l.look()
	}
	l.applied, l.linksNow = r, d.Links
}

// introduced reports whether the others can know the node's MACs, which they would
// else take for a stranger's. They are not waited for long: what is wrong may be
// with something else than layer 2.
func (l *layer2) introduced(in *intent.Intent) bool {
	if n := in.Config.Node(l.node); n != nil && n.Links != nil {
		l.met = true
	}
	if !l.met && l.limit.IsZero() {
		l.limit = time.Now().Add(introduction)
		time.AfterFunc(introduction, l.wake)
	}
	return l.met || !time.Now().Before(l.limit)
}

// wanted returns r's Announcements. Where kube-proxy does not pass on yet what
// arrives for an address, and another node can still answer for it, that one is
// left with it.
func (l *layer2) wanted(r *plan.Result, waits map[netip.Addr]bool, alive *plan.Alive) []plan.Announcement {
	all, copied := r.Plan.Announcements, false
	if len(waits) == 0 {
		return all
	}
	for i, a := range all {
		another := slices.ContainsFunc(a.Order, func(n string) bool { return n != l.node && alive.Has(n) })
		if !a.Own || !waits[a.Addr] || !another || l.engine.Status(a.Addr).State == l2.Owner {
			continue
		}
		if !copied {
			all, copied = slices.Clone(all), true
		}
		all[i].Own = false
	}
	return all
}

// stations returns whose MACs are whose, as the speakers have published.
func stations(c *intent.Config) map[l2.MAC]string {
	out := map[l2.MAC]string{}
	for _, n := range c.Nodes {
		for _, k := range n.Links {
			if mac, err := net.ParseMAC(k.MAC); err == nil && len(mac) == len(l2.MAC{}) {
				out[l2.MAC(mac)] = n.Name
			}
		}
	}
	return out
}

// look has Due say soon that what the engine has may be different.
func (l *layer2) look() {
	if !l.armed {
		l.armed = true
		l.due.Reset(max(0, time.Until(l.looked.Add(tellApart))))
	}
}

// end hands the addresses over to others, and ends.
func (l *layer2) end() {
	if l == nil || l.engine == nil {
		return
	}
	engine := l.engine
	defer engine.Close()
	// From here on nothing becomes ours; and then the others are told.
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = engine.Leave(now)
	began := time.Now()
	if l.members != nil {
		l.members.end()
	}
	ctx, cancel := context.WithTimeout(context.Background(), handOver)
	defer cancel()
	if err := engine.Leave(ctx); err != nil {
		l.log.Info("not all addresses have been taken by other nodes", "node", l.node, "took", time.Since(began).Round(time.Millisecond).String())
		return
	}
	l.log.V(1).Info("addresses handed over", "node", l.node, "took", time.Since(began).Round(time.Millisecond).String())
}

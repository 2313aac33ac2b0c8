// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"metallb.io/metallb-frr/e2e/product"
	"metallb.io/metallb-frr/e2e/wire"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/members"
	"metallb.io/metallb-frr/pkg/plan"
)

const (
	// l2Cuts is how many owners lose their power at each number of speakers.
	l2Cuts = 50
	// l2Pause is between two requests of the client's.
	l2Pause = 10 * time.Millisecond
	// l2Calm is from when all are back to the next power cut: what a return has
	// everybody do is not to be measured.
	l2Calm = 500 * time.Millisecond
	// l2Wait is for each thing that is waited for.
	l2Wait = 30 * time.Second
	// l2Together is how many speakers start at once. That all do on a few cores is
	// nothing that happens to machines of their own.
	l2Together = 10
)

// l2Speakers measures how long an address in layer 2 is without an owner when the
// owner loses its power, at numbers of speakers that no lab has. There is no
// Kubernetes in it.
func l2Speakers(ctx context.Context) ([]Row, error) {
	var rows []Row
	load := machineLoad()
	for _, n := range []int{30, 100} {
		more, err := measureL2(ctx, n)
		for _, r := range more {
			r.Params["load"] = load
		}
		rows = append(rows, more...)
		if err != nil {
			return rows, fmt.Errorf("%d speakers: %w", n, err)
		}
	}
	return rows, nil
}

// l2World is a LAN with speakers, a client, and a switch that all is heard at.
type l2World struct {
	ctx     context.Context
	sw      *space
	client  *space
	nodes   []*l2Node
	conf    speakerConf
	cuts    []l2Cut
	heard   *wire.Capture
	changed chan struct{}
}

// l2Cut is one power cut: whose, and the addresses that it has, one of each family,
// and who is next to have them.
type l2Cut struct {
	victim *l2Node
	addrs  [2]netip.Addr
	next   [2]string
}

func measureL2(ctx context.Context, n int) ([]Row, error) {
	began := time.Now()
	ctx, end := context.WithCancel(ctx)
	defer end()
	w := &l2World{ctx: ctx, changed: make(chan struct{}, 1)}
	defer w.close()
	if err := w.build(n); err != nil {
		return nil, err
	}
	if err := w.startAll(); err != nil {
		return nil, err
	}
	fmt.Printf("%d speakers: all know one another after %.0f s\n", n, time.Since(began).Seconds())
	rest, err := w.atRest(3 * time.Second)
	if err != nil {
		return nil, err
	}
	var claims, outages [2][]time.Duration
	for i, c := range w.cuts {
		claim, outage, err := w.cut(c)
		if err != nil {
			return nil, fmt.Errorf("power cut %d, of %s: %w", i+1, c.victim.name(), err)
		}
		for f := range claims {
			claims[f], outages[f] = append(claims[f], claim[f]), append(outages[f], outage[f])
		}
	}
	if _, err := w.heard.Stop(); err != nil {
		return nil, err
	}
	fmt.Printf("%d speakers: %d power cuts; %.0f s in all\n", n, len(w.cuts), time.Since(began).Seconds())
	var rows []Row
	for f, family := range families {
		params := func() map[string]any {
			return map[string]any{"speakers": n, "family": family, "fault": product.PowerCut.Name, "where": "a process and a namespace each, one bridge", "cores": runtime.NumCPU()}
		}
		claim := milliseconds("loss-to-first-gratuitous", params(), claims[f])
		outage := milliseconds("client-outage", params(), outages[f])
		outage.Params["requests"] = "UDP each 10 ms"
		rows = append(rows, claim, outage)
	}
	rows = append(rows, figures("speaker-cpu-at-rest", map[string]any{"speakers": n, "cores": runtime.NumCPU(), "each": "speaker"}, "ms/s", []float64{1000 * rest / float64(n)}))
	return withNote("memberlist, plan and responder are the product's, over real sockets; the cluster's objects are a file. "+
		"The cut: the port of the switch passes nothing on any more, and the speaker is killed. An echo in each node's namespace answers the requests in place of kube-proxy. "+
		"The speakers' kernels know each other's MACs beforehand.", rows...), nil
}

// build makes the LAN with its machines, without speakers.
func (w *l2World) build(n int) (err error) {
	if w.sw, err = newSwitch(); err != nil {
		return err
	}
	for i := range n {
		node, err := newL2Node(l2Station(i), w.sw, w.changed)
		if err != nil {
			return err
		}
		w.nodes = append(w.nodes, node)
		if err := node.space.in(func() error { return echo(w.ctx) }); err != nil {
			return err
		}
	}
	for _, a := range w.nodes {
		for _, b := range w.nodes {
			if a == b {
				continue
			}
			if err := a.space.neighbour("eth0", b.addr4(), b.mac()); err != nil {
				return err
			}
		}
	}
	if w.client, err = newL2Station(l2Client, w.sw); err != nil {
		return err
	}
	if err := w.choose(); err != nil {
		return err
	}
	return w.sw.in(func() (err error) {
		w.heard, err = wire.Listen("br0", nil)
		return err
	})
}

// choose finds addresses for the victims, and with them the cluster's objects.
func (w *l2World) choose() error {
	var base strings.Builder
	base.WriteString(l2Announced)
	for _, n := range w.nodes {
		base.WriteString(n.manifest())
	}
	all := base.String()
	for i, a4, a6 := 0, service4.Addr().Next(), service6.Addr().Next(); i < 12*len(w.nodes); i, a4, a6 = i+1, a4.Next(), a6.Next() {
		all += l2Service(fmt.Sprintf("s%04d", i), a4, a6)
	}
	snapshot, err := intent.ReadYAML(strings.NewReader(all), "metallb-system")
	if err != nil {
		return err
	}
	all = base.String()
	p := plan.ForNode(nil, intent.Resolve(nil, snapshot), plan.NodeFacts{Name: w.nodes[0].name(), Forwarding: true}).Plan
	by := map[string][2][]plan.Announcement{} // whose they are
	for _, a := range p.Announcements {
		of := by[a.Order[0]]
		f := family(a.Addr)
		of[f] = append(of[f], a)
		by[a.Order[0]] = of
	}
	for i := range l2Cuts {
		c := l2Cut{victim: w.nodes[i*7%len(w.nodes)]}
		of := by[c.victim.name()]
		for f := range of {
			if len(of[f]) == 0 {
				return fmt.Errorf("no address for %s", c.victim.name())
			}
			c.addrs[f], c.next[f] = of[f][0].Addr, of[f][0].Order[1]
			of[f] = of[f][1:]
		}
		by[c.victim.name()] = of
		w.cuts = append(w.cuts, c)
		all += l2Service(fmt.Sprintf("s%04d", i), c.addrs[:]...)
	}
	w.conf = speakerConf{Manifests: all, Held: true}
	return nil
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// start starts a node's speaker.
func (w *l2World) start(n *l2Node) error {
	c := w.conf
	c.Node, c.Bind = n.name(), netip.AddrPortFrom(n.addr4(), members.DefaultPort)
	return n.start(w.ctx, c)
}

// tellPeers tells some speakers where the others are, as the API server would.
func tellPeers(some, all []*l2Node) error {
	var peers []netip.Addr
	for _, n := range all {
		peers = append(peers, n.addr4())
	}
	for _, n := range some {
		if err := n.tell(speakerWord{Peers: peers}); err != nil {
			return err
		}
	}
	return nil
}

// startAll starts all speakers, some at a time.
func (w *l2World) startAll() error {
	for i, n := range w.nodes {
		if err := w.start(n); err != nil {
			return err
		}
		if now := w.nodes[:i+1]; len(now)%l2Together == 0 || len(now) == len(w.nodes) {
			if err := errors.Join(tellPeers(now, now), w.settle(now)); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle waits until speakers know exactly one another, and each address of theirs
// has its owner.
func (w *l2World) settle(some []*l2Node) error {
	limit := time.After(l2Wait)
	for {
		owned, alive := 0, 0
		for _, n := range some {
			said := n.now()
			owned += said.Owns
			if said.Alive == len(some) {
				alive++
			}
		}
		if alive == len(some) && owned == 2*len(w.cuts) {
			return nil
		}
		select {
		case <-w.changed:
		case <-limit:
			return fmt.Errorf("after %v %d of %d speakers know all, and %d of %d addresses are owned", l2Wait, alive, len(some), owned, 2*len(w.cuts))
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		}
	}
}

// atRest returns how many cores all speakers use together.
func (w *l2World) atRest(d time.Duration) (float64, error) {
	var pids []int
	for _, n := range w.nodes {
		pids = append(pids, n.run.cmd.Process.Pid)
	}
	before, err := cpu(pids)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	select {
	case <-time.After(d):
	case <-w.ctx.Done():
		return 0, context.Cause(w.ctx)
	}
	after, err := cpu(pids)
	return (after - before).Seconds() / time.Since(began).Seconds(), err
}

// cut cuts one node's power, and has it come back. It returns, by family, the times
// from the cut to the first frame of the new owner, and for which the client had no
// answer.
func (w *l2World) cut(c l2Cut) (claim, outage [2]time.Duration, err error) {
	ctx, cancel := context.WithTimeoutCause(w.ctx, l2Wait, fmt.Errorf("not within %v", l2Wait))
	defer cancel()
	var clients [2]*requests
	for f, a := range c.addrs {
		if clients[f], err = startRequests(w.client, a, l2Pause); err != nil {
			return claim, outage, err
		}
		defer clients[f].end()
	}
	for _, r := range clients {
		if err := r.answeredSince(ctx, time.Time{}, int(l2Calm/l2Pause)); err != nil {
			return claim, outage, err
		}
	}
	began := time.Now()
	if err := w.sw.setPort(c.victim.port(), portDisabled); err != nil {
		return claim, outage, err
	}
	c.victim.kill()
	for f, a := range c.addrs {
		frame, err := w.heard.Wait(ctx, began, func(f wire.Frame) bool {
			return f.Kind == wire.Gratuitous && f.Addr == a && f.MAC != c.victim.mac()
		})
		if err != nil {
			return claim, outage, fmt.Errorf("%s has no new owner: %w", a, err)
		}
		if who := w.who(frame.MAC); who != c.next[f] {
			return claim, outage, fmt.Errorf("the new owner of %s is %q, want %s", a, who, c.next[f])
		}
		claim[f] = frame.Time.Sub(began)
		if err := clients[f].answeredSince(ctx, frame.Time, 5); err != nil {
			return claim, outage, err
		}
		outage[f] = clients[f].end()
	}
	err = errors.Join(w.sw.setPort(c.victim.port(), portForwarding), w.start(c.victim))
	if err == nil {
		err = errors.Join(tellPeers([]*l2Node{c.victim}, w.nodes), w.settle(w.nodes))
	}
	return claim, outage, err
}

// who is the node that has a MAC.
func (w *l2World) who(m wire.MAC) string {
	for _, n := range w.nodes {
		if n.mac() == m {
			return n.name()
		}
	}
	return ""
}

func (w *l2World) close() {
	for _, n := range w.nodes {
		n.close()
	}
	if w.client != nil {
		w.client.close()
	}
	if w.heard != nil {
		_, _ = w.heard.Stop() // again, where all went well
	}
	if w.sw != nil {
		w.sw.close()
	}
}

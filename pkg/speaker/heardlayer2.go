// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/l2"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/telemetry"
)

const (
	// linesAtOnce is how many events of a kind have a line of their own at the
	// usual level, of those that come within burstTime. The others have one
	// together, and each one at the debug level: the loss of a node with
	// thousands of addresses must not push all else out of the log.
	linesAtOnce = 10
	// burstTime is also how long events on Services and Nodes wait for others
	// that belong together with them.
	burstTime = time.Second
	// sayAgain is the least time between two events or lines that say the same
	// about something that goes on.
	sayAgain = 10 * time.Minute
	// ipvsAgain is the same for a node whose kernel answers. Where all of many
	// do, each speaker tells of ipvsMost: they have one cause.
	ipvsAgain = time.Hour
	ipvsMost  = 5
)

// layer2Words are what the log says of what happened: the message, and what it
// means for the node and the address.
var layer2Words = map[l2.EventKind]struct{ message, why string }{
	l2.Claimed:              {"address announced", "nobody had it"},
	l2.TakenOver:            {"address taken over", "another node announced it"},
	l2.TakenBack:            {"address taken back", "the node that it was left to is silent"},
	l2.ForeignGone:          {"address announced", "no other station has it any more"},
	l2.Resumed:              {"address announced again", "its interfaces are back"},
	l2.YieldedTo:            {"address left to another node", "that node comes first for it and announces it"},
	l2.Contested:            {"address contested", "another station claims it too; this node defends it"},
	l2.ForeignOwner:         {"address not announced", "a station that is no speaker has it; it is asked for again, and announced when nobody answers"},
	l2.IPVSWithoutStrictARP: {"kernel of a node answers for addresses that its speaker does not announce", "as with kube-proxy in IPVS mode without strictARP"},
	l2.LinkFailed:           {"interface not usable for layer 2", "it is tried again"},
}

// heardLayer2 takes in what the engine reports: it is logged, counted, and told
// in events on the Services that have the address. It never waits.
func (s *Speaker) heardLayer2(ev l2.Event, services []*intent.Service) {
	if ev.Kind == l2.TakenOver {
		s.Metrics.Layer2.FirstGratuitous.Observe(ev.Took.Seconds())
	}
	s.news.log(ev, services)
	switch ev.Kind {
	case l2.Claimed, l2.TakenOver, l2.TakenBack, l2.ForeignGone:
		for _, svc := range services {
			s.news.tell(notice{kind: corev1.EventTypeNormal, reason: eventAssigned, service: svc.Key,
				message: fmt.Sprintf(`announcing from node "%s" with protocol "layer2"`, s.Node)})
		}
	case l2.ForeignOwner:
		for _, svc := range services {
			s.news.tell(notice{kind: corev1.EventTypeWarning, reason: eventForeign, service: svc.Key, addr: ev.Addr,
				message: fmt.Sprintf("node %q does not announce %s: the station %s on interface %s has it, and is no speaker of this cluster; give that machine another address, or take this one out of the IPAddressPool. It is announced when nobody answers for it any more", s.Node, ev.Addr, ev.MAC, ev.Link)})
		}
	case l2.IPVSWithoutStrictARP:
		if s.news.answers(ev.Node) {
			s.news.tell(notice{kind: corev1.EventTypeWarning, reason: eventAnswers, node: ev.Node,
				message: fmt.Sprintf("the kernel of node %q answers ARP for %s (seen by node %q on interface %s, from %s), which its speaker does not announce, as kube-proxy in IPVS mode does without strictARP: clients reach the wrong node; set ipvs.strictARP: true in the ConfigMap kube-proxy of namespace kube-system and restart the DaemonSet kube-proxy", ev.Node, ev.Addr, s.Node, ev.Link, ev.MAC)})
		}
	}
}

const failedMessage = "address not announced: no interface for it"

// announceFailed tells a Service that this node was to announce an address and does
// not, since none of the wanted interfaces can do it; none wanted: all are.
// It is told again only when others are wanted, or after a while.
func (s *Speaker) announceFailed(svc *intent.Service, addr netip.Addr, wanted []string) {
	n := notice{kind: corev1.EventTypeWarning, reason: eventFailed, service: svc.Key, addr: addr}
	if len(wanted) == 0 {
		n.message = fmt.Sprintf("the assigned node %q has no interface that can announce LB IP %q: it must be up, in no bridge or bond, not excluded, and have the address family; see the links in ConfigurationState speaker-%s", s.Node, addr, s.Node)
	} else {
		n.message = fmt.Sprintf("the interfaces requested for LB IP %q do not exist on the assigned node %q, or cannot announce: %s; correct spec.interfaces of the L2Advertisement, or the interface", addr, s.Node, strings.Join(wanted, ", "))
	}
	if !s.news.once(n, sayAgain) {
		return
	}
	if s.news.single(string(eventFailed), addr, 0) {
		s.Log.Info(failedMessage, "node", s.Node, "reason", eventFailed, "why", n.message, "addr", addr.String(), "service", svc.Key.String())
	}
	s.news.tell(n)
}

// tellFailures tells the Services that no node can announce since none has an
// interface for them, where that is new to the node and it is the one assigned: not
// every node tells each Service.
func (s *Speaker) tellFailures(before *plan.Result) {
	_, fresh := s.result.ChangedL2(before)
	for _, d := range fresh {
		if !d.Assigned {
			continue
		}
		svc := s.intent.Service(d.Service)
		for _, addr := range svc.Addresses {
			if s.result.Plan.Announcement(addr) == nil {
				s.announceFailed(svc, addr, d.Links)
			}
		}
	}
}

// countsOf are an engine's counts as the metrics want them.
func countsOf(e *l2.Engine) iter.Seq2[netip.Addr, telemetry.Layer2Counts] {
	return func(yield func(netip.Addr, telemetry.Layer2Counts) bool) {
		e.Each(func(addr netip.Addr, c *l2.Counts) bool {
			return yield(addr, telemetry.Layer2Counts{
				Requests: c.Requests.Load(), Responses: c.Responses.Load(), Gratuitous: c.Gratuitous.Load(),
				TakeOvers: c.TakeOvers.Load() + c.TakeBacks.Load(), Conflicts: c.Conflicts.Load(),
			})
		})
	}
}

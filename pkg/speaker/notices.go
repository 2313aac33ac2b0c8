// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/intent"
)

const (
	// noticesPerRound bounds the events that are sent in a burstTime.
	noticesPerRound = 50
	// noticesKept bounds those that wait, of each kind; then the oldest go.
	noticesKept = 1000
)

// Events of speakers in layer 2, on Services and Nodes. What goes on is not told again
// on every occasion: announceFailed after ten minutes, IPVSWithoutStrictARP after an
// hour.
const (
	// eventAssigned: this node answers for the Service's addresses now; MetalLB's.
	eventAssigned intent.Reason = "nodeAssigned"
	// eventFailed: this node is to announce an address and has no interface for it;
	// MetalLB's.
	eventFailed intent.Reason = "announceFailed"
	// eventForeign: a station that is no speaker has the address.
	eventForeign intent.Reason = "ForeignOwner"
	// eventAnswers: the kernel of a node answers ARP for an address that its speaker
	// does not announce. It is on the Node.
	eventAnswers intent.Reason = "IPVSWithoutStrictARP"
)

// eventObject is what an event can be about.
type eventObject = client.Object

// notice is an event to be sent about a Service or a Node.
type notice struct {
	kind    string
	reason  intent.Reason
	message string
	service intent.Key // or
	node    string     // the Node of this name
	addr    netip.Addr // invalid: about all addresses of the Service
}

// about is what notices of which only the last is sent have in common.
type about struct {
	reason  intent.Reason
	service intent.Key
	node    string
	addr    netip.Addr
}

// waiting are notices in the order in which they came.
type waiting struct {
	order []about
	by    map[about]notice
}

// add has a notice wait. Of those about the same the last is kept, in the place of
// the first: a Service that is given two addresses at once is told once.
func (w *waiting) add(n notice) {
	if w.by == nil {
		w.by = map[about]notice{}
	}
	key := about{n.reason, n.service, n.node, n.addr}
	if _, there := w.by[key]; !there {
		w.order = append(w.order, key)
	}
	w.by[key] = n
	if len(w.order) > noticesKept {
		w.take(1)
	}
}

// take removes the first n, or as many as there are.
func (w *waiting) take(n int) []notice {
	n = min(n, len(w.order))
	out := make([]notice, n)
	for i, key := range w.order[:n] {
		out[i] = w.by[key]
		delete(w.by, key)
	}
	if w.order = w.order[n:]; len(w.order) == 0 {
		w.order = nil
	}
	return out
}

// tell has an event sent soon.
func (n *news) tell(what notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if what.kind == corev1.EventTypeWarning {
		n.warnings.add(what)
	} else {
		n.normal.add(what)
	}
	n.wake()
}

// send sends the next notices, warnings first, where what they are about is still
// there. It reports whether more wait.
func (n *news) send() bool {
	n.mu.Lock()
	now := n.warnings.take(noticesPerRound)
	now = append(now, n.normal.take(noticesPerRound-len(now))...)
	more := len(n.warnings.order)+len(n.normal.order) > 0
	n.mu.Unlock()
	if len(now) == 0 {
		return false
	}
	snapshot := n.read()
	for _, what := range now {
		if obj := what.object(snapshot); obj != nil {
			n.event(obj, what.kind, string(what.reason), what.message)
		}
	}
	return more
}

// object finds what a notice is about; nil: it is gone.
func (n *notice) object(s *intent.Snapshot) eventObject {
	if n.node != "" {
		i := slices.IndexFunc(s.Nodes, func(o *corev1.Node) bool { return o.Name == n.node })
		if i < 0 {
			return nil
		}
		return s.Nodes[i]
	}
	i, found := slices.BinarySearchFunc(s.Services, n.service, func(svc *corev1.Service, key intent.Key) int {
		return intent.Key{Namespace: svc.Namespace, Name: svc.Name}.Compare(key)
	})
	if !found {
		return nil
	}
	return s.Services[i]
}

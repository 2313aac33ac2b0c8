// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"net/netip"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/plan"
)

// held counts what the ServiceL2Statuses of all nodes say. Under the Cluster's
// lock.
type held struct {
	shown   *plan.Held
	changed map[types.NamespacedName]bool         // objects, since the last Held
	said    map[types.NamespacedName][]netip.Addr // by objects, as counted
	counts  map[netip.Addr]int                    // objects that name the address
}

// heard notes that an object is another now.
func (h *held) heard(old, now client.Object) {
	if now == nil {
		now = old
	}
	if h.changed == nil {
		h.changed = map[types.NamespacedName]bool{}
	}
	h.changed[keyOf(now)] = true
}

// Held returns the addresses that some ServiceL2Status, of any node, says are
// announced: the same pointer as long as they are the same. An object that names
// none, as those of MetalLB's speakers, stands for those that the Service has when
// Held first finds it: should the Service change later, so does the object. Nil
// without Options.Node, and as long as there is none. It costs what has changed
// since the last call. Nobody is told of a change.
func (c *Cluster) Held() *plan.Held {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &c.held
	if len(h.changed) == 0 {
		return h.shown
	}
	if h.counts == nil {
		h.said, h.counts = map[types.NamespacedName][]netip.Addr{}, map[netip.Addr]int{}
	}
	touched := map[netip.Addr]bool{}
	for key := range h.changed {
		for _, a := range h.said[key] {
			h.counts[a]--
			touched[a] = true
		}
		delete(h.said, key)
		known, ok := c.l2.objects.objects.entries[key]
		if !ok {
			continue
		}
		addrs := c.announcedBy(known.latest.(*v1beta1.ServiceL2Status))
		for _, a := range addrs {
			h.counts[a]++
			touched[a] = true
		}
		h.said[key] = addrs
	}
	clear(h.changed)
	var more, less []netip.Addr
	for a := range touched {
		switch has := h.counts[a] > 0; {
		case has && !h.shown.Has(a):
			more = append(more, a)
		case !has:
			delete(h.counts, a)
			if h.shown.Has(a) {
				less = append(less, a)
			}
		}
	}
	if len(more)+len(less) > 0 {
		h.shown = h.shown.With(more, less)
	}
	return h.shown
}

// announcedBy returns the addresses that an object is about. One that is being made
// is about none yet.
func (c *Cluster) announcedBy(s *v1beta1.ServiceL2Status) []netip.Addr {
	if s.Status.Node == "" {
		return nil
	}
	texts := s.Status.Addresses
	if len(texts) == 0 {
		svc := ServiceOf(s)
		known, ok := c.services.objects.entries[types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name}]
		if !ok {
			return nil
		}
		for _, in := range known.latest.Status.LoadBalancer.Ingress {
			texts = append(texts, in.IP)
		}
	}
	addrs := make([]netip.Addr, 0, len(texts))
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil {
			addrs = append(addrs, a.Unmap())
		}
	}
	return addrs
}

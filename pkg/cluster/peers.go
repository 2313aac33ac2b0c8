// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// addPods registers the Pods of the speakers, where Options.Peers selects any.
// Nobody waits for them to be listed: a speaker announces routes without.
func (c *Cluster) addPods() error {
	if c.options.Peers == "" {
		return nil
	}
	selector, err := labels.Parse(c.options.Peers)
	if err != nil {
		return fmt.Errorf("open cluster: Peers %q is no label selector: %w", c.options.Peers, err)
	}
	const name = "Pod"
	c.pods = add(c, name, &corev1.Pod{}, func() client.ObjectList { return &corev1.PodList{} }, trimPod, kind[*corev1.Pod]{
		namespace: c.options.Namespace,
		objects:   collection[*corev1.Pod]{compare: byName[*corev1.Pod], same: samePod},
		signal:    make(chan struct{}, 1),
		only:      client.MatchingLabelsSelector{Selector: selector},
		failed:    c.podsFailed,
	})
	delete(c.missing, name)
	return nil
}

// podsFailed logs, once, that the Pods may not be read: asking again and again
// does not mend it.
func (c *Cluster) podsFailed(err error) {
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		c.podsRefused.Do(func() {
			c.options.Log.Error(err, "the speakers' Pods may not be read: this speaker finds no other one, and takes no part in layer 2 until it may",
				"node", c.options.Node, "namespace", c.options.Namespace, "selector", c.options.Peers)
		})
	}
}

// trimPod keeps of a Pod where it can be reached and whether it has finished.
func trimPod(p *corev1.Pod) *corev1.Pod {
	t := &corev1.Pod{ObjectMeta: bareMeta(&p.ObjectMeta)}
	t.DeletionTimestamp = p.DeletionTimestamp
	t.Status.Phase, t.Status.PodIP = p.Status.Phase, p.Status.PodIP
	return t
}

func samePod(a, b *corev1.Pod) bool { return addrOfPod(a) == addrOfPod(b) }

// addrOfPod returns the Pod's address; not valid: it has none, or has finished.
// One that is being deleted is a peer until it has: it may hold addresses.
func addrOfPod(p *corev1.Pod) netip.Addr {
	if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return netip.Addr{}
	}
	addr, _ := netip.ParseAddr(p.Status.PodIP)
	return addr.Unmap()
}

// PeerAddrs returns the addresses of the Pods that Options.Peers selects in our
// namespace, sorted, each once; the own Pod's among them. A Pod with addresses of
// both families has one here, its first, which is what its speaker listens on. Nil
// is not the same as empty: the Pods have not been listed yet, or there is no
// Options.Peers.
func (c *Cluster) PeerAddrs() []netip.Addr {
	if c.pods == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.pods.listed {
		return nil
	}
	addrs := []netip.Addr{}
	for _, p := range c.pods.objects.shown {
		if addr := addrOfPod(p); addr.IsValid() {
			addrs = append(addrs, addr)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs)
}

// PeersChanged receives a value after the Pods were first listed, and after what
// PeerAddrs returns may have changed since the value before. It is nil without
// Options.Peers.
func (c *Cluster) PeersChanged() <-chan struct{} {
	if c.pods == nil {
		return nil
	}
	return c.pods.signal
}

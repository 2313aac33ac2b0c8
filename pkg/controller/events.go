// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/status"
)

// Events of the controller on a Service, with MetalLB's reasons. Each is told when
// something is written on the Service, and again only when what it says changes.
const (
	// eventAssigned: the Service has got addresses.
	eventAssigned intent.Reason = "IPAllocated"
	// eventAdditionalFailed: it prefers dual stack, and has an address of one family.
	eventAdditionalFailed intent.Reason = "AdditionalAssignFailed"
	// eventCleared: it loses the addresses that it has, and why.
	eventCleared intent.Reason = "ClearAssignment"
	// eventFailed: it gets no address, and why.
	eventFailed intent.Reason = "AllocationFailed"
	// eventBadRequest: what it asks for cannot be read or contradicts itself.
	eventBadRequest intent.Reason = "LoadBalancerFailed"
	// eventNotDualStack: it requires dual stack, and has one ClusterIP.
	eventNotDualStack intent.Reason = "not enough clusterips"
	// eventNoClusterIP: it has no ClusterIP, whose family its address would have.
	eventNoClusterIP intent.Reason = "noclusterIPsIPFamily"
	// eventDeprecated: it has an annotation of the old prefix.
	eventDeprecated intent.Reason = "deprecatedAnnotation"
	// eventAnnounced: from where it is announced over BGP.
	eventAnnounced intent.Reason = "nodeAssigned"
)

type event struct {
	kind    string // corev1.EventTypeNormal or EventTypeWarning
	reason  intent.Reason
	message string
}

// announce records the events of a write that was made, and logs it.
func (w *writer) announce(j job) {
	for _, e := range eventsOf(j) {
		w.cluster.Event(j.svc, e.kind, string(e.reason), e.message)
	}
	if j.urgent {
		w.options.Log.V(1).Info("service written", "service", j.key.String(), "addr", texts(j.want.Addresses), "pool", j.want.Pool)
	}
}

// eventsOf says what a write changes, in the order in which it came about. What
// the Service's condition said before is not said again.
func eventsOf(j job) []event {
	var all []event
	out := j.outcome
	if out.Cleared != "" {
		all = append(all, event{corev1.EventTypeNormal, eventCleared,
			fmt.Sprintf("current IP for %q not allowed by config, will attempt for new IP assignment: %s", j.key, out.Cleared)})
	}
	all = append(all, assigned(j)...)
	before := status.Find(j.svc.Status.Conditions, v1beta1.ConditionAddressAssigned)
	if out.Reason != "" && (before == nil || before.Reason != j.want.Condition.Reason || before.Message != j.want.Condition.Message) {
		all = append(all, failure(j.key, out))
	}
	if j.urgent {
		all = append(all, deprecated(j.svc)...)
	}
	return all
}

// assigned says which addresses the Service has now and had not before.
func assigned(j job) []event {
	var kept, fresh []netip.Addr
	for _, a := range j.want.Addresses {
		if slices.ContainsFunc(j.svc.Status.LoadBalancer.Ingress, func(in corev1.LoadBalancerIngress) bool { return in.IP == a.String() }) {
			kept = append(kept, a)
		} else {
			fresh = append(fresh, a)
		}
	}
	switch {
	case len(fresh) == 0:
		return nil
	case len(kept) > 0:
		return []event{{corev1.EventTypeNormal, eventAssigned, fmt.Sprintf("Assigned additional IP %q", fresh[0])}}
	}
	return []event{{corev1.EventTypeNormal, eventAssigned, fmt.Sprintf("Assigned IP %q", texts(fresh))}}
}

func failure(key intent.Key, out ipam.Outcome) event {
	switch {
	case len(out.Addresses) > 0:
		return event{corev1.EventTypeNormal, eventAdditionalFailed, "cannot assign additional IP: " + out.Message}
	case out.Reason == intent.InvalidRequest:
		return event{corev1.EventTypeWarning, eventBadRequest, "invalid requested loadbalancer IPs: " + out.Message}
	case out.Reason == ipam.NotDualStack:
		return event{corev1.EventTypeWarning, eventNotDualStack, out.Message}
	case out.Reason == ipam.NoClusterIP:
		return event{corev1.EventTypeWarning, eventNoClusterIP, out.Message}
	}
	return event{corev1.EventTypeWarning, eventFailed, fmt.Sprintf("Failed to allocate IP for %q: %s", key, out.Message)}
}

func deprecated(svc *corev1.Service) []event {
	var all []event
	for _, key := range []string{
		v1beta1.LegacyAnnotationAddressPool, v1beta1.LegacyAnnotationLoadBalancerIPs, v1beta1.LegacyAnnotationAllowSharedIP,
	} {
		if _, ok := svc.Annotations[key]; ok {
			all = append(all, event{corev1.EventTypeWarning, eventDeprecated, "Service uses deprecated annotation " + key})
		}
	}
	return all
}

func texts(addresses []netip.Addr) []string {
	all := make([]string, len(addresses))
	for i, a := range addresses {
		all[i] = a.String()
	}
	return all
}

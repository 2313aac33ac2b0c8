// SPDX-License-Identifier: Apache-2.0

package status

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/ipam"
)

// Object is the status of an object of a kind that users write, as the
// controller wants it.
type Object struct {
	Conditions   []metav1.Condition
	LastAccepted *v1beta1.AcceptedSpec
	// Usage are the counters of an IPAddressPool; nil for other kinds, and for
	// a pool that nothing is counted of.
	Usage *ipam.Usage
	// Sessions are the sums of a BGPPeer; nil for other kinds, and for one that
	// has no sessions.
	Sessions *v1beta1.BGPPeerSessions
}

// written are the types of the conditions that the controller writes.
var written = []string{
	v1beta1.ConditionAccepted, v1beta1.ConditionResolvedRefs, v1beta1.ConditionReady, v1beta1.ConditionEstablished,
}

// Same reports whether obj's status is already what o says. Conditions of types
// that the controller does not write do not count.
func (o Object) Same(obj any) bool {
	have := Of(obj)
	for _, kind := range written {
		if !SameCondition(Find(have.Conditions, kind), Find(o.Conditions, kind)) {
			return false
		}
	}
	if (have.LastAccepted == nil) != (o.LastAccepted == nil) ||
		o.LastAccepted != nil && have.LastAccepted.Generation != o.LastAccepted.Generation {
		return false
	}
	switch x := obj.(type) {
	case *v1beta1.IPAddressPool:
		return usageOf(x) == o.usage()
	case *v1beta2.BGPPeer:
		return SameSessions(x.Status.Sessions, o.Sessions)
	}
	return true
}

func (o Object) usage() ipam.Usage {
	if o.Usage == nil {
		return ipam.Usage{}
	}
	return *o.Usage
}

func usageOf(p *v1beta1.IPAddressPool) ipam.Usage {
	return ipam.Usage{
		AssignedIPv4: p.Status.AssignedIPv4, AssignedIPv6: p.Status.AssignedIPv6,
		AvailableIPv4: p.Status.AvailableIPv4, AvailableIPv6: p.Status.AvailableIPv6,
	}
}

// Body returns o as the content of the field status, to be marshalled to JSON.
func (o Object) Body() map[string]any {
	body := map[string]any{"conditions": o.Conditions}
	if o.LastAccepted != nil {
		body["lastAccepted"] = o.LastAccepted
	}
	if o.Usage != nil {
		body["assignedIPv4"], body["assignedIPv6"] = o.Usage.AssignedIPv4, o.Usage.AssignedIPv6
		body["availableIPv4"], body["availableIPv6"] = o.Usage.AvailableIPv4, o.Usage.AvailableIPv6
	}
	if o.Sessions != nil {
		body["sessions"] = o.Sessions
	}
	return body
}

// Of returns the status that all kinds that users write have in common; of
// other objects, an empty one.
func Of(obj any) v1beta1.ObjectStatus {
	switch o := obj.(type) {
	case *v1beta1.IPAddressPool:
		return o.Status.ObjectStatus
	case *v1beta1.L2Advertisement:
		return o.Status.ObjectStatus
	case *v1beta1.BGPAdvertisement:
		return o.Status.ObjectStatus
	case *v1beta2.BGPPeer:
		return o.Status.ObjectStatus
	case *v1beta1.BFDProfile:
		return o.Status.ObjectStatus
	case *v1beta1.Community:
		return o.Status.ObjectStatus
	}
	return v1beta1.ObjectStatus{}
}

// SessionsOf returns the sums in a BGPPeer's status; nil where there are none, and
// of other objects.
func SessionsOf(obj any) *v1beta1.BGPPeerSessions {
	if p, ok := obj.(*v1beta2.BGPPeer); ok {
		return p.Status.Sessions
	}
	return nil
}

// Kind returns the kind of an object of a kind that users write, or "". (The
// objects of a cache carry none themselves.)
func Kind(obj any) string {
	switch obj.(type) {
	case *v1beta1.IPAddressPool:
		return v1beta1.KindIPAddressPool
	case *v1beta1.L2Advertisement:
		return v1beta1.KindL2Advertisement
	case *v1beta1.BGPAdvertisement:
		return v1beta1.KindBGPAdvertisement
	case *v1beta2.BGPPeer:
		return v1beta1.KindBGPPeer
	case *v1beta1.BFDProfile:
		return v1beta1.KindBFDProfile
	case *v1beta1.Community:
		return v1beta1.KindCommunity
	}
	return ""
}

// LastAccepted returns what is to be recorded in obj's status.lastAccepted: its
// spec where accepted says that it is valid, else what is recorded already.
// generation is obj's. spec.password is never part of it.
func LastAccepted(obj any, generation int64, accepted bool) (*v1beta1.AcceptedSpec, error) {
	present := Of(obj).LastAccepted
	if !accepted || present != nil && present.Generation == generation {
		return present, nil
	}
	raw, err := json.Marshal(specOf(obj))
	if err != nil {
		return nil, fmt.Errorf("record the spec of a %s: %w", Kind(obj), err)
	}
	return &v1beta1.AcceptedSpec{Generation: generation, Spec: runtime.RawExtension{Raw: raw}}, nil
}

func specOf(obj any) any {
	switch o := obj.(type) {
	case *v1beta1.IPAddressPool:
		return o.Spec
	case *v1beta1.L2Advertisement:
		return o.Spec
	case *v1beta1.BGPAdvertisement:
		return o.Spec
	case *v1beta2.BGPPeer:
		spec := o.Spec
		spec.Password = ""
		return spec
	case *v1beta1.BFDProfile:
		return o.Spec
	case *v1beta1.Community:
		return o.Spec
	}
	return nil
}

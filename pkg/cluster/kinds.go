// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/status"
)

// peer is a BGPPeer whose spec.password was moved out of the object. (The field is
// exported so that printing a peer goes through Password's own formatting.)
type peer struct {
	*v1beta2.BGPPeer
	Password bgp.Password
}

func trimPeer(p *v1beta2.BGPPeer) peer {
	dropBulk(p)
	kept := peer{p, bgp.NewPassword(p.Spec.Password)}
	p.Spec.Password = ""
	return kept
}

// secret is what a BGPPeer may need of a Secret; the object is only metadata.
type secret struct {
	*corev1.Secret
	Kept intent.Secret
}

func trimSecret(s *corev1.Secret) secret {
	password, ok := s.Data[corev1.BasicAuthPasswordKey]
	return secret{
		Secret: &corev1.Secret{ObjectMeta: bareMeta(&s.ObjectMeta)},
		Kept:   intent.Secret{Type: s.Type, Password: bgp.NewPassword(string(password)), HasPassword: ok},
	}
}

// trimOwn drops bulk from an object of one of our kinds.
func trimOwn[T client.Object](obj T) T {
	dropBulk(obj)
	return obj
}

// sameOwn compares objects of the kinds that users write. The generation stands
// for the spec. Conditions and counters do not matter to a Snapshot, the accepted
// spec does.
func sameOwn[T client.Object](a, b T) bool {
	return a.GetGeneration() == b.GetGeneration() &&
		maps.Equal(a.GetLabels(), b.GetLabels()) && maps.Equal(a.GetAnnotations(), b.GetAnnotations()) &&
		sameAccepted(status.Of(a).LastAccepted, status.Of(b).LastAccepted)
}

func sameAccepted(a, b *v1beta1.AcceptedSpec) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Generation == b.Generation && bytes.Equal(a.Spec.Raw, b.Spec.Raw)
}

func samePeer(a, b peer) bool { return a.Password == b.Password && sameOwn(a.BGPPeer, b.BGPPeer) }

func sameSecret(a, b secret) bool { return a.Kept == b.Kept }

func sameState(a, b *v1beta1.ConfigurationState) bool {
	return maps.Equal(a.Labels, b.Labels) && sameStateStatus(&a.Status, &b.Status)
}

// trimLinks keeps of another node's ConfigurationState its links.
func trimLinks(s *v1beta1.ConfigurationState) *v1beta1.ConfigurationState {
	t := &v1beta1.ConfigurationState{ObjectMeta: bareMeta(&s.ObjectMeta)}
	t.Status.Links = s.Status.Links
	return t
}

// sameLinks compares links; nil is an object that is not there.
func sameLinks(a, b *v1beta1.ConfigurationState) bool {
	var x, y []v1beta1.Link
	if a != nil {
		x = a.Status.Links
	}
	if b != nil {
		y = b.Status.Links
	}
	return (x == nil) == (y == nil) && apiequality.Semantic.DeepEqual(x, y)
}

// sameStateStatus compares statuses. Only for links is none not the same as empty.
func sameStateStatus(a, b *v1beta1.ConfigurationStateStatus) bool {
	return (a.Links == nil) == (b.Links == nil) && apiequality.Semantic.DeepEqual(a, b)
}

// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// userKind is one of the kinds that users write, as far as Admission deals with it.
type userKind struct {
	none func() client.Object
	read func(raw []byte) (client.Object, error)
	spec func(client.Object) any
	// find returns the object of that name in a Snapshot, or nil; put makes o it, or
	// with nil takes it out, without touching what the Snapshot shares with others.
	find func(s *intent.Snapshot, name string) client.Object
	put  func(s *intent.Snapshot, name string, o client.Object)
}

var userKinds = map[string]userKind{
	v1beta1.KindIPAddressPool: kindOf(func(s *intent.Snapshot) *[]*v1beta1.IPAddressPool { return &s.Pools },
		func(o *v1beta1.IPAddressPool) any { return &o.Spec }),
	v1beta1.KindBGPPeer: withPassword(kindOf(func(s *intent.Snapshot) *[]*v1beta2.BGPPeer { return &s.Peers },
		func(o *v1beta2.BGPPeer) any { return &o.Spec })),
	v1beta1.KindBGPAdvertisement: kindOf(func(s *intent.Snapshot) *[]*v1beta1.BGPAdvertisement { return &s.BGPAds },
		func(o *v1beta1.BGPAdvertisement) any { return &o.Spec }),
	v1beta1.KindL2Advertisement: kindOf(func(s *intent.Snapshot) *[]*v1beta1.L2Advertisement { return &s.L2Ads },
		func(o *v1beta1.L2Advertisement) any { return &o.Spec }),
	v1beta1.KindBFDProfile: kindOf(func(s *intent.Snapshot) *[]*v1beta1.BFDProfile { return &s.BFDProfiles },
		func(o *v1beta1.BFDProfile) any { return &o.Spec }),
	v1beta1.KindCommunity: kindOf(func(s *intent.Snapshot) *[]*v1beta1.Community { return &s.Communities },
		func(o *v1beta1.Community) any { return &o.Spec }),
}

func kindOf[O any, T interface {
	*O
	client.Object
}](list func(*intent.Snapshot) *[]T, spec func(T) any) userKind {
	at := func(s *intent.Snapshot, name string) (int, bool) {
		return slices.BinarySearchFunc(*list(s), name, func(o T, name string) int { return strings.Compare(o.GetName(), name) })
	}
	return userKind{
		none: func() client.Object { return T(new(O)) },
		read: func(raw []byte) (client.Object, error) {
			o := T(new(O))
			return o, decode(raw, o)
		},
		spec: func(o client.Object) any { return spec(o.(T)) },
		find: func(s *intent.Snapshot, name string) client.Object {
			if i, there := at(s, name); there {
				return (*list(s))[i]
			}
			return nil
		},
		put: func(s *intent.Snapshot, name string, o client.Object) {
			i, there := at(s, name)
			all := slices.Clone(*list(s))
			switch {
			case o == nil && there:
				all = slices.Delete(all, i, i+1)
			case there:
				all[i] = o.(T)
			case o != nil:
				all = slices.Insert(all, i, o.(T))
			}
			*list(s) = all
		},
	}
}

// withPassword keeps the passwords of BGPPeers where a Snapshot has them.
func withPassword(k userKind) userKind {
	put := k.put
	k.put = func(s *intent.Snapshot, name string, o client.Object) {
		s.PeerPasswords = maps.Clone(s.PeerPasswords)
		delete(s.PeerPasswords, name)
		if p, ok := o.(*v1beta2.BGPPeer); ok && p.Spec.Password != "" {
			if s.PeerPasswords == nil {
				s.PeerPasswords = map[string]bgp.Password{}
			}
			s.PeerPasswords[name] = bgp.NewPassword(p.Spec.Password)
			bare := *p
			bare.Spec.Password = ""
			o = &bare
		}
		put(s, name, o)
	}
	return k
}

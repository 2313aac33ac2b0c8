// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// version is what a write left of a Service or a pool. It is read here from the
// API's fields, without the product's own packages, which are what is judged.
type version struct {
	rv      uint64 // of the write: the API server counts all writes in one row
	key     types.NamespacedName
	uid     types.UID
	deleted bool

	pool *poolVersion // of a pool; nil for a Service

	balanced bool // type LoadBalancer
	addrs    []netip.Addr
	wish     wish
	last     string // annotation last-ips
	pending  string // reason of AddressAssigned where that is False
}

// wish is what a user wants of a Service, as far as its addresses depend on it.
type wish struct {
	asked, pool, families, sharing, backend, ports string
}

type poolVersion struct {
	ranges   []netipx.IPRange
	counters v1beta1.IPAddressPoolStatus
}

func (p *poolVersion) has(a netip.Addr) bool {
	return slices.ContainsFunc(p.ranges, func(r netipx.IPRange) bool { return r.Contains(a) })
}

func serviceVersion(s *corev1.Service) version {
	v := version{key: types.NamespacedName{Namespace: s.Namespace, Name: s.Name}, uid: s.UID, balanced: s.Spec.Type == corev1.ServiceTypeLoadBalancer}
	for _, in := range s.Status.LoadBalancer.Ingress {
		if a, err := netip.ParseAddr(in.IP); err == nil {
			v.addrs = append(v.addrs, a)
		}
	}
	var ports []string
	for _, p := range s.Spec.Ports {
		ports = append(ports, fmt.Sprintf("%s/%d", p.Protocol, p.Port))
	}
	v.wish = wish{
		asked: s.Annotations[v1beta1.AnnotationLoadBalancerIPs], pool: s.Annotations[v1beta1.AnnotationAddressPool],
		sharing: s.Annotations[v1beta1.AnnotationAllowSharedIP], ports: strings.Join(ports, " "),
		families: fmt.Sprint(s.Spec.IPFamilies, *s.Spec.IPFamilyPolicy),
	}
	if s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		v.wish.backend = fmt.Sprint("Local ", s.Spec.Selector)
	}
	v.last = s.Annotations[v1beta1.AnnotationLastIPs]
	for _, c := range s.Status.Conditions {
		if c.Type == v1beta1.ConditionAddressAssigned && c.Status == "False" {
			v.pending = c.Reason
		}
	}
	return v
}

func poolVersionOf(p *v1beta1.IPAddressPool) version {
	v := version{key: types.NamespacedName{Namespace: p.Namespace, Name: p.Name}, uid: p.UID, pool: &poolVersion{counters: p.Status}}
	for _, text := range p.Spec.Addresses {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			v.pool.ranges = append(v.pool.ranges, netipx.RangeOfPrefix(prefix))
		} else if r, err := netipx.ParseIPRange(text); err == nil {
			v.pool.ranges = append(v.pool.ranges, r)
		}
	}
	return v
}

// mayShare is contract section 2.6.
func mayShare(a, b wish) bool {
	if a.sharing == "" || a.sharing != b.sharing || a.backend != b.backend {
		return false
	}
	others := strings.Fields(b.ports)
	return !slices.ContainsFunc(strings.Fields(a.ports), func(p string) bool { return slices.Contains(others, p) })
}

// judge replays writes in their order and says what was wrong of them.
type judge struct {
	services map[types.NamespacedName]*held
	pools    map[string]*poolVersion
	holders  map[netip.Addr][]types.NamespacedName
	wrong    []string

	gains, losses, moves int // addresses given, taken with a reason; Services that went back
}

// held is a Service and since when its addresses may be taken from it.
type held struct {
	version
	excused bool // since it has its addresses there was a reason to take them
}

func replay(all []version) *judge {
	j := &judge{services: map[types.NamespacedName]*held{}, pools: map[string]*poolVersion{}, holders: map[netip.Addr][]types.NamespacedName{}}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b version) int {
		switch {
		case a.rv < b.rv:
			return -1
		case a.rv > b.rv:
			return 1
		}
		return 0
	})
	for _, v := range all {
		switch {
		case v.pool != nil:
			j.onPool(v)
		default:
			j.onService(v)
		}
	}
	return j
}

func (j *judge) blame(v version, format string, args ...any) {
	j.wrong = append(j.wrong, fmt.Sprintf("version %d, %s: ", v.rv, v.key)+fmt.Sprintf(format, args...))
}

// allowed reports whether the pools as they are let the Service have what it has.
func (j *judge) allowed(v version) bool {
	for _, a := range v.addrs {
		in := ""
		for name, p := range j.pools {
			if p.has(a) {
				in = name
			}
		}
		if in == "" || v.wish.pool != "" && v.wish.pool != in {
			return false
		}
	}
	return v.wish.asked == "" || v.wish.asked == join(v.addrs)
}

func join(addrs []netip.Addr) string {
	var words []string
	for _, a := range addrs {
		words = append(words, a.String())
	}
	return strings.Join(words, ",")
}

func (j *judge) onPool(v version) {
	before := j.pools[v.key.Name]
	if v.deleted {
		delete(j.pools, v.key.Name)
	} else {
		j.pools[v.key.Name] = v.pool
	}
	if before != nil && !v.deleted && slices.Equal(before.ranges, v.pool.ranges) {
		return
	}
	for _, h := range j.services {
		h.excused = h.excused || !j.allowed(h.version)
	}
}

func (j *judge) onService(v version) {
	old := j.services[v.key]
	var had []netip.Addr
	if old != nil {
		had = old.addrs
	}
	for _, a := range had {
		j.holders[a] = slices.DeleteFunc(j.holders[a], func(k types.NamespacedName) bool { return k == v.key })
	}
	if v.deleted || !v.balanced {
		delete(j.services, v.key)
		return
	}
	now := &held{version: v}
	j.services[v.key] = now
	for _, a := range v.addrs {
		if !slices.Contains(had, a) {
			j.gains++
		}
		for _, other := range j.holders[a] {
			if !mayShare(v.wish, j.services[other].wish) {
				j.blame(v, "has %s, which %s has", a, other)
			}
		}
		j.holders[a] = append(j.holders[a], v.key)
	}
	now.excused = !j.allowed(v)
	if old == nil || old.uid != v.uid {
		return
	}
	lost := slices.ContainsFunc(had, func(a netip.Addr) bool { return !slices.Contains(v.addrs, a) })
	switch {
	case !lost && slices.Equal(had, v.addrs):
		now.excused = now.excused || old.excused
	case !lost:
	case old.excused || old.wish != v.wish || now.excused && len(v.addrs) == 0:
		j.losses++
	case len(v.addrs) > 0 && remembers(old.last, v.addrs):
		j.moves++
	default:
		j.blame(v, "had %v without anything against it, and has %v now", had, v.addrs)
	}
}

// remembers reports whether the annotation last-ips has all of addrs.
func remembers(last string, addrs []netip.Addr) bool {
	for _, set := range strings.Split(last, ";") {
		if set == join(addrs) {
			return true
		}
	}
	return false
}

// end says what is wrong of how it ended: who has no address and could have one,
// and which pool counts something else than what is held.
func (j *judge) end() []string {
	var wrong []string
	for key, h := range j.services {
		switch {
		case len(h.addrs) > 0 && !j.allowed(h.version):
			wrong = append(wrong, fmt.Sprintf("%s has %v, which it may not have: %+v", key, h.addrs, h.wish))
		case len(h.addrs) == 0 && h.pending == "":
			wrong = append(wrong, fmt.Sprintf("%s has no address and no condition that says why", key))
		case len(h.addrs) == 0 && j.could(h.wish):
			wrong = append(wrong, fmt.Sprintf("%s has no address (%s) and could have one: %+v", key, h.pending, h.wish))
		case len(h.addrs) == 1 && strings.Contains(h.wish.families, "DualStack"):
			wrong = append(wrong, fmt.Sprintf("%s has only %s", key, h.addrs[0]))
		}
	}
	for name, p := range j.pools {
		var v4, v6 int64
		for a, by := range j.holders {
			switch {
			case len(by) == 0 || !p.has(a):
			case a.Is4():
				v4++
			default:
				v6++
			}
		}
		if c := p.counters; c.AssignedIPv4 != v4 || c.AssignedIPv6 != v6 {
			wrong = append(wrong, fmt.Sprintf("pool %s counts %d IPv4 and %d IPv6 addresses as assigned, and %d and %d are held", name, c.AssignedIPv4, c.AssignedIPv6, v4, v6))
		}
	}
	return wrong
}

// could reports whether an address is free that a Service without one wants.
func (j *judge) could(w wish) bool {
	free := func(a netip.Addr) bool {
		return !slices.ContainsFunc(j.holders[a], func(k types.NamespacedName) bool { return !mayShare(w, j.services[k].wish) })
	}
	if w.asked != "" {
		for text := range strings.SplitSeq(w.asked, ",") {
			if a, err := netip.ParseAddr(text); err != nil || !free(a) {
				return false
			}
		}
		return true
	}
	for name, p := range j.pools {
		if w.pool != "" && w.pool != name {
			continue
		}
		for _, r := range p.ranges {
			for a := r.From(); r.Contains(a); a = a.Next() {
				if free(a) {
					return true
				}
			}
		}
	}
	return false
}

// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/bgp"
)

type peerObject = *v1beta2.BGPPeer

func compareNames(a, b string) int { return strings.Compare(a, b) }

// resolveServices reads the Services that are ours, with their endpoints. Those
// on which both Snapshots agree are taken from prev all at once.
func (in *Intent) resolveServices(prev *Intent, s *Snapshot) {
	if prev == nil || prev.source.LoadBalancerClass != s.LoadBalancerClass {
		in.Services, in.blocked = readServices(nil, s.Services, s.EndpointSlices, s.LoadBalancerClass)
	} else {
		w := windowOf(prev.source, s)
		key := func(s *Service) Key { return s.Key }
		services, endpoints := w.within(s)
		head, was, tail := split(w, prev.Services, key)
		now, blocked := readServices(was, services, endpoints, s.LoadBalancerClass)
		in.Services = slices.Concat(head, now, tail)
		head, _, tail = split(w, prev.blocked, key)
		in.blocked = slices.Concat(head, blocked, tail)
	}
	in.Findings = slices.Concat(in.Config.findings, in.clusterFindings())
	if len(in.Findings) > len(in.Config.findings) {
		slices.SortStableFunc(in.Findings, func(a, b Finding) int { return a.Object.Compare(b.Object) })
	}
	for _, b := range in.blocked {
		in.Findings = append(in.Findings, *b.Blocked)
	}
}

// readServices returns those that are ours, and which of them are blocked. The
// lists are sorted alike and walked in step; what is the same object with the same
// EndpointSlices as in prev is not read again.
func readServices(prev []*Service, services []*corev1.Service, endpoints []*discoveryv1.EndpointSlice, class string) (all, blocked []*Service) {
	all = make([]*Service, 0, len(services))
	slicesAt := cursor[*discoveryv1.EndpointSlice]{list: endpoints, key: sliceKey}
	before := cursor[*Service]{list: prev, key: func(s *Service) Key { return s.Key }}
	for _, o := range services {
		if !ours(o, class) {
			continue
		}
		key := serviceKey(o)
		endpoints := slicesAt.take(key)
		var svc *Service
		if was := before.take(key); len(was) == 1 && was[0].source == o && slices.Equal(was[0].endpoints, endpoints) {
			svc = was[0]
		} else {
			svc = serviceOf(o, endpoints)
		}
		all = append(all, svc)
		if svc.Blocked != nil {
			blocked = append(blocked, svc)
		}
	}
	return all, blocked
}

// cursor walks a sorted list by ascending keys.
type cursor[T any] struct {
	list []T
	key  func(T) Key
	at   int
	next Key // of list[at], once looked at
	seen bool
}

// take returns the items of a key, which must not be less than the one before.
func (c *cursor[T]) take(k Key) []T {
	for c.look() && c.next.Compare(k) < 0 {
		c.step()
	}
	from := c.at
	for c.look() && c.next == k {
		c.step()
	}
	return c.list[from:c.at]
}

// look reads the key of the next item and reports whether there is one.
func (c *cursor[T]) look() bool {
	if !c.seen && c.at < len(c.list) {
		c.next, c.seen = c.key(c.list[c.at]), true
	}
	return c.seen
}

func (c *cursor[T]) step() {
	c.at++
	c.seen = false
}

func sliceKey(s *discoveryv1.EndpointSlice) Key {
	return Key{s.Namespace, s.Labels[discoveryv1.LabelServiceName]}
}

func ours(o *corev1.Service, class string) bool {
	if o.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return false
	}
	if o.Spec.LoadBalancerClass == nil {
		return class == ""
	}
	return *o.Spec.LoadBalancerClass == class
}

func serviceOf(o *corev1.Service, endpoints []*discoveryv1.EndpointSlice) *Service {
	s := &Service{
		Key: Key{o.Namespace, o.Name}, Created: created(o), Labels: o.Labels,
		Local:        o.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal,
		HealthPort:   uint16(o.Spec.HealthCheckNodePort),
		AssignedPool: o.Annotations[v1beta1.AnnotationAllocatedFromPool],
		source:       o, endpoints: slices.Clone(endpoints),
	}
	s.RequestedPool, _ = annotation(o, v1beta1.AnnotationAddressPool, v1beta1.LegacyAnnotationAddressPool)
	s.families(o)
	s.addresses(o)
	s.request(o)
	s.Sharing, s.SharedAs = sharingOf(o), o.Annotations[v1beta1.AnnotationSharedAs]
	s.Last = lastOf(o)
	s.serving(endpoints)
	return s
}

// annotation returns the value under the current key, which wins even where it
// is empty, or under the legacy one; and the key.
func annotation(o *corev1.Service, key, legacy string) (value, from string) {
	if v, ok := o.Annotations[key]; ok {
		return strings.TrimSpace(v), key
	}
	return strings.TrimSpace(o.Annotations[legacy]), legacy
}

func (s *Service) families(o *corev1.Service) {
	ips := o.Spec.ClusterIPs
	if len(ips) == 0 && o.Spec.ClusterIP != "" {
		ips = []string{o.Spec.ClusterIP}
	}
	for _, ip := range ips {
		if addr, ok := parseAddr(ip); ok {
			s.Families = append(s.Families, bgp.FamilyOf(addr))
		}
	}
	slices.Sort(s.Families)
	s.Families = slices.Compact(s.Families)
	s.Primary = bgp.IPv4
	if len(o.Spec.IPFamilies) > 0 && o.Spec.IPFamilies[0] == corev1.IPv6Protocol || len(s.Families) == 1 && s.Families[0] == bgp.IPv6 {
		s.Primary = bgp.IPv6
	}
	if o.Spec.IPFamilyPolicy != nil {
		s.DualStack = *o.Spec.IPFamilyPolicy
	}
}

func (s *Service) addresses(o *corev1.Service) {
	for _, ingress := range o.Status.LoadBalancer.Ingress {
		if addr, ok := parseAddr(ingress.IP); ok {
			s.Addresses = append(s.Addresses, addr)
		}
	}
	slices.SortFunc(s.Addresses, netip.Addr.Compare)
	s.Addresses = slices.Compact(s.Addresses)
	for _, c := range o.Status.Conditions {
		if c.Type == v1beta1.ConditionAddressAssigned && c.Status == "True" {
			s.AssignedSince = c.LastTransitionTime.Time
		}
	}
}

// request reads the addresses asked for.
func (s *Service) request(o *corev1.Service) {
	text, key := annotation(o, v1beta1.AnnotationLoadBalancerIPs, v1beta1.LegacyAnnotationLoadBalancerIPs)
	field := "metadata.annotations[" + key + "]"
	switch {
	case text != "" && o.Spec.LoadBalancerIP != "":
		s.block(field, text, "service can not have both %s and spec.loadBalancerIP (%s); keep one of the two", key, o.Spec.LoadBalancerIP)
		return
	case text == "":
		text, field = o.Spec.LoadBalancerIP, "spec.loadBalancerIP"
	}
	if text == "" {
		return
	}
	var families []bgp.Family
	for _, part := range strings.Split(text, ",") {
		addr, ok := parseAddr(strings.TrimSpace(part))
		if !ok {
			s.block(field, text, "%q is no address; write one such as 192.0.2.1, or one of each family separated by a comma", strings.TrimSpace(part))
			return
		}
		if slices.Contains(families, bgp.FamilyOf(addr)) {
			s.block(field, text, "has more than one %s address; write one of each family at most, and make another Service for another address", map[bgp.Family]string{bgp.IPv4: "IPv4", bgp.IPv6: "IPv6"}[bgp.FamilyOf(addr)])
			return
		}
		families = append(families, bgp.FamilyOf(addr))
		s.Requested = append(s.Requested, addr)
	}
	slices.SortFunc(s.Requested, netip.Addr.Compare)
}

func (s *Service) block(field, value, format string, args ...any) {
	s.Requested = nil
	s.Blocked = one(InvalidRequest, field, value, format, args...)
	s.Blocked.Object = s.Key.Ref()
}

// serving reads which nodes can serve: those of the ready endpoints or, where
// there is none, of the ones that are shutting down and still serving.
func (s *Service) serving(endpoints []*discoveryv1.EndpointSlice) {
	var draining map[string]bool
	drains := false
	note := func(nodes *map[string]bool, name *string) {
		if name == nil {
			return
		}
		if *nodes == nil {
			*nodes = map[string]bool{}
		}
		(*nodes)[*name] = true
	}
	for _, slice := range endpoints {
		for _, e := range slice.Endpoints {
			switch {
			case len(e.Addresses) == 0:
			case e.Conditions.Ready == nil || *e.Conditions.Ready:
				s.Serving = true
				note(&s.ServingNodes, e.NodeName)
			case e.Conditions.Serving != nil && *e.Conditions.Serving:
				drains = true
				note(&draining, e.NodeName)
			}
		}
	}
	if !s.Serving && drains {
		s.Serving, s.ServingNodes = true, draining
	}
}

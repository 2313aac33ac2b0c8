// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// ServiceStatuses are the objects of one of the kinds ServiceBGPStatus and
// ServiceL2Status, in which each speaker says which Services its node announces.
// An object is a *v1beta1.ServiceBGPStatus or a *v1beta1.ServiceL2Status.
type ServiceStatuses struct {
	cluster  *Cluster
	kind     string
	prefix   string // of names
	allNodes bool   // those of other nodes are there too
	empty    func() client.Object
	objects  *kind[client.Object]
}

// Announced is what a node says of a Service: peers in a ServiceBGPStatus,
// addresses and links in a ServiceL2Status.
type Announced struct {
	Service intent.Key
	Peers   []string     // names of BGPPeers, sorted
	Addrs   []netip.Addr // sorted
	Links   []string     // sorted; none: all interfaces
}

// addServiceBGPStatuses registers the node's own ServiceBGPStatuses.
func (c *Cluster) addServiceBGPStatuses() {
	c.bgp = &ServiceStatuses{
		cluster: c, kind: v1beta1.KindServiceBGPStatus, prefix: "bgp-",
		empty: func() client.Object { return &v1beta1.ServiceBGPStatus{} },
	}
	c.bgp.add(func() client.ObjectList { return &v1beta1.ServiceBGPStatusList{} }, kind[client.Object]{
		only: client.MatchingLabels{v1beta1.LabelNode: labelValue(c.options.Node)},
	})
}

// addServiceL2Statuses registers the ServiceL2Statuses of all nodes.
func (c *Cluster) addServiceL2Statuses() {
	c.l2 = &ServiceStatuses{
		cluster: c, kind: v1beta1.KindServiceL2Status, prefix: "l2-", allNodes: true,
		empty: func() client.Object { return &v1beta1.ServiceL2Status{} },
	}
	k := kind[client.Object]{}
	if c.options.Node != "" {
		k.objects.heard = c.held.heard
	}
	c.l2.add(func() client.ObjectList { return &v1beta1.ServiceL2StatusList{} }, k)
}

// add registers the kind. Nobody waits for it to be listed: a speaker announces
// without.
func (s *ServiceStatuses) add(list func() client.ObjectList, k kind[client.Object]) {
	k.namespace, k.signal = s.cluster.options.Namespace, make(chan struct{}, 1)
	k.objects.compare, k.objects.same, k.objects.writes = byService, sameServiceStatus, true
	s.objects = add(s.cluster, s.kind, s.empty(), list, s.trim, k)
	delete(s.cluster.missing, s.kind)
}

// trim keeps of another node's object which addresses of which Service it names
// and, for who is no node, on which interfaces.
func (s *ServiceStatuses) trim(o client.Object) client.Object {
	if l2, ok := o.(*v1beta1.ServiceL2Status); ok && !s.Own(o) {
		t := &v1beta1.ServiceL2Status{ObjectMeta: bareMeta(&l2.ObjectMeta)}
		t.Labels, t.Status.Node, t.Status.Addresses = l2.Labels, l2.Status.Node, l2.Status.Addresses
		if s.cluster.options.Node == "" {
			t.Status.Interfaces = l2.Status.Interfaces
		}
		return t
	}
	return trimOwn(o)
}

// ServiceBGPStatuses returns those of the node in Options.Node, whoever made
// them; nil without Options.Node.
func (c *Cluster) ServiceBGPStatuses() *ServiceStatuses { return c.bgp }

// ServiceL2Statuses returns those of all nodes; nil without Options.Node, unless the
// process is a StatusWriter. Those of others have labels, and node and addresses in
// their status, but nothing else; to who is no node, interfaces as well.
func (c *Cluster) ServiceL2Statuses() *ServiceStatuses { return c.l2 }

// Kind returns the kind of the objects.
func (s *ServiceStatuses) Kind() string { return s.kind }

// All returns the objects sorted by Service and name. ok is false as long as they
// have not been listed. They must not be changed.
func (s *ServiceStatuses) All() (all []client.Object, ok bool) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	return s.objects.objects.all(), s.objects.listed
}

// Changed receives a value after the objects were first listed, and after one of
// them has changed since the value before.
func (s *ServiceStatuses) Changed() <-chan struct{} { return s.objects.signal }

// Own reports whether an object is that of the node in Options.Node, as its label
// says.
func (s *ServiceStatuses) Own(o client.Object) bool {
	return o.GetLabels()[v1beta1.LabelNode] == labelValue(s.cluster.options.Node)
}

// ServiceOf returns the Service that an object is about, as its labels say.
func ServiceOf(o client.Object) intent.Key {
	labels := o.GetLabels()
	return intent.Key{Namespace: labels[v1beta1.LabelServiceNamespace], Name: labels[v1beta1.LabelServiceName]}
}

func byService(a, b client.Object) int {
	return cmp.Or(ServiceOf(a).Compare(ServiceOf(b)), cmp.Compare(a.GetName(), b.GetName()))
}

func sameServiceStatus(a, b client.Object) bool {
	return maps.Equal(a.GetLabels(), b.GetLabels()) && apiequality.Semantic.DeepEqual(a.GetOwnerReferences(), b.GetOwnerReferences()) &&
		apiequality.Semantic.DeepEqual(statusOf(a), statusOf(b))
}

// statusOf returns an object's status.
func statusOf(o client.Object) any {
	switch o := o.(type) {
	case *v1beta1.ServiceBGPStatus:
		return &o.Status
	case *v1beta1.ServiceL2Status:
		return &o.Status
	}
	return nil
}

// about returns the immutable part of an object's status: node, and the Service's
// name and namespace.
func about(o client.Object) [3]string {
	switch o := o.(type) {
	case *v1beta1.ServiceBGPStatus:
		return [3]string{o.Status.Node, o.Status.ServiceName, o.Status.ServiceNamespace}
	case *v1beta1.ServiceL2Status:
		return [3]string{o.Status.Node, o.Status.ServiceName, o.Status.ServiceNamespace}
	}
	return [3]string{}
}

// New returns the object that says a of the node in Options.Node. owner may be nil.
func (s *ServiceStatuses) New(a Announced, owner *metav1.OwnerReference) client.Object {
	node := s.cluster.options.Node
	o := s.empty()
	switch o := o.(type) {
	case *v1beta1.ServiceBGPStatus:
		o.Status = v1beta1.ServiceBGPStatusStatus{Node: node, ServiceName: a.Service.Name, ServiceNamespace: a.Service.Namespace, Peers: a.Peers}
	case *v1beta1.ServiceL2Status:
		o.Status = v1beta1.ServiceL2StatusStatus{Node: node, ServiceName: a.Service.Name, ServiceNamespace: a.Service.Namespace}
		for _, link := range a.Links {
			o.Status.Interfaces = append(o.Status.Interfaces, v1beta1.InterfaceInfo{Name: link})
		}
		for _, addr := range a.Addrs {
			o.Status.Addresses = append(o.Status.Addresses, addr.String())
		}
	}
	o.SetNamespace(s.cluster.options.Namespace)
	o.SetName(s.nameOf(a.Service))
	o.SetLabels(map[string]string{
		v1beta1.LabelNode: labelValue(node), v1beta1.LabelServiceNamespace: a.Service.Namespace, v1beta1.LabelServiceName: a.Service.Name,
	})
	if owner != nil {
		o.SetOwnerReferences([]metav1.OwnerReference{*owner})
	}
	return o
}

// nameOf is the same in each life of a speaker, so that making an object twice
// makes one.
func (s *ServiceStatuses) nameOf(svc intent.Key) string {
	sum := sha256.Sum256([]byte(s.cluster.options.Node + "/" + svc.String()))
	return s.prefix + hex.EncodeToString(sum[:8])
}

// labelValue fits a node's name, which may have 253 characters, into a label's
// value, which has at most 63: the end of a longer one becomes a hash.
func labelValue(name string) string {
	if len(name) <= 63 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:46] + "-" + hex.EncodeToString(sum[:8])
}

// Says reports whether have is what New makes of the same arguments. The name does
// not count, so an object of another maker can stay.
func (s *ServiceStatuses) Says(have client.Object, a Announced, owner *metav1.OwnerReference) bool {
	return about(have) == [3]string{s.cluster.options.Node, a.Service.Name, a.Service.Namespace} &&
		ServiceOf(have) == a.Service && s.Own(have) && ownedBy(have, owner) && saysMore(have, a)
}

func saysMore(have client.Object, a Announced) bool {
	switch o := have.(type) {
	case *v1beta1.ServiceBGPStatus:
		return slices.Equal(o.Status.Peers, a.Peers)
	case *v1beta1.ServiceL2Status:
		return slices.EqualFunc(o.Status.Interfaces, a.Links, func(i v1beta1.InterfaceInfo, link string) bool { return i.Name == link }) &&
			slices.EqualFunc(o.Status.Addresses, a.Addrs, sameAddr)
	}
	return false
}

func sameAddr(text string, a netip.Addr) bool {
	var room [64]byte
	return text == string(a.AppendTo(room[:0]))
}

// Untrue reports whether another node's object is, since the node in Options.Node
// announces a: each address that it names is one of a's or named by a third node's
// object among same, those about the Service, and at least one is a's. So no address
// stays without an object when it goes. One that names none, as those of MetalLB's
// speakers, is untrue; one that is being made says nothing yet.
func (s *ServiceStatuses) Untrue(a Announced, other client.Object, same []client.Object) bool {
	l2, ok := other.(*v1beta1.ServiceL2Status)
	if !ok || l2.Status.Node == "" || s.Own(other) {
		return false
	}
	here := len(l2.Status.Addresses) == 0
	for _, text := range l2.Status.Addresses {
		switch {
		case slices.ContainsFunc(a.Addrs, func(addr netip.Addr) bool { return sameAddr(text, addr) }):
			here = true
		case !slices.ContainsFunc(same, func(o client.Object) bool {
			third, ok := o.(*v1beta1.ServiceL2Status)
			return ok && !s.Own(o) && third.Status.Node != "" && third.Status.Node != l2.Status.Node && slices.Contains(third.Status.Addresses, text)
		}):
			return false
		}
	}
	return here
}

func ownedBy(have client.Object, owner *metav1.OwnerReference) bool {
	owners := have.GetOwnerReferences()
	return owner == nil || len(owners) == 1 && apiequality.Semantic.DeepEqual(owners[0], *owner)
}

// sameOwned reports whether have has want's labels and, where want names any, its
// owners.
func sameOwned(have, want client.Object) bool {
	return contains(have.GetLabels(), want.GetLabels()) &&
		(len(want.GetOwnerReferences()) == 0 || apiequality.Semantic.DeepEqual(have.GetOwnerReferences(), want.GetOwnerReferences()))
}

// AboutAnother reports whether have's status is about another Service or node than
// want. Those fields are immutable, so only a new object can be right.
func AboutAnother(have, want client.Object) bool {
	is := about(want)
	for i, text := range about(have) {
		if text != "" && text != is[i] {
			return true
		}
	}
	return false
}

// Write makes the object of want's name what want says. have is what All has of
// it, or nil. It takes a request for what is kept in the metadata and one for the
// status, and makes those that are needed.
func (s *ServiceStatuses) Write(ctx context.Context, have, want client.Object) error {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	var err error
	switch {
	case have == nil:
		err = s.apply(ctx, want, false)
	case !sameOwned(have, want):
		err = s.takeOver(ctx, have, want)
	}
	if err != nil {
		return err
	}
	if have != nil && apiequality.Semantic.DeepEqual(statusOf(have), statusOf(want)) {
		return nil
	}
	return s.apply(ctx, want, true)
}

// apply applies want's metadata, or its status.
func (s *ServiceStatuses) apply(ctx context.Context, want client.Object, inStatus bool) error {
	meta := map[string]any{"name": want.GetName(), "namespace": want.GetNamespace()}
	body := map[string]any{"apiVersion": v1beta1.GroupVersion.String(), "kind": s.kind, "metadata": meta}
	answer := s.named(want)
	var err error
	if inStatus {
		body["status"] = statusOf(want)
		err = s.cluster.patch(ctx, answer, want, types.ApplyPatchType, body)
	} else {
		meta["labels"] = want.GetLabels()
		if owners := want.GetOwnerReferences(); len(owners) > 0 {
			meta["ownerReferences"] = owners
		}
		var data []byte
		if data, err = json.Marshal(body); err == nil {
			err = s.cluster.client.Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, data),
				client.FieldOwner(s.cluster.options.FieldOwner), client.ForceOwnership)
		}
	}
	if err != nil {
		return fmt.Errorf("write %s %s of Service %s: %w", s.kind, want.GetName(), ServiceOf(want), err)
	}
	s.objects.take(answer)
	return nil
}

// takeOver gives an object that exists want's labels and owners. An apply would
// leave the owners that another writer has put there.
func (s *ServiceStatuses) takeOver(ctx context.Context, have, want client.Object) error {
	meta := map[string]any{"uid": have.GetUID(), "labels": want.GetLabels()}
	if owners := want.GetOwnerReferences(); len(owners) > 0 {
		meta["ownerReferences"] = owners
	}
	data, err := json.Marshal(map[string]any{"metadata": meta})
	if err != nil {
		return fmt.Errorf("take over %s %s: %w", s.kind, want.GetName(), err)
	}
	answer := s.named(want)
	err = s.cluster.client.Patch(ctx, answer, client.RawPatch(types.MergePatchType, data), client.FieldOwner(s.cluster.options.FieldOwner))
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		err = fmt.Errorf("%w: %w", ErrOutdated, err)
	}
	if err != nil {
		return fmt.Errorf("take over %s %s of Service %s: %w", s.kind, want.GetName(), ServiceOf(want), err)
	}
	s.objects.take(answer)
	return nil
}

// Delete removes an object; another node's only as All has it. One that is gone is
// no error.
func (s *ServiceStatuses) Delete(ctx context.Context, have client.Object) error {
	only := client.Preconditions{UID: new(have.GetUID())}
	var err error
	switch {
	case s.Own(have):
	case !s.allNodes:
		err = errors.New("it is another node's")
	default:
		var latest client.Object
		if latest, err = current(s.cluster, s.objects, have); err == nil {
			only.ResourceVersion = new(latest.GetResourceVersion())
		}
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, writeLimit)
		defer cancel()
		err = s.cluster.client.Delete(ctx, s.named(have), only)
	}
	if apierrors.IsConflict(err) {
		err = fmt.Errorf("%w: %w", ErrOutdated, err)
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete %s %s of Service %s: %w", s.kind, have.GetName(), ServiceOf(have), err)
	}
	key := keyOf(have)
	s.objects.update(func(all *collection[client.Object]) change {
		if known, ok := all.entries[key]; ok && known.latest.GetUID() == have.GetUID() {
			return all.remove(key)
		}
		return nothing
	})
	return nil
}

// named returns an object of the kind with nothing but o's name.
func (s *ServiceStatuses) named(o client.Object) client.Object {
	n := s.empty()
	n.SetNamespace(o.GetNamespace())
	n.SetName(o.GetName())
	return n
}

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
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

type serviceStatus = *v1beta1.ServiceBGPStatus

// addServiceStatuses registers the node's own ServiceBGPStatuses. Nobody waits for
// them to be listed: a speaker announces without.
func (c *Cluster) addServiceStatuses() {
	c.statuses = add(c, v1beta1.KindServiceBGPStatus, &v1beta1.ServiceBGPStatus{},
		func() client.ObjectList { return &v1beta1.ServiceBGPStatusList{} }, trimOwn[serviceStatus], kind[serviceStatus]{
			namespace: c.options.Namespace,
			objects:   collection[serviceStatus]{compare: byService, same: sameServiceStatus, writes: true},
			signal:    make(chan struct{}, 1),
			only:      client.MatchingLabels{v1beta1.LabelNode: labelValue(c.options.Node)},
		})
	delete(c.missing, v1beta1.KindServiceBGPStatus)
}

// ServiceOf returns the Service that a ServiceBGPStatus is about, as its labels
// say.
func ServiceOf(s *v1beta1.ServiceBGPStatus) intent.Key {
	return intent.Key{Namespace: s.Labels[v1beta1.LabelServiceNamespace], Name: s.Labels[v1beta1.LabelServiceName]}
}

func byService(a, b serviceStatus) int {
	return cmp.Or(ServiceOf(a).Compare(ServiceOf(b)), cmp.Compare(a.Name, b.Name))
}

func sameServiceStatus(a, b serviceStatus) bool {
	return maps.Equal(a.Labels, b.Labels) && apiequality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences) &&
		apiequality.Semantic.DeepEqual(a.Status, b.Status)
}

// ServiceBGPStatuses returns those of the node in Options.Node, whoever made
// them, sorted by Service and name. ok is false as long as they have not been
// listed. The objects must not be changed.
func (c *Cluster) ServiceBGPStatuses() (all []*v1beta1.ServiceBGPStatus, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.statuses.objects.all(), c.statuses.listed
}

// ServiceBGPStatusesChanged receives a value after those were first listed, and
// after one of them has changed since the value before.
func (c *Cluster) ServiceBGPStatusesChanged() <-chan struct{} { return c.statuses.signal }

// ServiceBGPStatus returns the object that says that the node in Options.Node
// announces a Service to peers, which are sorted. owner may be nil.
func (c *Cluster) ServiceBGPStatus(svc intent.Key, peers []string, owner *metav1.OwnerReference) *v1beta1.ServiceBGPStatus {
	s := &v1beta1.ServiceBGPStatus{}
	s.Namespace, s.Name = c.options.Namespace, serviceStatusName(c.options.Node, svc)
	s.Labels = map[string]string{
		v1beta1.LabelNode: labelValue(c.options.Node), v1beta1.LabelServiceNamespace: svc.Namespace, v1beta1.LabelServiceName: svc.Name,
	}
	if owner != nil {
		s.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	s.Status = v1beta1.ServiceBGPStatusStatus{Node: c.options.Node, ServiceName: svc.Name, ServiceNamespace: svc.Namespace, Peers: peers}
	return s
}

// serviceStatusName is the same in each life of a speaker, so that making an
// object twice makes one.
func serviceStatusName(node string, svc intent.Key) string {
	sum := sha256.Sum256([]byte(node + "/" + svc.String()))
	return "bgp-" + hex.EncodeToString(sum[:8])
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

// IsServiceBGPStatus reports whether have is what ServiceBGPStatus makes of the
// same arguments. The name does not count, so an object of another maker can stay.
func (c *Cluster) IsServiceBGPStatus(have *v1beta1.ServiceBGPStatus, svc intent.Key, peers []string, owner *metav1.OwnerReference) bool {
	s := &have.Status
	return s.Node == c.options.Node && s.ServiceNamespace == svc.Namespace && s.ServiceName == svc.Name && slices.Equal(s.Peers, peers) &&
		ServiceOf(have) == svc && have.Labels[v1beta1.LabelNode] == labelValue(c.options.Node) && ownedBy(have, owner)
}

func ownedBy(have *v1beta1.ServiceBGPStatus, owner *metav1.OwnerReference) bool {
	return owner == nil || len(have.OwnerReferences) == 1 && apiequality.Semantic.DeepEqual(have.OwnerReferences[0], *owner)
}

// sameOwned reports whether have has want's labels and, where want names any, its
// owners.
func sameOwned(have, want *v1beta1.ServiceBGPStatus) bool {
	return contains(have.Labels, want.Labels) &&
		(len(want.OwnerReferences) == 0 || apiequality.Semantic.DeepEqual(have.OwnerReferences, want.OwnerReferences))
}

// AboutAnother reports whether have's status is about another Service or node than
// want. Those fields are immutable, so only a new object can be right.
func AboutAnother(have, want *v1beta1.ServiceBGPStatus) bool {
	differ := func(have, want string) bool { return have != "" && have != want }
	return differ(have.Status.Node, want.Status.Node) || differ(have.Status.ServiceName, want.Status.ServiceName) ||
		differ(have.Status.ServiceNamespace, want.Status.ServiceNamespace)
}

// WriteServiceBGPStatus makes the object of want's name what want says. have is
// what ServiceBGPStatuses has of it, or nil. It takes a request for what is kept
// in the metadata and one for the status, and makes those that are needed.
func (c *Cluster) WriteServiceBGPStatus(ctx context.Context, have, want *v1beta1.ServiceBGPStatus) error {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	var err error
	switch {
	case have == nil:
		err = c.applyServiceStatus(ctx, want, false)
	case !sameOwned(have, want):
		err = c.takeServiceStatus(ctx, have, want)
	}
	if err != nil {
		return err
	}
	if have != nil && apiequality.Semantic.DeepEqual(have.Status, want.Status) {
		return nil
	}
	return c.applyServiceStatus(ctx, want, true)
}

// applyServiceStatus applies want's metadata, or its status.
func (c *Cluster) applyServiceStatus(ctx context.Context, want *v1beta1.ServiceBGPStatus, inStatus bool) error {
	meta := map[string]any{"name": want.Name, "namespace": want.Namespace}
	body := map[string]any{"apiVersion": v1beta1.GroupVersion.String(), "kind": v1beta1.KindServiceBGPStatus, "metadata": meta}
	answer := &v1beta1.ServiceBGPStatus{}
	answer.Namespace, answer.Name = want.Namespace, want.Name
	var err error
	if inStatus {
		body["status"] = want.Status
		err = c.patch(ctx, answer, want, types.ApplyPatchType, body)
	} else {
		meta["labels"] = want.Labels
		if len(want.OwnerReferences) > 0 {
			meta["ownerReferences"] = want.OwnerReferences
		}
		var data []byte
		if data, err = json.Marshal(body); err == nil {
			err = c.client.Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, data),
				client.FieldOwner(c.options.FieldOwner), client.ForceOwnership)
		}
	}
	if err != nil {
		return fmt.Errorf("write ServiceBGPStatus %s of Service %s: %w", want.Name, ServiceOf(want), err)
	}
	c.statuses.take(answer)
	return nil
}

// takeServiceStatus gives an object that exists want's labels and owners. An apply
// would leave the owners that another writer has put there.
func (c *Cluster) takeServiceStatus(ctx context.Context, have, want *v1beta1.ServiceBGPStatus) error {
	meta := map[string]any{"uid": have.UID, "labels": want.Labels}
	if len(want.OwnerReferences) > 0 {
		meta["ownerReferences"] = want.OwnerReferences
	}
	data, err := json.Marshal(map[string]any{"metadata": meta})
	if err != nil {
		return fmt.Errorf("take over ServiceBGPStatus %s: %w", want.Name, err)
	}
	answer := &v1beta1.ServiceBGPStatus{}
	answer.Namespace, answer.Name = want.Namespace, want.Name
	err = c.client.Patch(ctx, answer, client.RawPatch(types.MergePatchType, data), client.FieldOwner(c.options.FieldOwner))
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		err = fmt.Errorf("%w: %w", ErrOutdated, err)
	}
	if err != nil {
		return fmt.Errorf("take over ServiceBGPStatus %s of Service %s: %w", want.Name, ServiceOf(want), err)
	}
	c.statuses.take(answer)
	return nil
}

// DeleteServiceBGPStatus removes an object of the node's own. One that is gone is
// no error.
func (c *Cluster) DeleteServiceBGPStatus(ctx context.Context, have *v1beta1.ServiceBGPStatus) error {
	if have.Labels[v1beta1.LabelNode] != labelValue(c.options.Node) {
		return errors.New("delete ServiceBGPStatus " + have.Name + ": it is another node's")
	}
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	doomed := &v1beta1.ServiceBGPStatus{}
	doomed.Namespace, doomed.Name = have.Namespace, have.Name
	err := c.client.Delete(ctx, doomed, client.Preconditions{UID: &have.UID})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete ServiceBGPStatus %s of Service %s: %w", have.Name, ServiceOf(have), err)
	}
	key := keyOf(have)
	c.statuses.update(func(all *collection[serviceStatus]) change {
		if known, ok := all.entries[key]; ok && known.latest.UID == have.UID {
			return all.remove(key)
		}
		return nothing
	})
	return nil
}

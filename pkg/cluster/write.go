// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/status"
)

// writeLimit is how long one write may take, and no longer than the Lease is held.
const writeLimit = 10 * time.Second

// ErrOutdated: the object was changed since the Snapshot that the write was
// decided on, or is gone. The change is, or will be, told by Changed: decide
// anew.
var ErrOutdated = errors.New("the object has changed meanwhile")

// Every write names the version of the object that it was decided on, and the
// API server refuses it where there is a newer one. So a decision never lands on
// something it did not see: not on an edit that is still under way to us, and
// not on what another leader wrote. Fields that others wrote into our part of a
// status are overwritten all the same, once they have been seen. What a version
// cannot tell, that another leader gives the same address to another object, the
// Lease keeps from happening.

// WriteServiceStatus makes the Service's status, and the annotation that names
// its pool, what want says, in one request. It reports whether anything had to
// be written. svc is the object in the Snapshot. The answer is in the Snapshot
// that the next Read returns; ServicesChanged does not tell of it.
func (c *Cluster) WriteServiceStatus(ctx context.Context, svc *corev1.Service, want status.Service) (bool, error) {
	latest, err := current(c, c.services, svc)
	if err != nil {
		return false, fmt.Errorf("write status of Service %s: %w", keyOf(svc), err)
	}
	patch := servicePatch(latest, want)
	if patch == nil {
		return false, nil
	}
	answer := &corev1.Service{}
	if err := c.patch(ctx, answer, svc, types.StrategicMergePatchType, patch); err != nil {
		return false, fmt.Errorf("write status of Service %s: %w", keyOf(svc), err)
	}
	c.services.learn(answer)
	return true, nil
}

// servicePatch returns what turns latest into want, or nil where they agree.
//
// It is a strategic merge patch, not an apply: an apply that leaves a field out
// gives the field up, and it stays if another writer (MetalLB, before) owns it
// too. Here removing means removing. The API server takes annotations through
// the status subresource of Services.
func servicePatch(latest *corev1.Service, want status.Service) map[string]any {
	meta, part := map[string]any{}, map[string]any{}
	if !want.SameAddresses(latest) {
		ingress := make([]map[string]any, len(want.Addresses))
		for i, a := range want.Addresses {
			ingress[i] = map[string]any{"ip": a.String()}
		}
		part["loadBalancer"] = map[string]any{"ingress": ingress}
	}
	annotations := map[string]any{}
	for key, value := range want.Annotations() {
		switch have, ok := latest.Annotations[key]; {
		case value != "" && have != value:
			annotations[key] = value
		case value == "" && ok:
			annotations[key] = nil // removes
		}
	}
	if len(annotations) > 0 {
		meta["annotations"] = annotations
	}
	var conditions []any
	for kind, want := range map[string]*metav1.Condition{
		v1beta1.ConditionAddressAssigned: want.Condition, v1beta1.ConditionAddressConflict: want.Conflict,
		v1beta1.ConditionAnnounced: want.Announced,
	} {
		switch have := status.Find(latest.Status.Conditions, kind); {
		case status.SameCondition(have, want):
		case want == nil:
			conditions = append(conditions, map[string]any{"type": kind, "$patch": "delete"})
		default:
			conditions = append(conditions, want)
		}
	}
	if conditions != nil {
		part["conditions"] = conditions
	}
	if len(meta) == 0 && len(part) == 0 {
		return nil
	}
	meta["resourceVersion"] = latest.ResourceVersion
	return map[string]any{"metadata": meta, "status": part}
}

// WriteStatus makes the status of an object that users write what want says. It
// reports whether anything had to be written. obj is the object in the Snapshot.
func (c *Cluster) WriteStatus(ctx context.Context, obj client.Object, want status.Object) (bool, error) {
	ref := intent.Ref{Kind: status.Kind(obj), Name: obj.GetName()}
	latest := c.Latest(ref)
	if latest == nil || latest.GetUID() != obj.GetUID() || latest.GetGeneration() != obj.GetGeneration() {
		return false, fmt.Errorf("write status of %s: %w", ref, ErrOutdated)
	}
	if want.Same(latest) {
		return false, nil
	}
	gvk, err := c.client.GroupVersionKindFor(obj)
	if err != nil {
		return false, fmt.Errorf("write status of %s: %w", ref, err)
	}
	body := map[string]any{
		"apiVersion": gvk.GroupVersion().String(), "kind": gvk.Kind,
		"metadata": map[string]any{
			"name": obj.GetName(), "namespace": obj.GetNamespace(), "resourceVersion": latest.GetResourceVersion(),
		},
		"status": want.Body(),
	}
	empty, err := c.client.Scheme().New(gvk) // decoding fills, it does not clear
	if err != nil {
		return false, fmt.Errorf("write status of %s: %w", ref, err)
	}
	answer := empty.(client.Object)
	if err := c.patch(ctx, answer, obj, types.ApplyPatchType, body); err != nil {
		return false, fmt.Errorf("write status of %s: %w", ref, err)
	}
	c.own[ref.Kind].take(answer)
	return true, nil
}

// Latest returns the newest version known of an object of our kinds, whose
// status may be newer than in the last Snapshot; nil where there is none.
func (c *Cluster) Latest(ref intent.Ref) client.Object {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.own[ref.Kind]; ok {
		return k.find(ref.Name)
	}
	return nil
}

// patch sends body to the status subresource of obj, and puts what came of it
// into answer.
func (c *Cluster) patch(ctx context.Context, answer, obj client.Object, kind types.PatchType, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	left := c.options.Lease.Left()
	if left <= 0 {
		return ErrNotLeader
	}
	ctx, cancel := context.WithTimeout(ctx, min(writeLimit, left))
	defer cancel()
	answer.SetNamespace(obj.GetNamespace())
	answer.SetName(obj.GetName())
	options := []client.SubResourcePatchOption{client.FieldOwner(c.options.FieldOwner)}
	if kind == types.ApplyPatchType {
		options = append(options, client.ForceOwnership)
	}
	err = c.client.Status().Patch(ctx, answer, client.RawPatch(kind, data), options...)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return fmt.Errorf("%w: %w", ErrOutdated, err)
	}
	return err
}

// current returns the latest version of obj, provided that obj is still what a
// Snapshot would show.
func current[T client.Object](c *Cluster, k *kind[T], obj T) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var none T
	known, ok := k.objects.entries[keyOf(obj)]
	if !ok || any(known.shown) != any(obj) {
		return none, ErrOutdated
	}
	return known.latest, nil
}

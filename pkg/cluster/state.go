// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// addStates registers the ConfigurationStates. They change whenever some session
// does, which is no reason to decide anything anew.
func (c *Cluster) addStates() {
	k := kind[state]{
		namespace: c.options.Namespace,
		into:      func(s *intent.Snapshot, all []state) { s.States = all },
		objects:   collection[state]{compare: byName[state], same: sameState, writes: true},
		signal:    make(chan struct{}, 1),
	}
	trim := trimOwn[state]
	if c.options.Node != "" {
		trim = c.trimState
		k.told, k.objects = true, collection[state]{compare: byName[state], same: c.sameForSpeaker, heard: c.heardState}
	}
	c.states = add(c, v1beta1.KindConfigurationState, &v1beta1.ConfigurationState{},
		func() client.ObjectList { return &v1beta1.ConfigurationStateList{} }, trim, k)
}

// isOwn reports whether a ConfigurationState is that of Options.Node.
func (c *Cluster) isOwn(s state) bool {
	node, ok := strings.CutPrefix(s.Name, v1beta1.SpeakerStatePrefix)
	return ok && node == c.options.Node
}

// trimState keeps of a ConfigurationState what a speaker needs.
func (c *Cluster) trimState(s state) state {
	if c.isOwn(s) {
		return trimOwn(s)
	}
	return trimLinks(s)
}

// sameForSpeaker reports whether nothing that a speaker needs differs.
func (c *Cluster) sameForSpeaker(a, b state) bool {
	if c.isOwn(a) {
		return sameState(a, b) && apiequality.Semantic.DeepEqual(a.OwnerReferences, b.OwnerReferences)
	}
	return sameLinks(a, b)
}

// heardState tells a speaker of a change: who writes the own object, of that; who
// decides, of links alone.
func (c *Cluster) heardState(old, now state) {
	if !sameLinks(old, now) {
		c.note(visible)
	}
	if old != nil && c.isOwn(old) || now != nil && c.isOwn(now) {
		wake(c.states.signal)
	}
}

// StatesChanged receives a value after the ConfigurationStates were first listed,
// and after one has changed since the value before: one of any node or, with
// Options.Node, the node's own. The next Read shows it. A StatusWriter also gets
// one after a change in the status of an object that users write.
func (c *Cluster) StatesChanged() <-chan struct{} { return c.states.signal }

// State returns the newest ConfigurationState of that name known, or nil. With
// Options.Node, one of another node has links and nothing else.
func (c *Cluster) State(name string) *v1beta1.ConfigurationState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states.latest(name)
}

// SameState reports whether the newest version of the ConfigurationState of that
// name is already what want says.
func (c *Cluster) SameState(want *v1beta1.ConfigurationState) bool {
	have := c.State(want.Name)
	return sameMeta(have, want) && sameStateStatus(&have.Status, &want.Status)
}

// sameMeta reports whether have exists and has want's labels and, where want
// names any, its owners.
func sameMeta(have, want *v1beta1.ConfigurationState) bool {
	return have != nil && contains(have.Labels, want.Labels) &&
		(len(want.OwnerReferences) == 0 || apiequality.Semantic.DeepEqual(have.OwnerReferences, want.OwnerReferences))
}

// WriteConfigurationState makes the ConfigurationState of want's name what want
// says: labels, owner and status. It reports whether anything had to be written.
// The object is the caller's own and nobody else's, so it is made where it is
// missing, and overwritten whatever was done to it.
func (c *Cluster) WriteConfigurationState(ctx context.Context, want *v1beta1.ConfigurationState) (bool, error) {
	if c.SameState(want) {
		return false, nil
	}
	have := c.State(want.Name)
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	if !sameMeta(have, want) {
		if err := c.applyState(ctx, want, false); err != nil {
			return false, err
		}
	}
	err := c.applyState(ctx, want, true)
	if errors.Is(err, ErrOutdated) { // deleted, and we have not heard of it yet
		if err = c.applyState(ctx, want, false); err == nil {
			err = c.applyState(ctx, want, true)
		}
	}
	return err == nil, err
}

// OwnPod returns a reference to the pod of that name in the product's namespace,
// as the owner of objects that are to go when it does.
func (c *Cluster) OwnPod(ctx context.Context, name string) (metav1.OwnerReference, error) {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	pod := &corev1.Pod{}
	if err := c.client.Get(ctx, types.NamespacedName{Namespace: c.options.Namespace, Name: name}, pod); err != nil {
		return metav1.OwnerReference{}, fmt.Errorf("read own pod %s/%s: %w", c.options.Namespace, name, err)
	}
	return metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: name, UID: pod.UID}, nil
}

// applyState applies want's metadata, or its status.
func (c *Cluster) applyState(ctx context.Context, want *v1beta1.ConfigurationState, inStatus bool) error {
	body := map[string]any{
		"apiVersion": v1beta1.GroupVersion.String(), "kind": v1beta1.KindConfigurationState,
	}
	meta := map[string]any{"name": want.Name, "namespace": c.options.Namespace}
	answer := &v1beta1.ConfigurationState{}
	answer.Name, answer.Namespace = want.Name, c.options.Namespace
	var err error
	if inStatus {
		body["metadata"], body["status"] = meta, want.Status
		err = c.patch(ctx, answer, answer, types.ApplyPatchType, body)
	} else {
		meta["labels"] = want.Labels
		if len(want.OwnerReferences) > 0 {
			meta["ownerReferences"] = want.OwnerReferences
		}
		body["metadata"] = meta
		var data []byte
		if data, err = json.Marshal(body); err == nil {
			err = c.client.Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, data),
				client.FieldOwner(c.options.FieldOwner), client.ForceOwnership)
		}
	}
	if err != nil {
		return fmt.Errorf("write ConfigurationState %s: %w", want.Name, err)
	}
	c.states.take(answer)
	return nil
}

// contains reports whether all of part is in whole.
func contains(whole, part map[string]string) bool {
	for key, value := range part {
		if have, ok := whole[key]; !ok || have != value {
			return false
		}
	}
	return true
}

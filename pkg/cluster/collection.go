// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// collection holds the objects of one kind, sorted, so that handing out all of
// them costs nothing and changing one costs a binary search.
//
// Of an object it holds two versions: the one that Snapshots show, replaced only
// when something changes that matters to them, and the latest, which is what
// writes are compared with. Usually both are the same pointer.
type collection[T client.Object] struct {
	compare func(a, b T) int  // the order of shown
	same    func(a, b T) bool // no difference matters to a Snapshot
	// writes: we write the kind, so each latest version is kept as it is.
	writes bool
	// heard, if not nil, is told of each new version of an object, beside the
	// one before; the zero T: there is none.
	heard func(old, now T)

	entries map[types.NamespacedName]entry[T]
	shown   []T
	// shared: somebody else holds shown, so a change makes a new array.
	shared bool
}

type entry[T client.Object] struct{ shown, latest T }

// change says what became of an object that was offered to a collection.
type change uint8

const (
	nothing  change = iota // it was known already, or is older than what is known
	internal               // a new version, without a difference that Snapshots show
	visible                // Snapshots show it
)

func keyOf(obj client.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: obj.GetNamespace(), Name: obj.GetName()}
}

// all returns the shown objects. They must not be changed.
func (c *collection[T]) all() []T {
	c.shared = true
	return c.shown
}

// put adds an object or replaces its older version.
func (c *collection[T]) put(obj T) change {
	if c.entries == nil {
		c.entries = map[types.NamespacedName]entry[T]{}
	}
	key := keyOf(obj)
	old, ok := c.entries[key]
	switch {
	case !ok:
		c.entries[key] = entry[T]{obj, obj}
		c.insert(obj)
		c.hear(old.latest, obj)
		return visible
	case old.latest.GetUID() == obj.GetUID() && !newer(obj, old.latest):
		return nothing
	case old.latest.GetUID() == obj.GetUID() && c.same(old.shown, obj):
		if !c.writes {
			return nothing
		}
		c.entries[key] = entry[T]{old.shown, obj}
		c.hear(old.latest, obj)
		return internal
	}
	c.hear(old.latest, obj)
	c.entries[key] = entry[T]{obj, obj}
	if c.compare(old.shown, obj) == 0 {
		i, _ := slices.BinarySearchFunc(c.shown, old.shown, c.compare)
		c.own(0)
		c.shown[i] = obj
		return visible
	}
	c.cut(old.shown)
	c.insert(obj)
	return visible
}

// putWritten takes the API server's answer to a write of ours, ahead of the
// watch. An object that is gone meanwhile, or is another one, stays as it is.
func (c *collection[T]) putWritten(obj T) change {
	old, ok := c.entries[keyOf(obj)]
	if !ok || old.latest.GetUID() != obj.GetUID() {
		return nothing
	}
	return c.put(obj)
}

// remove takes an object out.
func (c *collection[T]) remove(key types.NamespacedName) change {
	old, ok := c.entries[key]
	if !ok {
		return nothing
	}
	delete(c.entries, key)
	c.cut(old.shown)
	var none T
	c.hear(old.latest, none)
	return visible
}

// replace makes objs the content, keeping the pointers of what did not change
// and what we have written since objs were read.
func (c *collection[T]) replace(objs []T) change {
	if len(c.entries) == 0 {
		return c.fill(objs)
	}
	result := nothing
	keep := make(map[types.NamespacedName]bool, len(objs))
	for _, obj := range objs {
		keep[keyOf(obj)] = true
		result = max(result, c.put(obj))
	}
	for key := range c.entries {
		if !keep[key] {
			result = max(result, c.remove(key))
		}
	}
	return result
}

func (c *collection[T]) fill(objs []T) change {
	c.entries = make(map[types.NamespacedName]entry[T], len(objs))
	var none T
	for _, obj := range objs {
		c.entries[keyOf(obj)] = entry[T]{obj, obj}
		c.hear(none, obj)
	}
	c.shown, c.shared = objs, false
	slices.SortFunc(c.shown, c.compare)
	if len(objs) == 0 {
		return nothing
	}
	return visible
}

func (c *collection[T]) hear(old, now T) {
	if c.heard != nil {
		c.heard(old, now)
	}
}

// own makes shown an array of our own, with room for extra elements more.
func (c *collection[T]) own(extra int) {
	if !c.shared {
		return
	}
	fresh := make([]T, len(c.shown), len(c.shown)+extra+len(c.shown)/16)
	copy(fresh, c.shown)
	c.shown, c.shared = fresh, false
}

func (c *collection[T]) insert(obj T) {
	i, _ := slices.BinarySearchFunc(c.shown, obj, c.compare)
	c.own(1)
	c.shown = slices.Insert(c.shown, i, obj)
}

func (c *collection[T]) cut(obj T) {
	i, _ := slices.BinarySearchFunc(c.shown, obj, c.compare)
	c.own(0)
	c.shown = slices.Delete(c.shown, i, i+1)
}

// newer reports whether a is a later version than b of the same object. Versions
// that cannot be compared count as newer: the API server's order of events holds.
func newer(a, b client.Object) bool {
	order, err := resourceversion.CompareResourceVersion(a.GetResourceVersion(), b.GetResourceVersion())
	return err != nil || order > 0
}

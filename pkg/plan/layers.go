// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"iter"
	"maps"
)

// layered is a map of which a changed copy costs what was changed, not its size:
// copies share a base, and each has the changes since then in a layer of its own.
// The zero value is an empty map, and the zero value of V means no entry.
type layered[K comparable, V comparable] struct {
	base  map[K]V // shared, never written
	layer map[K]V // what differs from base; zero: not there
}

// layerLimit is the size of a layer from which it is merged into a base of its
// own: copying the base once costs what copying so many layers does.
const layerLimit = 256

func (m *layered[K, V]) get(k K) V {
	if v, ok := m.layer[k]; ok {
		return v
	}
	return m.base[k]
}

// clone returns a copy that can be written.
func (m *layered[K, V]) clone() layered[K, V] {
	if len(m.layer) < layerLimit && len(m.base) > layerLimit {
		return layered[K, V]{base: m.base, layer: withRoom(m.layer)}
	}
	return m.merge()
}

// merge returns a copy with a base of its own.
func (m *layered[K, V]) merge() layered[K, V] {
	var zero V
	base := maps.Clone(m.base)
	if base == nil {
		base = make(map[K]V, len(m.layer))
	}
	for k, v := range m.layer {
		if v == zero {
			delete(base, k)
		} else {
			base[k] = v
		}
	}
	return layered[K, V]{base: base, layer: map[K]V{}}
}

func withRoom[K, V comparable](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

// size is at least the number of entries.
func (m *layered[K, V]) size() int { return len(m.base) + len(m.layer) }

// set writes to a clone; the zero value takes the entry away.
func (m *layered[K, V]) set(k K, v V) { m.layer[k] = v }

// all returns the entries, in no order.
func (m *layered[K, V]) all() iter.Seq2[K, V] {
	var zero V
	return func(yield func(K, V) bool) {
		for k, v := range m.layer {
			if v != zero && !yield(k, v) {
				return
			}
		}
		for k, v := range m.base {
			if _, covered := m.layer[k]; !covered && !yield(k, v) {
				return
			}
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// window is the range of keys outside which two Snapshots have the very same
// Services and EndpointSlices. The zero value is empty: they differ in nothing.
type window struct {
	from, to Key
	any      bool
}

// windowOf compares two Snapshots. It looks at each object's pointer at most and
// reads keys only where the lists begin and end to differ.
func windowOf(a, b *Snapshot) window {
	var w window
	widen(&w, a.Services, b.Services, serviceKey)
	widen(&w, a.EndpointSlices, b.EndpointSlices, sliceKey)
	return w
}

func serviceKey(o *corev1.Service) Key { return Key{o.Namespace, o.Name} }

// widen has w take in what differs between two sorted lists.
func widen[T comparable](w *window, a, b []T, key func(T) Key) {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	a, b = a[n:], b[n:]
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	for _, list := range [][]T{a, b} {
		if len(list) == 0 {
			continue
		}
		first, last := key(list[0]), key(list[len(list)-1])
		if !w.any || first.Compare(w.from) < 0 {
			w.from = first
		}
		if !w.any || last.Compare(w.to) > 0 {
			w.to = last
		}
		w.any = true
	}
}

// split cuts a sorted list into what lies before, in and behind the window.
func split[T any](w window, list []T, key func(T) Key) (before, in, behind []T) {
	if !w.any {
		return list, nil, nil
	}
	i, _ := slices.BinarySearchFunc(list, w.from, func(item T, k Key) int { return key(item).Compare(k) })
	j, _ := slices.BinarySearchFunc(list, w.to, func(item T, k Key) int {
		if key(item).Compare(k) <= 0 {
			return -1
		}
		return 1
	})
	return list[:i], list[i:j], list[j:]
}

// within returns the part of a Snapshot's lists that lies in the window.
func (w window) within(s *Snapshot) ([]*corev1.Service, []*discoveryv1.EndpointSlice) {
	_, services, _ := split(w, s.Services, serviceKey)
	_, endpoints, _ := split(w, s.EndpointSlices, sliceKey)
	return services, endpoints
}

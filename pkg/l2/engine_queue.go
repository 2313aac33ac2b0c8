// SPDX-License-Identifier: Apache-2.0

package l2

import "container/heap"

// queue holds addresses in the order in which they are due, each once.
type queue struct {
	items []*address
	less  func(a, b *address) bool
	pos   func(*address) *int
}

func (q *queue) Len() int           { return len(q.items) }
func (q *queue) Less(i, j int) bool { return q.less(q.items[i], q.items[j]) }
func (q *queue) Swap(i, j int) {
	q.items[i], q.items[j] = q.items[j], q.items[i]
	*q.pos(q.items[i]), *q.pos(q.items[j]) = i, j
}
func (q *queue) Push(x any) {
	a := x.(*address)
	*q.pos(a) = len(q.items)
	q.items = append(q.items, a)
}
func (q *queue) Pop() any {
	last := len(q.items) - 1
	a := q.items[last]
	q.items[last] = nil
	q.items = q.items[:last]
	*q.pos(a) = -1
	return a
}

// top returns the first; nil: none.
func (q *queue) top() *address {
	if len(q.items) == 0 {
		return nil
	}
	return q.items[0]
}

// place puts an address, whose time was changed, where it belongs; in is whether
// it belongs in the queue at all.
func (q *queue) place(a *address, in bool) {
	at := *q.pos(a)
	switch {
	case in && at < 0:
		heap.Push(q, a)
	case in:
		heap.Fix(q, at)
	case at >= 0:
		heap.Remove(q, at)
	}
}

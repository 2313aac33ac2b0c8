// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"

	"metallb.io/metallb-frr/pkg/intent"
)

// carry takes what there was about each Service over to where the Service stands
// now, as long as it is the same. It returns the indices in before of those that
// went, and in now of those that are new, about which there is nothing yet. What
// both begin and end with is taken over all at once, and in between they are
// walked in step.
func carry[T any](before, now []*intent.Service, was []T) (is []T, gone, fresh []int) {
	is = make([]T, len(now))
	i, j := 0, 0
	for i < len(before) && j < len(now) && before[i] == now[j] {
		i, j = i+1, j+1
	}
	endBefore, endNow := len(before), len(now)
	for endBefore > i && endNow > j && before[endBefore-1] == now[endNow-1] {
		endBefore, endNow = endBefore-1, endNow-1
	}
	copy(is, was[:i])
	copy(is[endNow:], was[endBefore:])
	for i < endBefore || j < endNow {
		switch {
		case i < endBefore && j < endNow && before[i] == now[j]:
			is[j] = was[i]
			i, j = i+1, j+1
		case j == endNow, i < endBefore && cmp.Or(before[i].Key.Compare(now[j].Key), -1) < 0:
			gone, i = append(gone, i), i+1
		default:
			fresh, j = append(fresh, j), j+1
		}
	}
	return is, gone, fresh
}

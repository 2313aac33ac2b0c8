// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"regexp"

	"go4.org/netipx"

	"metallb.io/metallb-frr/pkg/intent"
)

// about is what Findings are compared by. Places in lists do not count: they move
// when something else is taken out.
type about struct {
	object   intent.Ref
	severity intent.Severity
	reason   intent.Reason
	field    string
}

var place = regexp.MustCompile(`\[[0-9]+\]`)

func aboutOf(f intent.Finding) about {
	return about{f.Object, f.Severity, f.Reason, place.ReplaceAllString(f.Field, "[]")}
}

// worse returns those of after that make something worse than it was before. Of
// the Findings about the same, as many as before do not, with the same values; nor
// do fewer than before, whatever their values. An overlap is worse where it is about
// addresses that no overlap of the pool was about.
func worse(before, after []intent.Finding) []intent.Finding {
	was := map[about][]intent.Finding{}
	for _, f := range before {
		key := aboutOf(f)
		was[key] = append(was[key], f)
	}
	is := map[about]int{}
	for _, f := range after {
		is[aboutOf(f)]++
	}
	var out []intent.Finding
	left := map[about]map[string]int{} // values of was that no Finding of after has taken yet
	for _, f := range after {
		key := aboutOf(f)
		old := was[key]
		switch {
		case len(old) == 0:
			out = append(out, f)
		case f.Addresses.IsValid():
			if beyond(f.Addresses, old) {
				out = append(out, f)
			}
		case is[key] < len(old):
		default:
			if left[key] == nil {
				left[key] = map[string]int{}
				for _, o := range old {
					left[key][o.Value]++
				}
			}
			if left[key][f.Value]--; left[key][f.Value] < 0 {
				out = append(out, f)
			}
		}
	}
	return out
}

// beyond reports whether addresses are in none of the overlaps.
func beyond(addresses netipx.IPRange, overlaps []intent.Finding) bool {
	var b netipx.IPSetBuilder
	b.AddRange(addresses)
	for _, f := range overlaps {
		b.RemoveRange(f.Addresses)
	}
	rest, err := b.IPSet()
	return err != nil || len(rest.Ranges()) > 0
}

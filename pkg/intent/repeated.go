// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

const listedTwice = "is listed twice; remove one"

// repeated finds what a list names more than once.
func repeated(field string, list []string) []Finding {
	var findings []Finding
	seen := make(map[string]bool, len(list))
	for i, item := range list {
		if seen[item] {
			findings = append(findings, fault(DuplicateEntry, index(field, i), item, listedTwice))
		}
		seen[item] = true
	}
	return findings
}

// repeatedSelectors finds selectors that a list holds more than once.
func repeatedSelectors(field string, list []metav1.LabelSelector) []Finding {
	var findings []Finding
	seen := map[string]bool{}
	for i := range list {
		text := strings.Replace(metav1.FormatLabelSelector(&list[i]), "<none>", "{}", 1)
		if seen[text] {
			findings = append(findings, fault(DuplicateEntry, index(field, i), text, listedTwice))
		}
		seen[text] = true
	}
	return findings
}

// repeatedExpressions finds matchExpressions that a selector holds more than once.
func repeatedExpressions(field string, list []metav1.LabelSelector) []Finding {
	var findings []Finding
	for i, s := range list {
		seen := map[string]bool{}
		for j, e := range s.MatchExpressions {
			text := fmt.Sprint(e.Key, " ", e.Operator, " ", slices.Sorted(slices.Values(e.Values)))
			if seen[text] {
				findings = append(findings, fault(DuplicateEntry, index(index(field, i)+".matchExpressions", j), e.Key, listedTwice))
			}
			seen[text] = true
		}
	}
	return findings
}

// repeatedValues finds values that an expression holds more than once.
func repeatedValues(field string, list []metav1.LabelSelector) []Finding {
	var findings []Finding
	for i, s := range list {
		for j, e := range s.MatchExpressions {
			findings = append(findings, repeated(index(index(field, i)+".matchExpressions", j)+".values", e.Values)...)
		}
	}
	return findings
}

// sameAdvertisements warns of advertisements that say the very same as an older one.
func (r *resolver) sameAdvertisements() {
	objects := slices.Clone(r.s.BGPAds)
	slices.SortStableFunc(objects, older[*v1beta1.BGPAdvertisement])
	first := map[string]string{}
	for _, o := range objects {
		text, err := json.Marshal(o.Spec)
		if err != nil {
			continue // of a spec that has been read
		}
		name, there := first[string(text)]
		if !there {
			first[string(text)] = o.Name
			continue
		}
		r.find(Finding{Object: Ref{Kind: v1beta1.KindBGPAdvertisement, Name: o.Name}, Severity: Warning, Reason: DuplicateAdvertisement, Field: "spec",
			Message: fmt.Sprintf("says exactly what BGPAdvertisement %s does, and adds nothing; remove one of them, or change what is not meant to be the same", name)})
	}
}

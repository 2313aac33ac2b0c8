// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"testing"
	"time"

	"metallb.io/metallb-frr/hack/docs/row"
)

// TestReasonExamples keeps what the first row of each Reason says, for
// deploy/docs/reasons.md.
func TestReasonExamples(t *testing.T) {
	declared, err := row.Declared(".")
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]row.Reason{}
	for _, r := range reasonRows {
		outcomes, _ := Assign(newIntent(r.pools(t), r.services...), nil, time.Time{})
		for _, o := range outcomes {
			if _, seen := first[string(o.Reason)]; !seen {
				first[string(o.Reason)] = row.Reason{Reason: string(o.Reason), Object: o.Service.Ref().String(), Message: o.Message}
			}
		}
	}
	var rows []row.Reason
	for _, c := range declared {
		rows = append(rows, first[c.Value])
	}
	row.Keep(t, row.ReasonsFile, rows)
}

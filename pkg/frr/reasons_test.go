// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"testing"
	"testing/fstest"

	"metallb.io/metallb-frr/hack/docs/row"
)

// TestReasonExamples keeps what each Reason says, for deploy/docs/reasons.md.
func TestReasonExamples(t *testing.T) {
	_, findings, err := Override(fstest.MapFS{"neighbor.tmpl": {Data: []byte("neighbor {{ .ID }} remote-as {{ .RemoteAS }}\n{{ if }}")}})
	if err != nil {
		t.Fatal(err)
	}
	var rows []row.Reason
	for _, f := range findings {
		rows = append(rows, row.Reason{Reason: string(f.Reason), Severity: f.Severity.String(), Object: f.Object.String(), Message: f.Text()})
	}
	row.Keep(t, row.ReasonsFile, rows)
}

// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
)

// Of thousands of findings no more is written than a condition can hold.
func TestTextsEnd(t *testing.T) {
	var all []intent.Finding
	for i := range 10_000 {
		all = append(all, intent.Finding{Field: "spec.addresses", Value: fmt.Sprint(i), Message: "overlaps"})
	}
	if n := len(texts(all)); n < maxMessage || n > 2*maxMessage {
		t.Errorf("%d bytes are written, of which %d are kept", n, maxMessage)
	}
}

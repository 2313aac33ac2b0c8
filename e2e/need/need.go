// SPDX-License-Identifier: Apache-2.0

package need

import (
	"os"
	"testing"
)

// Skip ends a test that lacks something: it is skipped, or, where METALLB_NO_SKIP
// is set, as `make test` does, it fails. why says what is missing and what makes
// it.
func Skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("METALLB_NO_SKIP") != "" {
		t.Fatalf("%s, and METALLB_NO_SKIP is set", why)
	}
	t.Skip(why)
}

// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"testing"

	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

// FRR accepts echo-mode and comments on it with a line that looks like a refusal.
func TestCommentIsNoRefusal(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	echo := document(1, edit(nil, "bfd profile fast", "detect-multiplier 5\n", "detect-multiplier 5\n  echo-mode\n"))
	clean(t, apply(t, d, echo))
	has(t, f, "  echo-mode")
	none(t, apply(t, d, echo))
	clean(t, apply(t, d, document(1)))
	has(t, f, "-  echo-mode")
}

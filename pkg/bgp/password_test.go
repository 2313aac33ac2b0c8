// SPDX-License-Identifier: Apache-2.0

package bgp

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Whatever holds a password, and however it is printed, the text stays inside.
func TestPasswordIsNeverPrinted(t *testing.T) {
	const secret = "open-sesame"
	p := NewPassword(secret)
	holders := []any{p, &p, struct{ P Password }{p}, struct{ p Password }{p}, []Password{p}, map[string]Password{"x": p}, struct{ p *Password }{&p}}
	for _, h := range holders {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if got := fmt.Sprintf(verb, h); strings.Contains(got, secret) || strings.Contains(got, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s of %T prints the password: %s", verb, h, got)
			}
		}
		if got, _ := json.Marshal(h); strings.Contains(string(got), secret) {
			t.Errorf("JSON of %T holds the password: %s", h, got)
		}
	}
	if p.Reveal() != secret || p != NewPassword(secret) || p == NewPassword("other") || p.IsZero() {
		t.Error("a password must reveal its text and compare by it")
	}
	if zero := NewPassword(""); !zero.IsZero() || zero.Reveal() != "" || zero.String() != "" || zero != (Password{}) {
		t.Error("the empty text must be no password")
	}
}

// SPDX-License-Identifier: Apache-2.0

package bgp

import (
	"fmt"
	"unique"
)

// redacted stands wherever a password would be printed.
const redacted = "[redacted]"

// Password is the key of TCP MD5 authentication (RFC 2385). It cannot be
// formatted, logged or marshalled: each of those yields "[redacted]", or the
// empty string where no password is set. Two passwords compare with ==. The text
// is behind a handle, since fmt prints the unexported fields of others as they are.
type Password struct{ text unique.Handle[string] }

// NewPassword returns the password with the given text. The empty text is the
// zero Password: no authentication.
func NewPassword(text string) Password {
	if text == "" {
		return Password{}
	}
	return Password{unique.Make(text)}
}

// Reveal returns the text. Only what renders FRR's configuration calls it.
func (p Password) Reveal() string {
	if p.IsZero() {
		return ""
	}
	return p.text.Value()
}

// IsZero reports whether no password is set.
func (p Password) IsZero() bool { return p == Password{} }

// String returns "[redacted]", or "" for no password.
func (p Password) String() string {
	if p.IsZero() {
		return ""
	}
	return redacted
}

// Format prints what String returns, whatever the verb, so that %#v and %q do
// not look inside.
func (p Password) Format(s fmt.State, _ rune) { fmt.Fprint(s, p.String()) }

// MarshalText returns what String returns; it serves JSON and YAML too.
func (p Password) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

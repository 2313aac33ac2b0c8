// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"

	"go4.org/netipx"
)

// Reason is a stable code shared by conditions, events, metrics and the command
// line. It is a CamelCase word and, once released, does not change its meaning.
type Reason string

// Severity says what a Finding costs.
type Severity uint8

const (
	// Warning costs nothing: the object is in force, and probably not as meant.
	Warning Severity = iota + 1
	// Unresolved: the object is valid but names something that does not exist;
	// that part is not in force and heals when it appears.
	Unresolved
	// Invalid: the object is not accepted. Where its status holds an accepted
	// spec, that one stays in force.
	Invalid
)

// String returns "warning", "unresolved" or "invalid".
func (s Severity) String() string {
	switch s {
	case Warning:
		return "warning"
	case Unresolved:
		return "unresolved"
	case Invalid:
		return "invalid"
	}
	return "none"
}

// Finding is one thing that is wrong with one object.
type Finding struct {
	Object   Ref
	Severity Severity
	Reason   Reason
	// Field is the path of the field, such as spec.peerAddress; Value is what
	// it holds, as text. Both may be empty where no single field is at fault.
	Field, Value string
	// Message is a sentence for the object's author: what is wrong and what
	// would be right. It does not repeat object, field and value.
	Message string
	// Addresses are those that a PoolOverlap is about: what both pools, or both
	// entries, name. The zero value: there are none.
	Addresses netipx.IPRange
}

// Text returns field, value and message as one sentence for conditions and logs.
func (f Finding) Text() string {
	switch {
	case f.Field == "":
		return f.Message
	case f.Value == "":
		return fmt.Sprintf("%s: %s", f.Field, f.Message)
	}
	return fmt.Sprintf("%s: %q: %s", f.Field, f.Value, f.Message)
}

// String returns the Finding in one line, the object first.
func (f Finding) String() string { return f.Object.String() + ": " + f.Text() }

// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Milliseconds is an interval of 10 ms to 60 s, in whole milliseconds. In JSON
// it is an integer of milliseconds (300) or a duration as a string ("300ms",
// "1s", "0.25s", "1m"), and what was written is kept.
//
// The Go value is the text as written: "300" for the integer, "300ms" for the
// string. Decoding takes any number or string, so that one bad value costs one
// object and not the list that it is read in; Duration judges it.
//
// +kubebuilder:validation:XIntOrString
// +kubebuilder:validation:Type=""
// +kubebuilder:validation:XValidation:rule="type(self) == int ? (self >= 10 && self <= 60000) : (self.matches('^([0-9]+m)?([0-9]+([.][0-9]{1,3})?s)?([0-9]+ms)?$') && self.size() > 0 && self.size() <= 32 && duration(self) >= duration('10ms') && duration(self) <= duration('60s'))",message="must be 10 to 60000 milliseconds, written as an integer (300) or a duration (\"300ms\")"
type Milliseconds string

// The limits of Milliseconds.
const (
	MinMilliseconds Milliseconds = "10"
	MaxMilliseconds Milliseconds = "60000"
)

var (
	integerForm  = regexp.MustCompile(`^[0-9]{1,5}$`)
	durationForm = regexp.MustCompile(`^([0-9]+m)?([0-9]+([.][0-9]{1,3})?s)?([0-9]+ms)?$`)
	numberForm   = regexp.MustCompile(`^-?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?$`)
)

// Duration returns the interval, or an error that says what would be right.
func (m Milliseconds) Duration() (time.Duration, error) {
	const minimum, maximum = 10 * time.Millisecond, 60 * time.Second
	text := string(m)
	switch {
	case integerForm.MatchString(text):
		text += "ms"
	case len(text) > 32 || !durationForm.MatchString(text):
		return 0, m.wrong()
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < minimum || d > maximum {
		return 0, m.wrong()
	}
	return d, nil
}

// Milliseconds returns the interval as a number of milliseconds, or an error
// that says what would be right.
func (m Milliseconds) Milliseconds() (uint32, error) {
	d, err := m.Duration()
	return uint32(d / time.Millisecond), err
}

func (m Milliseconds) wrong() error {
	return fmt.Errorf("%q: must be %s to %s milliseconds, written as an integer (300) or a duration (%q)",
		string(m), MinMilliseconds, MaxMilliseconds, "300ms")
}

// MarshalJSON returns what was written: a number where the text is one, else a
// string.
func (m Milliseconds) MarshalJSON() ([]byte, error) {
	if numberForm.MatchString(string(m)) && json.Valid([]byte(m)) {
		return []byte(m), nil
	}
	return json.Marshal(string(m))
}

// UnmarshalJSON takes any number or string. Numbers in quotes ("300"), which the
// API server refuses, come out as not valid, like other text without a unit.
func (m *Milliseconds) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err == nil {
		if numberForm.MatchString(text) {
			text = strconv.Quote(text)
		}
		*m = Milliseconds(text)
		return nil
	}
	var number json.Number
	if err := json.Unmarshal(data, &number); err != nil {
		return fmt.Errorf("reading an interval: %s is neither a number nor a string", data)
	}
	*m = Milliseconds(number)
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package v1beta1

import (
	"encoding/json"
	"strings"
	"testing"
)

// Each valid form is decoded to its number of milliseconds and written as it was.
func TestMillisecondsValid(t *testing.T) {
	for written, want := range map[string]uint32{
		`10`:        10,
		`300`:       300,
		`60000`:     60000,
		`"10ms"`:    10,
		`"300ms"`:   300,
		`"1s"`:      1000,
		`"0.25s"`:   250,
		`"1s500ms"`: 1500,
		`"1m"`:      60000,
		`"1m0s"`:    60000,
		`"0m59.9s"`: 59900,
		`"60s"`:     60000,
		`"60000ms"`: 60000,
	} {
		t.Run(written, func(t *testing.T) {
			m := decode(t, written)
			got, err := m.Milliseconds()
			if err != nil || got != want {
				t.Errorf("Milliseconds() = %d, %v, want %d", got, err, want)
			}
			if again := encode(t, m); again != written {
				t.Errorf("written again it is %s, want %s", again, written)
			}
		})
	}
}

// A form that is not valid is decoded without an error, says what would be
// right, and is written as it was.
func TestMillisecondsInvalid(t *testing.T) {
	for _, written := range []string{
		`0`, `9`, `-300`, `60001`, `61000`, `4294967596`, `300.5`, `3e2`,
		`""`, `"abc"`, `"ms"`, `"300us"`, `"300000us"`, `"0.3ms"`, `"0.0105s"`, `"1h"`,
		`"5ms"`, `"9ms"`, `"61s"`, `"1m1ms"`, `"-1s"`, `"+1s"`, `" 1s"`, `".5s"`,
		`"99999999999999999999999999m"`, `"1` + strings.Repeat("0", 100) + `s"`,
	} {
		t.Run(written, func(t *testing.T) {
			m := decode(t, written)
			got, err := m.Milliseconds()
			const right = `must be 10 to 60000 milliseconds, written as an integer (300) or a duration ("300ms")`
			if err == nil || !strings.Contains(err.Error(), right) {
				t.Errorf("Milliseconds() = %d, %v, want an error that contains %q", got, err, right)
			}
			if again := encode(t, m); again != written {
				t.Errorf("written again it is %s, want %s", again, written)
			}
		})
	}
	if _, err := decode(t, `"300"`).Milliseconds(); err == nil {
		t.Error(`the string "300", which lacks a unit, is taken`)
	}
	for _, written := range []string{`true`, `{}`, `[300]`} {
		var m Milliseconds
		if err := json.Unmarshal([]byte(written), &m); err == nil {
			t.Errorf("decoding %s gives %q, want an error", written, m)
		}
	}
}

func decode(t *testing.T, written string) Milliseconds {
	t.Helper()
	var m Milliseconds
	if err := json.Unmarshal([]byte(written), &m); err != nil {
		t.Fatalf("decoding %s: %v", written, err)
	}
	return m
}

func encode(t *testing.T, m Milliseconds) string {
	t.Helper()
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatalf("encoding %q: %v", m, err)
	}
	return string(data)
}

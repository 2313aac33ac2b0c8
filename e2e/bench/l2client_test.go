// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"
)

func TestLongestGap(t *testing.T) {
	for _, row := range []struct {
		answered string // a request each 10 ms; x has an answer
		want     time.Duration
	}{
		{"", 0},
		{"xxxx", 0},
		{"xx.x", 20 * time.Millisecond},
		{"x...x.xx", 40 * time.Millisecond},
		{"x.x....x", 50 * time.Millisecond},
		{"..xx..", 0},
	} {
		var sent []time.Time
		var answered []bool
		for i, c := range row.answered {
			sent, answered = append(sent, time.UnixMilli(int64(10*i))), append(answered, c == 'x')
		}
		if got := longestGap(sent, answered); got != row.want {
			t.Errorf("%q: %v, want %v", row.answered, got, row.want)
		}
	}
}

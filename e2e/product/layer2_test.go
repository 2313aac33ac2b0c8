// SPDX-License-Identifier: Apache-2.0

package product

import (
	"errors"
	"net/netip"
	"testing"
	"time"
)

// Requests 10 ms apart, noted in the order in which they ended.
func TestOutage(t *testing.T) {
	begin, lost := time.Unix(1000, 0), errors.New("lost")
	at := func(ms int, err error) lanRequest {
		return lanRequest{begin.Add(time.Duration(ms) * time.Millisecond), err}
	}
	for _, c := range []struct {
		name   string
		made   []lanRequest
		failed int
		outage time.Duration
	}{
		{"none failed", []lanRequest{at(0, nil), at(10, nil), at(20, nil)}, 0, 0},
		{"one", []lanRequest{at(0, nil), at(20, nil), at(10, lost)}, 1, 10 * time.Millisecond},
		{"two in a row, and one", []lanRequest{at(0, nil), at(30, nil), at(50, nil), at(10, lost), at(20, lost), at(40, lost)}, 3, 20 * time.Millisecond},
		{"to the end", []lanRequest{at(0, nil), at(10, lost), at(20, lost), at(30, lost)}, 3, 20 * time.Millisecond},
		{"from the beginning", []lanRequest{at(10, nil), at(0, lost)}, 1, 10 * time.Millisecond},
	} {
		o := outageOf(netip.AddrPort{}, c.made)
		if o.Requests != len(c.made) || o.Failed != c.failed || o.Outage != c.outage || (o.LastError != nil) != (c.failed > 0) {
			t.Errorf("%s: %s; want %d failed, for %s", c.name, o, c.failed, c.outage)
		}
	}
}

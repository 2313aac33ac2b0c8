// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/intent"
)

// What is not written of timers follows from what is.
func TestTimersFollowFromEachOther(t *testing.T) {
	for fields, want := range map[string]*intent.Timers{
		"holdTime: 9s":                      {Hold: 9 * time.Second, Keepalive: 3 * time.Second},
		"holdTime: 10s":                     {Hold: 10 * time.Second, Keepalive: 3 * time.Second},
		"holdTime: 0s":                      {},
		"keepaliveTime: 5s":                 {Hold: 15 * time.Second, Keepalive: 5 * time.Second},
		"holdTime: 9s, keepaliveTime: 9s":   {Hold: 9 * time.Second, Keepalive: 9 * time.Second},
		"holdTime: 180s, keepaliveTime: 0s": {Hold: 180 * time.Second},
		"routerID: 192.0.2.1":               nil,
	} {
		in := resolve(t, peer("p", with(fields)))
		if len(in.Peers) != 1 {
			t.Errorf("%s: %d peers, findings %v", fields, len(in.Peers), in.Findings)
			continue
		}
		got := in.Peers[0].Timers
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%s: timers %+v, want %+v", fields, got, want)
		}
	}
}

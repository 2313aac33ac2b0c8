// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/intent"
)

func TestSyncCondition(t *testing.T) {
	now := time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)
	found := []frr.Command{{Line: frr.Line{Node: []string{"router bgp 65100"}, Text: "neighbor 192.0.2.2 password sesame"}}}
	for _, tt := range []struct {
		name    string
		sync    Sync
		status  metav1.ConditionStatus
		reason  intent.Reason
		message string
	}{
		{"all is well", Sync{}, metav1.ConditionTrue, ReasonInSync, ""},
		{"changed, and repaired within the moment", Sync{Found: found}, metav1.ConditionTrue, ReasonInSync, ""},
		{"paused", Sync{PausedUntil: now.Add(time.Hour)}, metav1.ConditionFalse, ReasonRepairsPaused, "until 2026-11-21T16:00:00Z"},
		{"paused and changed", Sync{PausedUntil: now.Add(time.Hour), Found: found}, metav1.ConditionFalse, ReasonRepairsPaused,
			`"router bgp 65100 / neighbor 192.0.2.2 password [redacted]"`},
		{"a pause that cannot be read", Sync{InvalidPause: "write a time"}, metav1.ConditionTrue, ReasonInvalidPause, "write a time"},
		{"cannot be repaired", Sync{Found: found, RepairError: "FRR's bgpd is not running"}, metav1.ConditionFalse, ReasonRepairFailed, "bgpd"},
		{"cannot be loaded", Sync{LoadError: "vtysh ended"}, metav1.ConditionFalse, ReasonLoadFailed, "vtysh ended"},
		{"leaving", Sync{Draining: true, LoadError: "so it is"}, metav1.ConditionFalse, ReasonDraining, "frr container"},
	} {
		c := tt.sync.Condition(nil, now)
		if c.Type != v1beta1.ConditionFRRInSync || c.Status != tt.status || c.Reason != string(tt.reason) || !strings.Contains(c.Message, tt.message) || strings.Contains(c.Message, "sesame") {
			t.Errorf("%s: %s %s %s %q; want %s %s with %q", tt.name, c.Type, c.Status, c.Reason, c.Message, tt.status, tt.reason, tt.message)
		}
	}
}

func TestDifferencesNamesTen(t *testing.T) {
	var commands []frr.Command
	for i := range 13 {
		commands = append(commands, frr.Command{Line: frr.Line{Text: fmt.Sprintf("line %d", i)}})
	}
	if got := Differences(commands); !strings.Contains(got, `"line 9" and 3 more`) || strings.Contains(got, "line 10") {
		t.Errorf("Differences = %s, want ten and a count", got)
	}
}

func TestPauseUntil(t *testing.T) {
	now := time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		value string
		want  time.Time
		err   string
	}{
		{"", time.Time{}, ""},
		{"2026-11-21T15:04:05Z", now.Add(4*time.Minute + 5*time.Second), ""},
		{"2026-11-21T17:00:00+01:00", now.Add(time.Hour), ""},
		{"2026-11-21T15:00:00Z", time.Time{}, ""}, // over
		{"2026-11-22T15:00:00Z", now.Add(24 * time.Hour), ""},
		{"2026-11-22T15:00:01Z", time.Time{}, `write "2026-11-22T15:00:00Z" at the most`},
		{"30m", time.Time{}, `is "30m"; write a time such as "2026-11-21T16:00:00Z"`},
	} {
		got, err := PauseUntil(tt.value, now)
		if !got.Equal(tt.want) || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("PauseUntil(%q) = %v, %v; want %v, %q", tt.value, got, err, tt.want, tt.err)
		}
	}
}

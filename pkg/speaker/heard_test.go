// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"

	"metallb.io/metallb-frr/pkg/frr/bmp"
	"metallb.io/metallb-frr/pkg/frr/vtysh"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// bgpd's reports end when bgpd does, which wants a pass at once, and when the last
// peer was removed, which is as it should be.
func TestEndOfReports(t *testing.T) {
	for _, c := range []struct {
		situation string
		plan      *plan.NodePlan
		pass      bool
		reason    string
	}{
		{"bgpd died", planWith("192.0.2.1"), true, "bgpd ended"},
		{"the last peer was removed", &plan.NodePlan{Node: "n1"}, false, "no longer configured"},
	} {
		var lines []string
		log := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
		metrics, err := telemetry.NewSpeaker(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		s := New(Options{Node: "n1", FRR: vtysh.New(vtysh.Options{}), Log: log, Metrics: metrics})
		s.intent = &intent.Intent{Config: &intent.Config{}}
		s.sessions.plan(planWith("192.0.2.1"))
		s.heard(bmp.Event{Kind: bmp.Up, Peer: netip.MustParseAddr("192.0.2.1"), At: time.Now()})
		s.result = &plan.Result{Plan: c.plan}
		lines = nil
		if pass := s.heard(bmp.Event{Kind: bmp.Disconnected, At: time.Now()}); pass != c.pass {
			t.Errorf("%s: a pass is due: %t, want %t", c.situation, pass, c.pass)
		}
		if all := strings.Join(lines, "\n"); !strings.Contains(all, `"reason"="`+c.reason+`"`) || strings.Contains(all, "bgpd is gone") != c.pass {
			t.Errorf("%s: logged\n%s\nwant the reason %q", c.situation, all, c.reason)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// Lines about single Services are for debugging: only there, and only when what
// the node does for the Service has changed.
func TestServiceLinesAtTheDebugLevel(t *testing.T) {
	key := intent.Key{Namespace: "default", Name: "web"}
	none := &plan.Result{Decisions: []plan.Decision{{Service: key, Reason: plan.NoEndpoint, Message: "no endpoint can serve"}}}
	some := &plan.Result{Decisions: []plan.Decision{{Service: key, Announce: true, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Peers: []string{"tor1"}}}}
	for _, c := range []struct {
		situation     string
		before, after *plan.Result
		verbosity     int
		want          string
	}{
		{"first pass", nil, none, 1, `"service not announced" "service"="default/web" "reason"="NoEndpoint"`},
		{"an endpoint came", none, some, 1, `"service announced" "service"="default/web" "addr"="[192.0.2.1]" "peer"="[tor1]"`},
		{"nothing changed", some, some, 1, ""},
		{"the Service went", some, &plan.Result{}, 1, `"service gone" "service"="default/web"`},
		{"at the usual level", none, some, 0, ""},
	} {
		var lines []string
		logDecisions(funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{Verbosity: c.verbosity}), c.before, c.after)
		if got := strings.Join(lines, "\n"); (c.want == "") != (got == "") || !strings.Contains(got, c.want) || len(lines) > 1 {
			t.Errorf("%s: logged %q, want %q", c.situation, got, c.want)
		}
	}
}

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
	none := &plan.Result{Decisions: []plan.Decision{{Service: key, Protocol: "bgp", Reason: plan.NoEndpoint, Message: "no endpoint can serve"}}}
	some := &plan.Result{Decisions: []plan.Decision{{Service: key, Protocol: "bgp", Announce: true, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Peers: []string{"tor1"}}}}
	for _, c := range []struct {
		situation     string
		before, after *plan.Result
		verbosity     int
		want          string
	}{
		{"first pass", nil, none, 1, `"service not announced" "service"="default/web" "reason"="NoEndpoint" "why"="no endpoint can serve" "protocol"="bgp"`},
		{"an endpoint came", none, some, 1, `"service announced" "service"="default/web" "addr"="[192.0.2.1]" "peer"="[tor1]" "protocol"="bgp"`},
		{"nothing changed", some, some, 1, ""},
		{"the Service went", some, &plan.Result{}, 1, `"service gone" "service"="default/web" "protocol"="bgp"`},
		{"at the usual level", none, some, 0, ""},
	} {
		var lines []string
		logDecisions(funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{Verbosity: c.verbosity}), c.before, c.after)
		if got := strings.Join(lines, "\n"); (c.want == "") != (got == "") || !strings.Contains(got, c.want) || len(lines) > 1 {
			t.Errorf("%s: logged %q, want %q", c.situation, got, c.want)
		}
	}
}

// Lines about layer 2 say so, and say again where only the cause is another.
func TestServiceLinesOfLayer2(t *testing.T) {
	key := intent.Key{Namespace: "default", Name: "web"}
	lost := func(to string) plan.Decision {
		return plan.Decision{Service: key, Protocol: "layer2", Reason: plan.NotOwner, Message: "node " + to + " announces 192.0.2.1"}
	}
	own := plan.Decision{Service: key, Protocol: "layer2", Announce: true, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Message: "node n2 announces fd00::1"}
	for _, c := range []struct {
		situation     string
		before, after []plan.Decision
		want          string
	}{
		{"it comes", nil, []plan.Decision{own}, `"service announced" "service"="default/web" "addr"="[192.0.2.1]" "why"="node n2 announces fd00::1" "protocol"="layer2"`},
		{"another node is better", []plan.Decision{own}, []plan.Decision{lost("n2")}, `"service not announced" "service"="default/web" "reason"="NotOwner" "why"="node n2 announces 192.0.2.1" "protocol"="layer2"`},
		{"a third one is", []plan.Decision{lost("n2")}, []plan.Decision{lost("n3")}, `"why"="node n3 announces 192.0.2.1"`},
		{"the same", []plan.Decision{own}, []plan.Decision{own}, ""},
		{"it goes", []plan.Decision{own}, nil, `"service gone" "service"="default/web" "protocol"="layer2"`},
	} {
		var lines []string
		logChanged(funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}), c.before, c.after)
		if got := strings.Join(lines, "\n"); (c.want == "") != (got == "") || !strings.Contains(got, c.want) || len(lines) > 1 {
			t.Errorf("%s: logged %q, want %q", c.situation, got, c.want)
		}
	}
	var lines []string
	logDecisions(funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{Verbosity: 1}), nil, &plan.Result{L2: []plan.Decision{own}})
	if len(lines) != 1 || !strings.Contains(lines[0], `"protocol"="layer2"`) {
		t.Errorf("a pass logged %q", lines)
	}
}

// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"metallb.io/metallb-frr/hack/docs/row"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
)

const (
	changes   = "A Service as it changes"
	pools     = "Pools that change"
	counters  = "The status of an IPAddressPool"
	l2status  = "ServiceL2Status"
	bgpstatus = "ServiceBGPStatus"
	states    = "ConfigurationState"
	badOnes   = "What a bad configuration does"
	metrics   = "Metrics and servers of the controller"
)

// shownRules are MetalLB's rules that take a running program to be shown, each with
// the test that does.
var shownRules = []struct{ section, rule, differs, by string }{
	{"Fields of a Service", "With --lb-class exactly the Services of that class are handled, without it exactly those of none.", same, "pkg/controller.TestServicesOfAClass"},
	{"Fields of a Service", "A Service of the class that becomes a ClusterIP loses its class with that, is not looked at any more, and its address is lost until a restart.", "Its address is free again at once.", "pkg/controller.TestServicesOfAClass"},

	{changes, "Before the pools are known nothing is decided, so that a restart takes no address away.", "Nothing is decided before all kinds have been listed.", "pkg/controller.TestServicesGetAndKeepAddresses"},
	{changes, "A Service that is gone frees its addresses, and those that wait are looked at again.", same, "pkg/controller.TestServicesGetAndKeepAddresses"},
	{changes, "One that is no LoadBalancer any more loses addresses and the written annotation.", same, "pkg/controller.TestServicesGetAndKeepAddresses"},
	{changes, "What others write into the ingress is overwritten.", same, "pkg/controller.TestStatusIsPutBackAndForeignIngressOverwritten"},
	{changes, "ipMode, hostname and ports are not written.", same, "pkg/controller.TestServicesGetAndKeepAddresses"},
	{changes, "Since the API server adds ipMode, the status is written again at each look.", "It is written when it changes.", "pkg/controller.TestServicesGetAndKeepAddresses"},
	{pools, "Every change of a pool has all Services looked at again.", same, "pkg/controller.TestRollbackChangesNoAddress"},

	{counters, "assignedIPv4 and assignedIPv6 count distinct addresses in use; availableIPv4 and availableIPv6 the others, without those that avoidBuggyIPs leaves out.", same, "pkg/ipam.TestUsage"},
	{counters, "An IPv6 entry of 62 host bits or more counts as the largest 64-bit number, of which those in use are subtracted.", same, "pkg/ipam.TestUsage"},
	{counters, "They are put back where somebody edits them.", same, "pkg/controller.TestStatusIsPutBackAndForeignIngressOverwritten"},

	{l2status, "The speaker that announces a Service makes one, named l2-..., with labels of node and Service, owned by its Pod, and removes it when it does not any more.", same, "pkg/speaker.TestServiceL2StatusesFollowWhatIsAnnounced"},
	{l2status, "It removes what other nodes left behind for the Service.", "What is left behind goes also where the Service is announced by nobody, or by several nodes.", "pkg/speaker.TestServiceL2StatusesOfDeadNodes"},
	{l2status, "The interfaces are in no order, so that it is written needlessly.", "They are sorted.", "pkg/speaker.TestServiceL2StatusesFollowWhatIsAnnounced"},
	{bgpstatus, "Each node that means to announce a Service makes one, named bgp-..., with the sorted names of the BGPPeers; it goes when there are none.", same, "pkg/speaker.TestServiceStatusesFollowWhatIsAnnounced"},
	{bgpstatus, "There are as many as Services times nodes.", "Beyond 5000 in the cluster none are written, and a condition says so; --service-bgp-status=always writes them all the same.", "pkg/speaker.TestServiceStatusesStopAtTheLimit"},

	{states, "The controller has one, named controller, and each speaker one, named speaker- and the node, with labels of component and node.", same, "pkg/speaker.TestASpeakersConfigurationStateIsTrueAtAllTimes"},
	{states, "It is owned by the process's own Pod.", same, "pkg/controller.TestConfigurationStateHasAnOwner"},
	{states, "Without a condition the result is Unknown.", same, "pkg/speaker.TestLayer2GoesOnWhileFRRHangs"},
	{states, "A condition that is False with reason ConfigurationError makes the result Invalid, and its message the summary.", same, "pkg/controller.TestConfigurationStateIsTrueAtAllTimes"},
	{states, "lastTransitionTime is set at each look.", "It is when the condition's status changed, as the Kubernetes API has it; nothing is written without a change.", "pkg/status.TestTransitionTimeMovesWithTheStatusOnly"},
	{states, "Deleted, it is made again, and stays Invalid.", "The same goes for an edit by others.", "pkg/controller.TestConfigurationStateIsTrueAtAllTimes"},
	{states, "After a failure the next look at an unchanged configuration says that it is valid.", "It says what is so.", "pkg/controller.TestConfigurationStateIsTrueAtAllTimes"},

	{badOnes, "config_stale_bool is 1, config_loaded_bool stays, and the ConfigurationState is Invalid.", same, "pkg/speaker.TestASpeakersConfigurationStateIsTrueAtAllTimes"},
	{badOnes, "Back to exactly what was good before, config_stale_bool stays 1.", "It is 0.", "cmd/controller.TestMetricsAreThoseOfTheContract"},
	{badOnes, "It is looked at again when an object changes, not after a time; what was missing heals what names it when it appears.", same, "pkg/speaker.TestASpeakersConfigurationStateIsTrueAtAllTimes"},
	{badOnes, "A restart with a bad configuration gives no addresses and announces nothing.", "It goes on with each object's last accepted spec.", "pkg/controller.TestBadEditKeepsTheAcceptedSpecInForce"},

	{metrics, "There is one controller, without leader election.", "There are two, of which one leads; the other has no series config_loaded_bool and config_stale_bool, since there is nothing for it to load.", "cmd/controller.TestMetricsAreThoseOfTheContract"},
	{metrics, "metallb_allocator_services_allocated_total is registered and never set.", "It counts the Services that have addresses of the pool.", "cmd/controller.TestMetricsAreThoseOfTheContract"},
	{metrics, "A huge IPv6 entry before others makes addresses_total negative.", "It is the largest number.", "cmd/controller.TestMetricsAreThoseOfTheContract"},
	{metrics, "The series of a pool go with it.", same, "cmd/controller.TestMetricsAreThoseOfTheContract"},
	{metrics, "Metrics are served over HTTPS to who has a token that may get /metrics; --port 0 turns them off.", same, "cmd/controller.TestMetricsNeedAToken"},
	{metrics, "--tls-min-version, --tls-cipher-suites (with TLS 1.2 only), --tls-curve-preferences (numbers) and --metrics-cert-dir.", same, "cmd/controller.TestTLSOfTheMetricsServer"},
}

// shownRows returns the rows of rules that other tests show, and checks that these are
// there.
func shownRows(t *testing.T) []row.Rule {
	t.Helper()
	var rows []row.Rule
	for _, r := range shownRules {
		row.Shown(t, "../..", r.by)
		rows = append(rows, row.Rule{Section: r.section, Rule: r.rule, Differs: r.differs})
	}
	return rows
}

// guideLine is a line of the guide's table of pending Services: words and reason.
var guideLine = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `(\\w+)` \\| .+ \\|$")

// The guide says of each Reason for which a Service has no address what to do, and
// finds it by words that the event has.
func TestTheGuideKnowsEachReason(t *testing.T) {
	guide, err := os.ReadFile("../../deploy/docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(guide), "\n## When a Service stays `<pending>`\n")
	section, _, _ = strings.Cut(section, "\n## ")

	said := map[string]string{} // what events say, by Reason
	for _, path := range []string{"../ipam/testdata/" + row.ReasonsFile, "../intent/testdata/" + row.ReasonsFile} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var rows []row.Reason
		if err := json.Unmarshal(text, &rows); err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if strings.HasPrefix(r.Object, "Service ") {
				said[r.Reason] = failure(intent.Key{}, ipam.Outcome{Reason: intent.Reason(r.Reason), Message: r.Message}).message
			}
		}
	}
	if len(said) < 17 {
		t.Fatalf("only %d Reasons", len(said))
	}
	known := map[string]bool{}
	for _, m := range guideLine.FindAllStringSubmatch(section, -1) {
		words, reason := m[1], m[2]
		message, there := said[reason]
		if !there {
			t.Errorf("there is no Reason %s that keeps a Service pending", reason)
		}
		if known[reason] {
			continue // another case of it than the example's
		}
		known[reason] = true
		if !strings.Contains(message, words) {
			t.Errorf("%s: the guide has the words %q, and the event says: %s", reason, words, message)
		}
	}
	for reason := range said {
		if !known[reason] {
			t.Errorf("the guide does not say what to do about %s: %s", reason, said[reason])
		}
	}
}

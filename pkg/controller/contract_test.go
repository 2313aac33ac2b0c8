// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
	sharing   = "Sharing an address"
	webhooks  = "The admission webhook's flags and certificate"
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
	{bgpstatus, "There are as many as Services times nodes.", "Beyond 50,000 in the cluster none are written, and a condition says so; --service-bgp-status=always writes them all the same.", "pkg/speaker.TestServiceStatusesStopAtTheLimit"},

	{states, "The controller has one, named controller, and each speaker one, named speaker- and the node, with labels of component and node.", same, "pkg/speaker.TestASpeakersConfigurationStateIsTrueAtAllTimes"},
	{states, "It is owned by the process's own Pod.", same, "pkg/controller.TestConfigurationStateHasAnOwner"},
	{states, "The controller's condition is poolReconcilerValid, a speaker's configReconcilerValid.", "These are there, and a speaker has others beside: inService, frrInSync and serviceBGPStatusWritten.", "pkg/speaker.TestASpeakersConfigurationStateIsTrueAtAllTimes"},
	{states, "They are written by the field owners poolReconciler and configReconciler, with force.", "By metallb-controller and metallb-speaker, with force.", "pkg/controller.TestConfigurationStateHasAnOwner"},
	{states, "A fault that is not the user's makes the condition False with reason UnknownError.", "It is never written: such a fault is tried again, and is in the log.", "pkg/status.TestConfigurationState"},
	{states, "Without a condition the result is Unknown.", same, "pkg/speaker.TestLayer2GoesOnWhileFRRHangs"},
	{states, "A condition that is False with reason ConfigurationError makes the result Invalid, and its message the summary.", same, "pkg/controller.TestConfigurationStateIsTrueAtAllTimes"},
	{states, "lastTransitionTime is set at each look.", "It is when the condition's status changed, as the Kubernetes API has it; nothing is written without a change.", "pkg/status.TestTransitionTimeMovesWithTheStatusOnly"},
	{states, "Deleted, it is made again, and stays Invalid.", "The same goes for an edit by others.", "pkg/controller.TestConfigurationStateIsTrueAtAllTimes"},
	{states, "After a failure the next look at an unchanged configuration says that it is valid.", "It says what is so.", "pkg/controller.TestConfigurationStateIsTrueAtAllTimes"},

	{badOnes, "config_stale_bool is 1, config_loaded_bool stays, and the ConfigurationState is Invalid.", same, "pkg/speaker.TestASpeakersConfigurationStateIsTrueAtAllTimes"},
	{badOnes, "Back to exactly what was good before, config_stale_bool stays 1.", "It is 0.", "cmd/controller.TestMetricsAreThoseOfTheContract"},
	{badOnes, "It is looked at again when an object changes, not after a time; what was missing heals what names it when it appears.", same, "pkg/speaker.TestASpeakersConfigurationStateIsTrueAtAllTimes"},
	{badOnes, "A restart with a bad configuration gives no addresses and announces nothing.", "It goes on with each object's last accepted spec.", "pkg/controller.TestBadEditKeepsTheAcceptedSpecInForce"},

	{sharing, "After 0.16.1: a Service with allow-shared-ip that an L2Advertisement with serviceSelectors selects is not announced in layer 2.", "It is: the Services that share an address have one owner, which serves as many of them as can be.", "pkg/plan.TestSharedAddress"},

	{webhooks, "--webhook-mode, --webhook-secret, --cert-service-name, --disable-cert-rotation and --webhook-http2.", same, "cmd/controller.TestWebhookFlags"},
	{webhooks, "The certificate is in --cert-dir, where the Secret is mounted; the pod waits for it.", "Nothing is mounted, and nothing else waits: the Secret is read by the API. --cert-dir is read with --disable-cert-rotation only.", "cmd/controller.TestOwnCertificate"},
	{webhooks, "The controller makes the certificate: the authority for 10 years, the server's for one; it looks every 12 h and renews 90 days ahead.", same, "pkg/controller.TestCertificatesOverTheYears"},
	{webhooks, "It writes the caBundle into metallb-webhook-configuration and into the conversion of bgppeers, as the field owner MetalLB.", "Into the configuration alone, as metallb-webhook-certificates: no CRD has a conversion webhook.", "cmd/controller.TestOthersApplyTheConfiguration"},

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

// guideLine is a line of the guide's table of pending Services: words, one or more,
// and the reason.
var guideLine = regexp.MustCompile("(?m)^\\| `([^|]+)` \\| `(\\w+)` \\| .+ \\|$")

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
	messages := append(slices.Collect(maps.Values(said)), describedFailures(t)...)
	known := map[string]bool{}
	var all []string
	for _, m := range guideLine.FindAllStringSubmatch(section, -1) {
		reason := m[2]
		if said[reason] == "" {
			t.Errorf("there is no Reason %s that keeps a Service pending", reason)
		}
		for _, words := range strings.Split(m[1], "`, `") {
			all = append(all, words)
			known[reason] = known[reason] || strings.Contains(said[reason], words)
			if !slices.ContainsFunc(messages, func(message string) bool { return strings.Contains(message, words) }) {
				t.Errorf("%s: the guide has the words %q, and no event says so", reason, words)
			}
		}
	}
	for reason := range said {
		if !known[reason] {
			t.Errorf("the guide does not say what to do about %s: %s", reason, said[reason])
		}
	}
	for _, message := range messages {
		if !slices.ContainsFunc(all, func(words string) bool { return strings.Contains(message, words) }) {
			t.Errorf("the guide has no words of the event: %s", message)
		}
	}
}

// failureLine is an event of a Service without an address, as kubectl describe
// prints it.
var failureLine = regexp.MustCompile(`(?m)^  Warning  (?:AllocationFailed|LoadBalancerFailed)  \S+  (.+)$`)

// describedFailures are the last such events of TestWhatKubectlDescribeSays.
func describedFailures(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/describe/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var messages []string
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if found := failureLine.FindAllStringSubmatch(string(text), -1); len(found) > 0 {
			messages = append(messages, found[len(found)-1][1])
		}
	}
	if len(messages) < 15 {
		t.Fatalf("only %d events of Services without an address", len(messages))
	}
	return messages
}

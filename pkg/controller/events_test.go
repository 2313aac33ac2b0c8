// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/hack/docs/row"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/status"
)

const (
	poolA    = "---\nkind: IPAddressPool\nmetadata: {name: a}\nspec: {addresses: [192.0.2.0/31]}\n"
	poolDual = "---\nkind: IPAddressPool\nmetadata: {name: a}\nspec: {addresses: [192.0.2.0/31, '2001:db8::/120']}\n"
)

// web is a Service; words are what its metadata, spec and status have beside.
func web(metadata, spec, status string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default%s}\nspec: {type: LoadBalancer, ports: [{port: 80}]%s}\nstatus: {%s}\n", metadata, spec, status)
}

func has(address string) string {
	return "loadBalancer: {ingress: [{ip: '" + address + "'}]}, conditions: [{type: metallb.io/AddressAssigned, status: 'True', reason: Assigned, message: '', lastTransitionTime: '2026-01-01T00:00:00Z'}]"
}

const (
	v4   = ", clusterIPs: [10.96.0.1]"
	both = ", clusterIPs: [10.96.0.1, 'fd00::1'], ipFamilyPolicy: PreferDualStack"
)

// toldAgain is when the event of a Service is told again.
var toldAgain = fmt.Sprintf("and every %.0f minutes while the Service has no address, since events are forgotten after an hour.", remindInterval.Minutes())

// eventRows are MetalLB's events on Services: their reasons, types, and the shapes
// of their texts, and when they are told.
var eventRows = []struct {
	rule, differs, manifests string
	kind                     string
	reason                   intent.Reason
	shape                    string // a regular expression
}{
	{"IPAllocated, Normal: Assigned IP and the addresses, quoted.", same, poolA + web("", v4, ""),
		corev1.EventTypeNormal, eventAssigned, `^Assigned IP \["192\.0\.2\.0"\]$`},
	{"IPAllocated, Normal, of the other family: Assigned additional IP and the address.", same, poolDual + web(", annotations: {metallb.io/ip-allocated-from-pool: a}", both, has("192.0.2.1")),
		corev1.EventTypeNormal, eventAssigned, `^Assigned additional IP "2001:db8::"$`},
	{"AdditionalAssignFailed, Normal, on every pass: cannot assign additional IP, and why.", "It is told once, and again when the reason changes.", poolA + web("", both, ""),
		corev1.EventTypeNormal, eventAdditionalFailed, `^cannot assign additional IP: .+ no IPv6 addresses`},
	{"ClearAssignment, Normal: current IP for the Service not allowed by config, and why.", same, poolA + web("", v4, has("198.51.100.1")),
		corev1.EventTypeNormal, eventCleared, `^current IP for "default/web" not allowed by config, .+: 198\.51\.100\.1 is not allowed in config`},
	{"AllocationFailed, Warning: Failed to allocate IP for the Service, and why.", "It also says what would be right; it is told again when that changes, " + toldAgain, web("", v4, ""),
		corev1.EventTypeWarning, eventFailed, `^Failed to allocate IP for "default/web": no available IPs: .+; create`},
	{"LoadBalancerFailed, Warning: invalid requested loadbalancer IPs, and why.", "It names the annotation or field, its value and what would be right; it is told again when that changes, " + toldAgain, poolA + web("", v4+", loadBalancerIP: nonsense", ""),
		corev1.EventTypeWarning, eventBadRequest, `^invalid requested loadbalancer IPs: spec\.loadBalancerIP: "nonsense"`},
	{"not enough clusterips, Warning: Service requires dual stack but has one ClusterIP.", "It is told again when that changes, " + toldAgain, poolDual + web("", v4+", ipFamilyPolicy: RequireDualStack", ""),
		corev1.EventTypeWarning, eventNotDualStack, `^Service requires dual stack but has an IPv4 ClusterIP only`},
	{"noclusterIPsIPFamily, Warning: the family of a ClusterIP could not be determined.", "It is told of a Service without any ClusterIP, too, which MetalLB leaves pending without a word; it is told again when that changes, " + toldAgain, poolA + web("", ", clusterIPs: [None]", ""),
		corev1.EventTypeWarning, eventNoClusterIP, `^the Service has no ClusterIP`},
	{"nolbIPsIPFamily, Warning: the family of what is in the status could not be determined.", "There is no such event: what somebody else wrote there is overwritten, and IPAllocated says with what.", poolA + web("", v4, "loadBalancer: {ingress: [{hostname: else.example}]}"),
		corev1.EventTypeNormal, eventAssigned, `^Assigned IP`},
	{"deprecatedAnnotation, Warning, for each annotation of the old prefix, when something is written on the Service.", same, poolA + web(", annotations: {metallb.universe.tf/address-pool: a}", v4, ""),
		corev1.EventTypeWarning, eventDeprecated, `^Service uses deprecated annotation metallb\.universe\.tf/address-pool$`},
}

// eventsOn returns the events of what a pass writes on the Service of the manifests.
func eventsOn(t *testing.T, manifests string) []event {
	t.Helper()
	s, err := intent.ReadYAML(strings.NewReader(manifests), "metallb-system")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	in := intent.Resolve(nil, s)
	outcomes, _ := ipam.Assign(in, nil, now)
	svc := s.Services[0]
	want := status.ForService(svc, outcomes[0], status.NewConflicts(nil, nil), nil, now)
	return eventsOf(job{key: outcomes[0].Service, svc: svc, want: want, outcome: outcomes[0], urgent: !sameClaim(svc, want)})
}

func TestEventsAreThoseOfTheContract(t *testing.T) {
	examples := map[intent.Reason]row.Reason{eventAnnounced: {
		Reason: string(eventAnnounced), Severity: corev1.EventTypeNormal, Object: "Service default/web", Message: announcedFrom([]string{"n1", "n2"}),
	}}
	var rules []row.Rule
	for _, r := range eventRows {
		shape, found := regexp.MustCompile(r.shape), false
		all := eventsOn(t, r.manifests)
		for _, e := range all {
			if e.kind != r.kind || e.reason != r.reason || !shape.MatchString(e.message) {
				continue
			}
			found = true
			if _, there := examples[e.reason]; !there {
				examples[e.reason] = row.Reason{Reason: string(e.reason), Severity: e.kind, Object: "Service default/web", Message: e.message}
			}
			rules = append(rules, row.Rule{Section: "Events on a Service", Rule: r.rule, Differs: r.differs, Findings: []string{e.message}})
		}
		if !found {
			t.Errorf("%s\nwant %s %s %s\ngot %q", r.rule, r.kind, r.reason, r.shape, all)
		}
	}
	rules = append(rules,
		row.Rule{Section: "Events on a Service", Rule: "nodeAssigned, Normal, for BGP: announcing from node and protocol, from each speaker, again at each time that it looks at the Service.",
			Differs: "It comes from the controller, one for all nodes, and again when they are others; for one node the text is MetalLB's.", Findings: []string{announcedFrom([]string{"n1"})}},
		row.Rule{Section: "Events on a Service", Rule: "InternalError, Warning: should not happen.", Differs: "There is no such event: what fails is tried again, and is in the controller's log."})
	if got := announcedFrom([]string{"n1"}); got != `announcing from node "n1" with protocol "bgp"` {
		t.Errorf("for one node it is %s", got)
	}
	declared, err := row.Declared(".")
	if err != nil || len(declared) < 9 {
		t.Fatalf("%d Reasons declared, %v", len(declared), err)
	}
	var reasons []row.Reason
	for _, c := range declared {
		example, there := examples[intent.Reason(c.Value)]
		if !there {
			t.Errorf("no row shows the event %s", c.Value)
		}
		reasons = append(reasons, example)
	}
	row.Keep(t, row.RulesFile, append(rules, shownRows(t)...))
	row.Keep(t, row.ReasonsFile, append(reasons, examplesOfExtras()...))
}

// examplesOfExtras are the events on the ConfigMap bgpextras.
func examplesOfExtras() []row.Reason {
	var all []row.Reason
	var report extrasReport
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, refused := range [][]status.Refusal{{{Line: " neighbor 10.0.0.1 shut down", Message: "% Unknown command", Nodes: []string{"n1", "n2"}}}, nil} {
		report.offer(&corev1.ConfigMap{}, nil, refused, now)
		e, _, _ := report.due(now.Add(extrasLimit))
		all = append(all, row.Reason{Reason: string(e.reason), Severity: e.kind, Object: intent.ExtrasRef.String(), Message: e.message})
	}
	return all
}

// What the Service's condition says already is not told again, whatever else is
// written on it.
func TestWhatWasToldIsNotToldAgain(t *testing.T) {
	for _, r := range eventRows {
		s, err := intent.ReadYAML(strings.NewReader(r.manifests), "metallb-system")
		if err != nil {
			t.Fatal(err)
		}
		now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
		svc := s.Services[0]
		for range 2 { // what was written is seen
			in := intent.Resolve(nil, s)
			outcomes, _ := ipam.Assign(in, nil, now)
			want := status.ForService(svc, outcomes[0], status.NewConflicts(nil, nil), nil, now)
			written(svc, want)
		}
		in := intent.Resolve(nil, s)
		outcomes, _ := ipam.Assign(in, nil, now)
		if want := status.ForService(svc, outcomes[0], status.NewConflicts(nil, nil), nil, now); !want.Same(svc) {
			t.Errorf("%s\nit is written again: %+v", r.rule, want)
		} else if all := eventsOf(job{key: outcomes[0].Service, svc: svc, want: want, outcome: outcomes[0]}); len(all) > 0 {
			t.Errorf("%s\ntold again: %q", r.rule, all)
		}
	}
}

// written makes svc be as want says.
func written(svc *corev1.Service, want status.Service) {
	svc.Status.LoadBalancer.Ingress, svc.Status.Conditions = nil, nil
	for _, a := range want.Addresses {
		svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: a.String()})
	}
	if svc.Annotations == nil {
		svc.Annotations = map[string]string{}
	}
	for key, value := range want.Annotations() {
		if svc.Annotations[key] = value; value == "" {
			delete(svc.Annotations, key)
		}
	}
	svc.Status.Conditions = append(svc.Status.Conditions, *want.Condition)
}

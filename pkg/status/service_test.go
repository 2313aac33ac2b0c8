// SPDX-License-Identifier: Apache-2.0

package status

import (
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
)

var (
	one = netip.MustParseAddr("192.0.2.1")
	two = netip.MustParseAddr("2001:db8::1")
)

// holder returns a Service with these addresses, assigned an hour ago.
func holder(pool string, addresses ...string) *corev1.Service {
	s := &corev1.Service{}
	for _, a := range addresses {
		vip := corev1.LoadBalancerIPModeVIP
		s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: a, IPMode: &vip})
	}
	if pool != "" {
		s.Annotations = map[string]string{v1beta1.AnnotationAllocatedFromPool: pool}
		s.Status.Conditions = []metav1.Condition{{
			Type: v1beta1.ConditionAddressAssigned, Status: metav1.ConditionTrue, Reason: string(ReasonAssigned),
			Message: addresses[0] + " from pool " + pool, LastTransitionTime: metav1.NewTime(hourAgo),
		}}
	}
	return s
}

var hourAgo = now.Add(-time.Hour).Truncate(time.Second)

func TestForService(t *testing.T) {
	tests := []struct {
		name    string
		svc     *corev1.Service
		out     ipam.Outcome
		want    string // status, reason and message of the condition
		since   time.Time
		settled bool // nothing to write, and known without building anything
		same    bool // nothing to write
	}{
		{"first address", holder(""), ipam.Outcome{Addresses: []netip.Addr{one}, Pool: "p", Changed: true},
			"True Assigned 192.0.2.1 from pool p", now.Truncate(time.Second), false, false},
		{"nothing new", holder("p", "192.0.2.1"), ipam.Outcome{Addresses: []netip.Addr{one}, Pool: "p"},
			"True Assigned 192.0.2.1 from pool p", hourAgo, true, true},
		{"another address is a new claim", holder("p", "192.0.2.9"), ipam.Outcome{Addresses: []netip.Addr{one}, Pool: "p", Changed: true},
			"True Assigned 192.0.2.1 from pool p", now.Truncate(time.Second), false, false},
		{"a second family is the same claim", holder("p", "192.0.2.1"), ipam.Outcome{Addresses: []netip.Addr{one, two}, Pool: "p", Changed: true},
			"True Assigned 192.0.2.1, 2001:db8::1 from pool p", hourAgo, false, false},
		{"pool renamed", holder("p", "192.0.2.1"), ipam.Outcome{Addresses: []netip.Addr{one}, Pool: "q", Changed: true},
			"True Assigned 192.0.2.1 from pool q", hourAgo, false, false},
		{"none free", holder(""), ipam.Outcome{Reason: ipam.NoFreeAddress, Message: "no available IPs"},
			"False NoFreeAddress no available IPs", now.Truncate(time.Second), false, false},
		{"taken away", holder("p", "192.0.2.1"), ipam.Outcome{Changed: true, Cleared: "why", Reason: ipam.NoPool, Message: "no pool"},
			"False NoPool no pool", now.Truncate(time.Second), false, false},
		{"second family fails", holder("p", "192.0.2.1"), ipam.Outcome{Addresses: []netip.Addr{one}, Pool: "p", Reason: ipam.AdditionalFamilyFailed, Message: "no IPv6"},
			"True AdditionalFamilyFailed 192.0.2.1 from pool p; no IPv6", hourAgo, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := ForService(tt.svc, tt.out, nil, nil, now)
			c := want.Condition
			if got := string(c.Status) + " " + c.Reason + " " + c.Message; got != tt.want || !c.LastTransitionTime.Time.Equal(tt.since) {
				t.Errorf("condition %q since %v, want %q since %v", got, c.LastTransitionTime, tt.want, tt.since)
			}
			if got := Settled(tt.svc, &tt.out, nil, nil); got != tt.settled {
				t.Errorf("settled %v, want %v", got, tt.settled)
			}
			if got := want.Same(tt.svc); got != tt.same {
				t.Errorf("same %v, want %v", got, tt.same)
			}
		})
	}
}

func TestForeignIngressIsNotTheSame(t *testing.T) {
	want := Service{Addresses: []netip.Addr{one, two}}
	dual := holder("p", "192.0.2.1", "2001:db8::1")
	if !want.SameAddresses(dual) || !want.SameAddresses(holder("p", "2001:db8::1", "192.0.2.1")) {
		t.Error("own addresses, in either order, are to be the same")
	}
	for name, edit := range map[string]func(*corev1.LoadBalancerIngress){
		"hostname":        func(in *corev1.LoadBalancerIngress) { in.Hostname = "x" },
		"other address":   func(in *corev1.LoadBalancerIngress) { in.IP = "192.0.2.2" },
		"no address":      func(in *corev1.LoadBalancerIngress) { in.IP = "" },
		"status of ports": func(in *corev1.LoadBalancerIngress) { in.Ports = []corev1.PortStatus{{Port: 80}} },
	} {
		svc := dual.DeepCopy()
		edit(&svc.Status.LoadBalancer.Ingress[0])
		if want.SameAddresses(svc) {
			t.Errorf("%s: counts as the same", name)
		}
		out := ipam.Outcome{Addresses: want.Addresses, Pool: "p"}
		if Settled(svc, &out, nil, nil) {
			t.Errorf("%s: counts as settled", name)
		}
	}
	if want.SameAddresses(holder("p", "192.0.2.1", "2001:db8::1", "192.0.2.3")) || want.SameAddresses(holder("")) {
		t.Error("more or fewer addresses count as the same")
	}
}

// What a Service remembers and shares as is written with its addresses.
func TestAnnotationsOfService(t *testing.T) {
	out := ipam.Outcome{Addresses: []netip.Addr{one}, Pool: "p", SharedAs: "abc", Remember: [][]netip.Addr{{one, two}, {two}}}
	svc := holder("p", "192.0.2.1")
	svc.Annotations[v1beta1.AnnotationSharedAs] = "abc"
	svc.Annotations[v1beta1.AnnotationLastIPs] = "192.0.2.1,2001:db8::1;2001:db8::1"
	if want := ForService(svc, out, nil, nil, now); !Settled(svc, &out, nil, nil) || !want.Same(svc) {
		t.Errorf("%v is not as %+v wants it", svc.Annotations, want)
	}
	for name, edit := range map[string]func(*ipam.Outcome){
		"nothing to remember":  func(o *ipam.Outcome) { o.Remember = nil },
		"a set less":           func(o *ipam.Outcome) { o.Remember = o.Remember[:1] },
		"not sharing any more": func(o *ipam.Outcome) { o.SharedAs = "" },
		"sharing otherwise":    func(o *ipam.Outcome) { o.SharedAs = "abd" },
	} {
		next := out
		next.Changed = true
		edit(&next)
		if want := ForService(svc, next, nil, nil, now); Settled(svc, &next, nil, nil) || want.Same(svc) {
			t.Errorf("%s: counts as written", name)
		}
	}
	next := ipam.Outcome{Addresses: []netip.Addr{one}, Pool: "p"}
	svc.Annotations[v1beta1.AnnotationSharedAs], svc.Annotations[v1beta1.AnnotationLastIPs] = "", ""
	if want := ForService(svc, next, nil, nil, now); want.Same(svc) {
		t.Error("empty annotations are to be removed")
	}
	for _, key := range []string{v1beta1.AnnotationLastIPs, v1beta1.AnnotationSharedAs} {
		svc := holder("")
		svc.Annotations = map[string]string{key: "x"}
		if Cleared(svc) {
			t.Errorf("a Service with %s counts as cleared", key)
		}
	}
	if got := (Service{}).Annotations(); len(got) != len(serviceKeys) {
		t.Errorf("%d annotations, %d keys", len(got), len(serviceKeys))
	}
}

func TestClearedService(t *testing.T) {
	if !Cleared(holder("")) || Cleared(holder("p", "192.0.2.1")) {
		t.Error("Cleared is to look at annotation and condition")
	}
	marked := holder("p", "192.0.2.1")
	marked.Annotations = nil
	if Cleared(marked) {
		t.Error("the condition alone is to be cleared too")
	}
}

func TestConfigurationState(t *testing.T) {
	bad := intent.Finding{
		Object: intent.Ref{Kind: "IPAddressPool", Name: "p"}, Severity: intent.Invalid, Reason: "Bad",
		Field: "spec.addresses", Value: "x", Message: "write a CIDR",
	}
	soft := bad
	soft.Severity = intent.Unresolved
	const kind = v1beta1.ConditionPoolReconcilerValid
	s := Configuration(kind, nil, []intent.Finding{bad, soft}, now)
	const text = `configuration error: IPAddressPool p: spec.addresses: "x": write a CIDR`
	if c := s.Conditions[0]; s.Result != v1beta1.ConfigurationInvalid || s.ErrorSummary != text ||
		c.Type != kind || c.Status != metav1.ConditionFalse || c.Reason != "ConfigurationError" || c.Message != text {
		t.Errorf("invalid: %+v", s)
	}
	later := Configuration(kind, s.Conditions, []intent.Finding{bad}, now.Add(time.Hour))
	if !later.Conditions[0].LastTransitionTime.Equal(&s.Conditions[0].LastTransitionTime) {
		t.Error("the transition time moves without a transition")
	}
	s = Configuration(kind, s.Conditions, []intent.Finding{soft}, now)
	if c := s.Conditions[0]; s.Result != v1beta1.ConfigurationValid || s.ErrorSummary != "" || c.Status != metav1.ConditionTrue || c.Reason != "Reconciled" {
		t.Errorf("valid: %+v", s)
	}
}

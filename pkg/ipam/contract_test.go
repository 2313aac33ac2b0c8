// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/hack/docs/row"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// rule is a rule of the Service contract, shown from the objects that users write
// to what is decided. The lines of want are those of a situation.
type rule struct {
	section string
	text    string
	verdict string // "same", or "different: " and why
	objects []any  // Services, IPAddressPools, Namespaces
	want    string
}

type svc = func(*corev1.Service)

func load(name string, edits ...svc) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Annotations: map[string]string{}, CreationTimestamp: metav1.NewTime(epoch)}}
	s.Spec.Type = corev1.ServiceTypeLoadBalancer
	s.Spec.ClusterIPs = []string{"10.96.0.1"}
	s.Spec.Ports = []corev1.ServicePort{{Protocol: corev1.ProtocolTCP, Port: 80}}
	for _, e := range edits {
		e(s)
	}
	return s
}

func note(key, value string) svc {
	return func(s *corev1.Service) { s.Annotations[key] = value }
}

func clusterIPs(policy corev1.IPFamilyPolicy, families ...corev1.IPFamily) svc {
	return func(s *corev1.Service) {
		s.Spec.IPFamilyPolicy, s.Spec.IPFamilies, s.Spec.ClusterIPs = &policy, families, nil
		for _, f := range families {
			s.Spec.ClusterIPs = append(s.Spec.ClusterIPs, map[corev1.IPFamily]string{corev1.IPv4Protocol: "10.96.0.1", corev1.IPv6Protocol: "fd00::1"}[f])
		}
	}
}

// holding has the Service hold addresses since the epoch, as it is by then.
func holding(pool string, addrs ...string) svc {
	return func(s *corev1.Service) {
		for _, a := range addrs {
			s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: a})
		}
		s.Annotations[v1beta1.AnnotationAllocatedFromPool] = pool
		s.Status.Conditions = []metav1.Condition{{Type: v1beta1.ConditionAddressAssigned, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(epoch)}}
		read := intent.Resolve(nil, &intent.Snapshot{Services: []*corev1.Service{s}}).Services[0]
		if read.Sharing != nil {
			s.Annotations[v1beta1.AnnotationSharedAs] = read.Sharing.Digest
		}
	}
}

func key(text string) svc { return note(v1beta1.AnnotationAllowSharedIP, text) }

func port(protocol corev1.Protocol, number int32) svc {
	return func(s *corev1.Service) {
		s.Spec.Ports = []corev1.ServicePort{{Protocol: protocol, Port: number}}
	}
}

func local(app string) svc {
	return func(s *corev1.Service) {
		s.Spec.ExternalTrafficPolicy, s.Spec.Selector = corev1.ServiceExternalTrafficPolicyLocal, map[string]string{"app": app}
	}
}

func requests(addrs string) svc { return note(v1beta1.AnnotationLoadBalancerIPs, addrs) }
func wantsPool(name string) svc { return note(v1beta1.AnnotationAddressPool, name) }
func within(namespace string) svc {
	return func(s *corev1.Service) { s.Namespace = namespace }
}
func carries(label string) svc {
	return func(s *corev1.Service) { s.Labels = map[string]string{label: "yes"} }
}
func lbIP(addr string) svc {
	return func(s *corev1.Service) { s.Spec.LoadBalancerIP = addr }
}

func addressPool(name, addresses string, edits ...func(*v1beta1.IPAddressPoolSpec)) *v1beta1.IPAddressPool {
	p := &v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(epoch)}}
	p.Spec.Addresses = strings.Split(addresses, ",")
	for _, e := range edits {
		e(&p.Spec)
	}
	return p
}

func manual(s *v1beta1.IPAddressPoolSpec)   { s.AutoAssign = new(bool) }
func avoiding(s *v1beta1.IPAddressPoolSpec) { s.AvoidBuggyIPs = true }
func forLabel(label string) func(*v1beta1.IPAddressPoolSpec) {
	return func(s *v1beta1.IPAddressPoolSpec) {
		allocation(s).ServiceSelectors = append(allocation(s).ServiceSelectors, metav1.LabelSelector{MatchLabels: map[string]string{label: "yes"}})
	}
}
func forNamespaces(names ...string) func(*v1beta1.IPAddressPoolSpec) {
	return func(s *v1beta1.IPAddressPoolSpec) { allocation(s).Namespaces = names }
}
func forNamespacesLabelled(label string) func(*v1beta1.IPAddressPoolSpec) {
	return func(s *v1beta1.IPAddressPoolSpec) {
		allocation(s).NamespaceSelectors = append(allocation(s).NamespaceSelectors, metav1.LabelSelector{MatchLabels: map[string]string{label: "yes"}})
	}
}
func priority(n int) func(*v1beta1.IPAddressPoolSpec) {
	return func(s *v1beta1.IPAddressPoolSpec) { allocation(s).Priority = n }
}

func allocation(s *v1beta1.IPAddressPoolSpec) *v1beta1.ServiceAllocation {
	if s.ServiceAllocation == nil {
		s.ServiceAllocation = &v1beta1.ServiceAllocation{}
	}
	return s.ServiceAllocation
}

func namespaceLabelled(name, label string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{label: "yes"}}}
}

func snapshot(objects []any) *intent.Snapshot {
	s := &intent.Snapshot{Namespace: "metallb-system"}
	for _, o := range objects {
		switch o := o.(type) {
		case *corev1.Service:
			s.Services = append(s.Services, o)
		case *v1beta1.IPAddressPool:
			s.Pools = append(s.Pools, o)
		case *corev1.Namespace:
			s.Namespaces = append(s.Namespaces, o)
		}
	}
	s.Sort()
	return s
}

func TestContract(t *testing.T) {
	sections := map[string]int{}
	var kept []row.Rule
	for _, r := range rules {
		t.Run(r.section+" "+r.text, func(t *testing.T) {
			if r.verdict != "same" && len(strings.TrimPrefix(r.verdict, "different: ")) < 10 || !strings.HasPrefix(r.verdict, "different: ") && r.verdict != "same" {
				t.Errorf("verdict %q: write \"same\" or \"different: why\"", r.verdict)
			}
			outcomes, _ := Assign(intent.Resolve(nil, snapshot(r.objects)), map[intent.Key][]netip.Addr{}, epoch)
			var lines []string
			if r.want != "" {
				lines = strings.Split(r.want, "\n")
			}
			if len(lines) != len(outcomes) {
				t.Fatalf("%d outcomes, want %d: %s", len(outcomes), len(lines), fmt.Sprint(outcomes))
			}
			for i, line := range lines {
				check(t, outcomes[i], line)
			}
		})
		sections[r.section]++
		kept = append(kept, row.Rule{Section: sectionNames[r.section], Rule: r.text, Differs: strings.TrimPrefix(strings.TrimPrefix(r.verdict, "different: "), "same")})
	}
	for _, s := range []string{"2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7"} {
		if sections[s] == 0 {
			t.Errorf("no rule of section %s", s)
		}
	}
	row.Keep(t, row.RulesFile, kept)
}

// sectionNames are the contract's, as the list of differences has them.
var sectionNames = map[string]string{
	"2.1": "Annotations of a Service", "2.2": "Fields of a Service", "2.3": "A Service as it changes", "2.4": "Requested addresses",
	"2.5": "The choice of a pool", "2.6": "Sharing an address", "2.7": "Pools that change",
}

// A pool that is there and not valid is named, as is one whose selectors match
// nothing, so that nobody looks for the mistake elsewhere.
func TestAnswersNameWhatIsWrongWithThePool(t *testing.T) {
	bad := addressPool("bad", "192.0.2.9-192.0.2.1")
	for _, c := range []struct {
		name    string
		objects []any
		want    string
	}{
		{"no pool", []any{load("x")}, "create one, with addresses that are yours to give, in namespace metallb-system"},
		{"the only one is not valid", []any{bad, load("x")}, "no accepted IPAddressPool; mend what is not valid, as the condition Accepted says: bad"},
		{"the one asked for is not valid", []any{bad, load("x", wantsPool("bad"))}, `unknown pool "bad": that IPAddressPool is not accepted; mend`},
		{"the one asked for is not there", []any{bad, load("x", wantsPool("good"))}, `unknown pool "good": there is no such IPAddressPool; create it`},
		{"the address asked for, and none is valid", []any{bad, load("x", requests("192.0.2.3"))}, "there is none: mend what is not valid, as the condition Accepted says: bad"},
		{"selectors of namespaces match nothing", []any{addressPool("a", "192.0.2.0/24", forNamespacesLabelled("gold")), load("x")}, "a (its serviceAllocation is not for namespace default, it admits none: its namespaceSelectors (gold=yes) match no namespace); create an IPAddressPool for it, label the namespace so that a selector matches, or change one of them"},
		{"selectors of namespaces match others", []any{addressPool("a", "192.0.2.0/24", forNamespacesLabelled("gold")), namespaceLabelled("prod", "gold"), load("x", wantsPool("a"))}, "its serviceAllocation admits prod (namespaceSelectors: gold=yes); use another pool, label the namespace so that one of the namespaceSelectors matches, or add it to serviceAllocation.namespaces there"},
		{"selectors of Services match others", []any{addressPool("a", "192.0.2.0/24", forLabel("gold")), load("x")}, "matches the Service's labels: gold=yes); create an IPAddressPool for it, label the Service so that a selector matches, or change one of them"},
		{"those that may be asked for", []any{addressPool("a", "192.0.2.0/24", manual), addressPool("b", "192.0.3.0/24", manual, forNamespaces("prod")), load("x")}, "may ask for in the annotation metallb.io/address-pool (a), or"},
		{"dual stack from a pool of one family", []any{addressPool("a", "192.0.2.0/24"), load("x", clusterIPs(require, v4, v6))}, "it has no IPv6 addresses; the addresses come from one pool: add addresses to it, or set ipFamilyPolicy to PreferDualStack or SingleStack"},
	} {
		outcomes, _ := Assign(intent.Resolve(nil, snapshot(c.objects)), nil, epoch)
		if got := outcomes[0].Message; !strings.Contains(got, c.want) {
			t.Errorf("%s: %q does not say %q", c.name, got, c.want)
		}
	}
}

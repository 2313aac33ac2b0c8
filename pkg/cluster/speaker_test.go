// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/e2e/apiserver"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// told empties the signals of a speaker and returns those that had a value.
func (c *testCluster) told() string {
	var told []string
	for name, signal := range map[string]<-chan struct{}{
		"changed": c.Changed(), "states": c.StatesChanged(), "l2": c.ServiceL2Statuses().Changed(),
	} {
		select {
		case <-signal:
			told = append(told, name)
		default:
		}
	}
	slices.Sort(told)
	return strings.Join(told, " ")
}

// barrier waits until the Cluster has heard of everything that was done to
// ConfigurationStates before: it makes one more, which nobody decides by.
func (c *testCluster) barrier(n int) {
	c.t.Helper()
	last := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: fmt.Sprintf("barrier-%d", n)}}
	c.create(last)
	c.until("the last change is heard", func() bool { return c.State(last.Name) != nil })
}

// until polls, since it waits for what gives no signal.
func (c *testCluster) until(what string, ok func() bool) {
	c.t.Helper()
	limit := time.After(testLimit)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			c.t.Fatalf("%s: not within %v", what, testLimit)
		}
	}
}

// A speaker hears of the links of all nodes, and of nothing else that the others
// publish.
func TestASpeakerHearsOfLinksAlone(t *testing.T) {
	cfg := apiserver.Start(t)
	apiserver.InstallCRDs(t, cfg)
	c := startCluster(t, cfg, Options{Node: "n1"})
	c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace}})
	c.await("the namespace", func(s *intent.Snapshot) bool { return len(s.Namespaces) > 3 })
	state := func(node string) *v1beta1.ConfigurationState {
		return &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "speaker-" + node}}
	}
	write := func(node, status string) func() error {
		return func() error {
			return c.api.Status().Patch(t.Context(), state(node), client.RawPatch(types.MergePatchType, []byte(`{"status":`+status+`}`)))
		}
	}
	const (
		up    = `{"sessions":[{"peer":"tor","state":"Established"}],"result":"Valid"}`
		down  = `{"sessions":[{"peer":"tor","state":"Down"}],"conditions":[{"type":"inService","status":"True","reason":"X","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}`
		eth0  = `{"links":[{"name":"eth0","mac":"02:00:00:00:00:01","prefixes":["192.0.2.2/24"]}]}`
		eth0b = `{"links":[{"name":"eth0","mac":"02:00:00:00:00:01","prefixes":["192.0.2.3/24"]}]}`
	)
	c.barrier(0)
	c.told()
	for i, step := range []struct {
		what string
		do   func() error
		told string
		same bool // Snapshots show the same
	}{
		{"another node's object appears", func() error { return c.api.Create(t.Context(), state("n2")) }, "", false},
		{"its session comes up", write("n2", up), "", true},
		{"its links", write("n2", eth0), "changed", false},
		{"its session goes down", write("n2", down), "", true},
		{"the same links again", write("n2", eth0), "", true},
		{"other links", write("n2", eth0b), "changed", false},
		{"no links", write("n2", `{"links":[]}`), "changed", false},
		{"links not known", write("n2", `{"links":null}`), "changed", false},
		{"links", write("n2", eth0), "changed", false},
		{"its object goes", func() error { return c.api.Delete(t.Context(), state("n2")) }, "changed", false},
		{"the own object appears", func() error { return c.api.Create(t.Context(), state("n1")) }, "states", false},
		{"the own session", write("n1", up), "states", false},
		{"the own links", write("n1", eth0), "changed states", false},
		{"a label of its own", func() error {
			return c.api.Patch(t.Context(), state("n1"), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`)))
		}, "states", false},
		{"the own object goes", func() error { return c.api.Delete(t.Context(), state("n1")) }, "changed states", false},
	} {
		versions := c.versions()
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		c.barrier(i + 1)
		if got := c.told(); got != step.told {
			t.Errorf("%s: told %q, want %q", step.what, got, step.told)
		}
		if same := c.versions() == versions; same != step.same {
			t.Errorf("%s: a Snapshot shows the objects of before: %v, want %v", step.what, same, step.same)
		}
	}
	for _, s := range c.Read().States {
		if len(s.Status.Sessions)+len(s.Status.Conditions) > 0 || s.Status.Result != "" {
			t.Errorf("of %s more than links is kept: %+v", s.Name, s.Status)
		}
	}
}

// versions names the versions of the speakers' ConfigurationStates in the Snapshot.
func (c *testCluster) versions() string {
	var all []string
	for _, s := range c.Read().States {
		if strings.HasPrefix(s.Name, v1beta1.SpeakerStatePrefix) {
			all = append(all, s.Name+" "+s.ResourceVersion)
		}
	}
	return strings.Join(all, ", ")
}

// Held knows the addresses that any node announces, and those of the Service where
// an object, as MetalLB's, names none.
func TestHeld(t *testing.T) {
	cfg := apiserver.Start(t)
	apiserver.InstallCRDs(t, cfg)
	c := startCluster(t, cfg, Options{Node: "n1"})
	c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace}})
	web := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
	web.Spec.Type, web.Spec.Ports = corev1.ServiceTypeLoadBalancer, []corev1.ServicePort{{Port: 80}}
	c.create(web)
	web.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.9"}, {IP: "2001:db8::9"}}
	if err := c.api.Status().Update(t.Context(), web); err != nil {
		t.Fatal(err)
	}
	c.await("the Service's addresses", func(s *intent.Snapshot) bool {
		svc := find(s, "web")
		return svc != nil && len(svc.Status.LoadBalancer.Ingress) == 2
	})
	if h := c.Held(); h != nil {
		t.Errorf("without an object there are %v", h)
	}
	object := func(name, node, service string) *v1beta1.ServiceL2Status {
		return &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: name, Labels: map[string]string{
			v1beta1.LabelNode: node, v1beta1.LabelServiceName: service, v1beta1.LabelServiceNamespace: "default",
		}}}
	}
	say := func(name, addresses string) {
		t.Helper()
		patch := client.RawPatch(types.MergePatchType, []byte(`{"status":{"node":"x","addresses":[`+addresses+`]}}`))
		if err := c.api.Status().Patch(t.Context(), object(name, "", ""), patch); err != nil {
			t.Fatal(err)
		}
	}
	all := []string{"192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.9", "2001:db8::9"}
	shown := func(h *plan.Held) string {
		var has []string
		for _, a := range all {
			if h.Has(netip.MustParseAddr(a)) {
				has = append(has, a)
			}
		}
		return strings.Join(has, " ")
	}
	held := func(want string) *plan.Held {
		t.Helper()
		c.until("held is "+want, func() bool { return shown(c.Held()) == want })
		return c.Held()
	}
	c.create(object("l2-a", "n1", "a"))
	c.create(object("l2-b", "n2", "b"))
	say("l2-a", `"192.0.2.1"`)
	held("192.0.2.1")
	say("l2-b", `"192.0.2.1","2001:db8::1"`)
	two := held("192.0.2.1 2001:db8::1")

	// One that names none counts as the Service.
	c.told()
	c.create(object("l2-metallb", "n3", "web"))
	c.until("it is there, and says nothing yet", func() bool { list, _ := c.ServiceL2Statuses().All(); return len(list) == 3 })
	if h := c.Held(); h != two {
		t.Errorf("an object without a status makes %q", shown(h))
	}
	say("l2-metallb", "")
	of := held("192.0.2.1 2001:db8::1 192.0.2.9 2001:db8::9")
	if got := c.told(); got != "l2" {
		t.Errorf("another node's object: told %q, want what writes these objects alone", got)
	}
	if two == of || shown(two) != "192.0.2.1 2001:db8::1" {
		t.Error("a set changed after it was handed out")
	}
	if err := c.api.Delete(t.Context(), object("l2-metallb", "", "")); err != nil {
		t.Fatal(err)
	}
	held("192.0.2.1 2001:db8::1")

	// An address that two name is held until neither does.
	if err := c.api.Delete(t.Context(), object("l2-a", "", "")); err != nil {
		t.Fatal(err)
	}
	before := c.Held()
	c.until("one object is left", func() bool { list, _ := c.ServiceL2Statuses().All(); return len(list) == 1 })
	if now := c.Held(); shown(now) != "192.0.2.1 2001:db8::1" || now != before {
		t.Errorf("held is %q after one of two objects is gone; want the very same", shown(now))
	}
	say("l2-b", `"192.0.2.2"`)
	held("192.0.2.2")
	if err := c.api.Delete(t.Context(), object("l2-b", "", "")); err != nil {
		t.Fatal(err)
	}
	held("")
}

// What is kept of another node's object is what Held and its removal need.
func TestTrimmedServiceL2Status(t *testing.T) {
	c := &Cluster{options: Options{Node: "n1"}}
	s := &ServiceStatuses{cluster: c}
	for _, own := range []bool{true, false} {
		o := &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{
			Name: "l2-a", UID: "u", Labels: map[string]string{v1beta1.LabelNode: map[bool]string{true: "n1", false: "n2"}[own]},
			OwnerReferences: []metav1.OwnerReference{{Name: "pod"}}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "x"}},
		}}
		o.Status = v1beta1.ServiceL2StatusStatus{Node: "n", Interfaces: []v1beta1.InterfaceInfo{{Name: "eth0"}}, Addresses: []string{"192.0.2.1"}}
		kept := s.trim(o).(*v1beta1.ServiceL2Status)
		if kept.ManagedFields != nil || kept.Name != "l2-a" || kept.UID != "u" || kept.Labels == nil || len(kept.Status.Addresses) != 1 ||
			(len(kept.OwnerReferences) > 0) != own || (len(kept.Status.Interfaces) > 0) != own {
			t.Errorf("own %v: kept is %+v", own, kept)
		}
	}
}

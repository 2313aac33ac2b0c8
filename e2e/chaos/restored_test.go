// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// restored is a Service out of a backup that claims the address of another, and what
// is to come of the two.
type restored struct {
	name    string
	holder  func(*corev1.Service)             // of the Service that has the address
	edit    func(s *corev1.Service, a string) // of the one out of the backup
	since   string                            // of its condition AddressAssigned; empty: it has none
	loser   string                            // holder, restored or neither
	pending bool                              // the loser gets no other address
	because string                            // part of what is said to the loser; %s is the other's name
}

var backups = []restored{
	{name: "plain", loser: "restored", because: "is in use by default/%s, whose claim to it is older"},
	{name: "older", since: "2020-01-02T03:04:05Z", loser: "holder", because: "is in use by default/%s, whose claim to it is older"},
	{name: "younger", since: "2099-01-02T03:04:05Z", loser: "restored", because: "is in use by default/%s, whose claim to it is older"},
	{
		name: "asked", loser: "restored", pending: true, because: "is in use by default/%s",
		edit: func(s *corev1.Service, a string) { s.Annotations[v1beta1.AnnotationLoadBalancerIPs] = a },
	},
	{name: "shares", holder: shares("k", 80), edit: func(s *corev1.Service, _ string) { shares("k", 81)(s) }, loser: "neither"},
	{name: "port", holder: shares("k", 80), edit: func(s *corev1.Service, _ string) { shares("k", 80)(s) }, loser: "restored", because: "is already in use on"},
	{name: "key", holder: shares("k", 80), edit: func(s *corev1.Service, _ string) { shares("j", 81)(s) }, loser: "restored", because: "is in use by default/%s"},
}

func shares(key string, port int32) func(*corev1.Service) {
	return func(s *corev1.Service) {
		s.Annotations[v1beta1.AnnotationAllowSharedIP] = key
		s.Spec.Ports[0].Port = port
	}
}

// Services come back from a backup with addresses that others have meanwhile, while
// the controller runs and while it does not: each address has one owner then, that
// of the older claim, and the other one is told who and gets another address.
func TestRestoredFromBackup(t *testing.T) {
	w := newWorld(t)
	w.create(pool("main", false, "10.1.0.0/24"))
	p := w.launch(w.kubeconfig, "--leader-elect=false")
	for _, runs := range []bool{false, true} {
		had := map[string]string{}
		for i := range 3 * len(backups) {
			name := pairName(runs, i)
			w.create(service(name+"-holder", func(s *corev1.Service) {
				if edit := backups[i%len(backups)].holder; edit != nil {
					edit(s)
					s.Annotations[v1beta1.AnnotationAllowSharedIP] += name
				}
			}))
			had[name] = w.address(name + "-holder")
		}
		if !runs {
			p.kill()
		}
		for i := range 3 * len(backups) {
			w.restore(backups[i%len(backups)], pairName(runs, i), had[pairName(runs, i)])
		}
		if !runs {
			w.launch(w.kubeconfig, "--leader-elect=false")
		}
		for i := range 3 * len(backups) {
			w.judgePair(backups[i%len(backups)], pairName(runs, i), had[pairName(runs, i)])
		}
	}
	w.caughtUp()
	w.await("the pool to count its addresses", func() bool { return len(replay(w.history).end()) == 0 })
}

func pairName(runs bool, i int) string { return fmt.Sprintf("pair-%t-%d", runs, i) }

// address waits until the Service has an address.
func (w *world) address(name string) (a string) {
	w.t.Helper()
	w.await("an address for "+name, func() bool {
		a = join(w.latest[keyOf(service(name))].addrs)
		return a != ""
	})
	return a
}

// restore makes the Service and writes its status, as what restores a backup does.
func (w *world) restore(b restored, name, had string) {
	w.t.Helper()
	s := service(name+"-restored", annotated(v1beta1.AnnotationAllocatedFromPool, "main"))
	if b.edit != nil {
		b.edit(s, had)
	}
	if key, ok := s.Annotations[v1beta1.AnnotationAllowSharedIP]; ok {
		s.Annotations[v1beta1.AnnotationAllowSharedIP] = key + name
		s.Annotations[v1beta1.AnnotationSharedAs] = "of another time"
	}
	status := corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: had}}}}
	if b.since != "" {
		status.Conditions = []metav1.Condition{{
			Type: v1beta1.ConditionAddressAssigned, Status: metav1.ConditionTrue, Reason: "Assigned", Message: had + " from pool main",
		}}
		if err := status.Conditions[0].LastTransitionTime.UnmarshalQueryParameter(b.since); err != nil {
			w.t.Fatal(err)
		}
	}
	w.create(s)
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.Status().Patch(w.t.Context(), s, client.RawPatch(types.MergePatchType, patch)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) judgePair(b restored, name, had string) {
	w.t.Helper()
	loser, winner := name+"-"+b.loser, name+"-holder"
	if b.loser == "holder" {
		winner = name + "-restored"
	}
	if b.loser == "neither" {
		loser = name + "-restored"
	}
	w.await(fmt.Sprintf("%s: %s to keep %s and %s to be settled", b.name, winner, had, loser), func() bool {
		lost := w.latest[keyOf(service(loser))]
		settled := len(lost.addrs) == 1 && join(lost.addrs) != had && lost.pending == ""
		switch {
		case b.loser == "neither":
			settled = join(lost.addrs) == had
		case b.pending:
			settled = len(lost.addrs) == 0 && lost.pending == "AddressInUse"
		}
		return settled && join(w.latest[keyOf(service(winner))].addrs) == had
	})
	if b.because == "" {
		return
	}
	because := strings.ReplaceAll(b.because, "%s", winner)
	if b.pending {
		s := service(loser)
		if err := w.Get(w.t.Context(), client.ObjectKeyFromObject(s), s); err != nil {
			w.t.Fatal(err)
		}
		if c := meta.FindStatusCondition(s.Status.Conditions, v1beta1.ConditionAddressAssigned); c == nil || !strings.Contains(c.Message, because) {
			w.t.Errorf("%s: condition %+v, want one that says %q", b.name, c, because)
		}
	}
	w.awaitEvent(loser, "ClearAssignment", because)
}

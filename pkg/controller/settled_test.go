// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/status"
)

// What is remembered says what looking again would, whatever comes, goes and changes.
func TestSettledRemembers(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	now := time.Now()
	addr := netip.MustParseAddr("192.0.2.0")
	node := &intent.Node{Name: "n", Ready: true}
	state := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Name: "speaker-n", Labels: map[string]string{v1beta1.LabelNode: "n"}}}
	state.Status.Foreign = []v1beta1.ForeignOwner{{Address: addr.String(), MAC: "02:00:00:00:00:01"}}
	conflicts := status.NewConflicts([]*v1beta1.ConfigurationState{state}, []*intent.Node{node})
	if conflicts == nil {
		t.Fatal("no conflict")
	}
	var s settled
	var services [30]*corev1.Service
	var said [30]*status.Announced
	hits := 0
	for pass := range 3000 {
		i := random.IntN(len(services))
		switch random.IntN(6) {
		case 0:
			services[i] = nil
		case 1:
			services[i] = assignedService(fmt.Sprintf("s%02d", i), addr, now)
			said[i] = saidBy(services[i]).announced
		case 2:
			if services[i] != nil {
				services[i] = services[i].DeepCopy()
				services[i].Status.Conditions = nil
			}
		case 3:
			said[i] = &status.Announced{Addresses: []netip.Addr{addr}, Status: metav1.ConditionFalse, Reason: "Other"}
		case 4:
			said[i] = nil
		}
		var present *status.Conflicts
		if pass%50 == 49 {
			present = conflicts
		}
		s.begin(present)
		hits += len(s.before)
		for i, svc := range services {
			if svc == nil {
				continue
			}
			out := ipam.Outcome{Addresses: []netip.Addr{addr}, Pool: "p"}
			if random.IntN(50) == 0 {
				out = ipam.Outcome{Changed: true, Reason: "NoPool"}
			}
			if got, want := s.is(svc, &out, said[i]), status.Settled(svc, &out, present, said[i]); got != want {
				t.Fatalf("pass %d: settled %s is %t, want %t", pass, svc.Name, got, want)
			}
		}
	}
	if hits < 10_000 {
		t.Errorf("it remembered %d Services only", hits)
	}
}

// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// told is a cluster of n nodes and what announced tells of it.
type told struct {
	*announced
	snapshot *intent.Snapshot
	layer2   []*v1beta1.ServiceL2Status
	listed   bool
	events   []string
}

func newTold() *told {
	w := &told{}
	w.announced = &announced{
		options: Options{Log: logr.Discard()}, work: make(chan struct{}, 1),
		gate:   newGate(),
		layer2: func() ([]*v1beta1.ServiceL2Status, bool) { return w.layer2, w.listed },
		read:   func() *intent.Snapshot { return w.snapshot },
		event:  func(svc *corev1.Service, message string) { w.events = append(w.events, svc.Name+": "+message) },
	}
	return w
}

// set describes the cluster: how many of its nodes are ready, and its Services,
// each with the nodes of its endpoints.
func (w *told) set(t testing.TB, nodes int, since time.Time, services map[string][]string) {
	t.Helper()
	var text strings.Builder
	text.WriteString("---\napiVersion: metallb.io/v1beta2\nkind: BGPPeer\nmetadata: {name: tor}\nspec: {myASN: 1, peerASN: 2, peerAddress: 172.16.0.1}\n" +
		"---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: a}\nspec: {addresses: [10.0.0.0/16]}\n" +
		"---\napiVersion: metallb.io/v1beta1\nkind: BGPAdvertisement\nmetadata: {name: a}\n")
	for i := range nodes {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: Node\nmetadata: {name: n%02d}\nstatus: {conditions: [{type: Ready, status: 'True'}]}\n", i+1)
	}
	text.WriteString("---\napiVersion: v1\nkind: Node\nmetadata: {name: dead}\nstatus: {conditions: [{type: Ready, status: Unknown}]}\n")
	i := 0
	for name, on := range services {
		i++
		policy, endpoints := "Cluster", ""
		if len(on) > 0 {
			policy = "Local"
		} else {
			on = []string{"n01"}
		}
		for _, n := range on {
			endpoints += "{addresses: [10.244.0.1], nodeName: " + n + "},"
		}
		text.WriteString(fmt.Sprintf("---\napiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: default}\nspec: {type: LoadBalancer, externalTrafficPolicy: %s, clusterIPs: [10.96.0.1]}\nstatus: {loadBalancer: {ingress: [{ip: 10.0.%d.%d}]}, conditions: [{type: metallb.io/AddressAssigned, status: 'True', lastTransitionTime: '%s'}]}\n", name, policy, i/200, 1+i%200, since.UTC().Format(time.RFC3339)) +
			fmt.Sprintf("---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: %s, namespace: default, labels: {kubernetes.io/service-name: %s}}\nendpoints: [%s]\n", name, name, strings.TrimSuffix(endpoints, ",")))
	}
	s, err := intent.ReadYAML(strings.NewReader(text.String()), "metallb-system")
	if err != nil {
		t.Fatal(err)
	}
	w.snapshot = s
}

func TestServicesAreToldWhereTheyAreAnnounced(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w := newTold()
	all := map[string][]string{"web": nil}
	const from = `web: announcing from node `
	for _, step := range []struct {
		situation string
		at        time.Duration
		set       func()
		left      bool
		want      string
	}{
		{"just assigned: a moment to settle", 0, func() { w.set(t, 2, start, all) }, true, ""},
		{"one event for all nodes, without the dead one", time.Second, nil, false, from + `"n01", "n02" with protocol "bgp"`},
		{"without a change nothing is said", time.Minute, nil, false, ""},
		{"a node more, not settled", 2 * time.Minute, func() { w.set(t, 3, start, all) }, true, ""},
		{"and another: it begins anew", 2*time.Minute + 900*time.Millisecond, func() { w.set(t, 4, start, all) }, true, ""},
		{"not yet", 2*time.Minute + 1800*time.Millisecond, nil, true, ""},
		{"settled", 2*time.Minute + 1900*time.Millisecond, nil, false, from + `"n01", "n02", "n03", "n04" with protocol "bgp"`},
		{"again after a few seconds: once in ten", 2*time.Minute + 5*time.Second, func() { w.set(t, 1, start, all) }, true, ""},
		{"still", 2*time.Minute + 11*time.Second, nil, true, ""},
		{"one node, as MetalLB says it", 2*time.Minute + 12*time.Second, nil, false, from + `"n01" with protocol "bgp"`},
		{"a change that is taken back is none", 3 * time.Minute, func() { w.set(t, 2, start, all) }, true, ""},
		{"taken back", 3*time.Minute + 500*time.Millisecond, func() { w.set(t, 1, start, all) }, false, ""},
		{"many nodes", 4 * time.Minute, func() { w.set(t, 13, start, all) }, true, ""},
		{"ten of them by name", 5 * time.Minute, nil, false, from + `"n01", "n02", "n03", "n04", "n05", "n06", "n07", "n08", "n09", "n10" and 3 more with protocol "bgp"`},
		{"Local: where its endpoints are", 6 * time.Minute, func() { w.set(t, 13, start, map[string][]string{"web": {"n05", "dead"}}) }, true, ""},
		{"settled", 7 * time.Minute, nil, false, from + `"n05" with protocol "bgp"`},
		{"from nowhere is no news", 8 * time.Minute, func() { w.set(t, 13, start, map[string][]string{"web": {"dead"}}) }, false, ""},
		{"back where it was is", 9 * time.Minute, func() { w.set(t, 13, start, map[string][]string{"web": {"n05"}}) }, true, ""},
		{"settled", 10 * time.Minute, nil, false, from + `"n05" with protocol "bgp"`},
		{"gone", 11 * time.Minute, func() { w.set(t, 13, start, nil) }, false, ""},
		{"made again", 12 * time.Minute, func() { w.set(t, 13, start, map[string][]string{"web": {"n05"}}) }, true, ""},
		{"told again", 13 * time.Minute, nil, false, from + `"n05" with protocol "bgp"`},
	} {
		if step.set != nil {
			step.set()
		}
		w.events = nil
		left := w.round(start.Add(step.at))
		if got := strings.Join(w.events, "\n"); got != step.want || left != step.left {
			t.Errorf("%s: events %q, left %t; want %q, %t", step.situation, got, left, step.want, step.left)
		}
	}
}

// A new leader does not tell of thousands of Services what the one before told;
// what it could not have told is told, some in each round.
func TestANewLeaderTellsOnlyNews(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	many := map[string][]string{}
	for i := range tellsPerRound + 3 {
		many[fmt.Sprintf("s%03d", i)] = nil
	}
	w := newTold()
	w.set(t, 2, start.Add(-time.Hour), many)
	for i := range 3 {
		w.round(start.Add(time.Duration(i) * time.Second))
	}
	if len(w.events) != 0 {
		t.Errorf("%d events about Services that were announced before, want none; first %s", len(w.events), w.events[0])
	}
	w.set(t, 3, start.Add(-time.Hour), many)
	w.round(start.Add(time.Minute))
	if left := w.round(start.Add(time.Minute + settleTime)); len(w.events) != tellsPerRound || !left {
		t.Errorf("%d events in a round, left %t; want %d and the others left", len(w.events), left, tellsPerRound)
	}
	if left := w.round(start.Add(time.Minute + 2*settleTime)); len(w.events) != tellsPerRound+3 || left {
		t.Errorf("%d events in two rounds, left %t; want %d", len(w.events), left, tellsPerRound+3)
	}

	w = newTold()
	w.set(t, 2, start.Add(-time.Second), many)
	w.round(start)
	if w.round(start.Add(settleTime)); len(w.events) == 0 {
		t.Error("no event about Services that were assigned while nobody led")
	}
}

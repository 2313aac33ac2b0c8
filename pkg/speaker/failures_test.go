// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"strings"
	"testing"
	"testing/synctest"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// Who has no interface for an address that nobody else can announce either says so
// when that begins and it is the first alive by hash: n2 comes before n1. Where another
// node can, there is nothing to tell.
func TestFailuresOfAPass(t *testing.T) {
	const manifests = `
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Node
metadata: {name: n2}
status: {conditions: [{type: Ready, status: "True"}]}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: a, namespace: metallb-system}
spec: {addresses: [192.0.2.0/24]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: a, namespace: metallb-system}
spec: {interfaces: [eth7]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {type: LoadBalancer, clusterIPs: [10.96.0.1]}
status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, namespace: default, labels: {kubernetes.io/service-name: web}}
endpoints: [{addresses: [10.244.0.1], nodeName: n1}]
---
apiVersion: metallb.io/v1beta1
kind: ConfigurationState
metadata: {name: speaker-n1, namespace: metallb-system}
status: {links: [{name: eth0}]}
---
apiVersion: metallb.io/v1beta1
kind: ConfigurationState
metadata: {name: speaker-n2, namespace: metallb-system}
status: {links: [{name: ethX}]}
`
	pass := func(s *Speaker, other string, alive *plan.Alive) {
		snapshot, err := intent.ReadYAML(strings.NewReader(strings.Replace(manifests, "ethX", other, 1)), "metallb-system")
		if err != nil {
			t.Fatal(err)
		}
		before := s.result
		s.intent = intent.Resolve(s.intent, snapshot)
		s.result = plan.ForNode(before, s.intent, plan.NodeFacts{Name: "n1", Forwarding: true, Alive: alive})
		s.tellFailures(before)
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHearing(t, "web")
		h.runs(t)
		both, alone := plan.NewAlive("n1", "n2"), plan.NewAlive("n1")
		for _, c := range []struct {
			situation, other string
			alive            *plan.Alive
			want             string
		}{
			{"the other node has the interface", "eth7", both, ""},
			{"it is not alive", "eth7", alone, ""},
			{"it has another, and tells", "eth1", both, ""},
			{"it is not alive and has another", "eth1", alone, `web: Warning announceFailed the interfaces requested for LB IP "192.0.2.1" do not exist on the assigned node "n1", or cannot announce: eth7`},
			{"nothing changes", "eth1", alone, ""},
			{"the other node is back", "eth1", both, ""},
			{"the interface is back", "eth7", both, ""},
		} {
			pass(h.Speaker, c.other, c.alive)
			if got := strings.Join(h.told(2*burstTime), "\n"); c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
				t.Errorf("%s: told %q, want %q", c.situation, got, c.want)
			}
		}
	})
}

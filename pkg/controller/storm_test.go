// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/controller"
)

// tally is a counter that can be read.
type tally struct {
	prometheus.Counter
	n atomic.Int64
}

func (c *tally) Inc() { c.n.Add(1) }

// Many Services that get addresses at once do not take a pass each.
func TestManyAddressesAreFewPasses(t *testing.T) {
	const n = 200
	f := newFixtureAlone(t)
	passes := &tally{}
	f.controllerAs(cluster.Options{}, func(o *controller.Options) {
		passes.Counter, o.Client.Updates = o.Client.Updates, passes
	})
	for i := range n {
		f.create(service(fmt.Sprintf("s%03d", i)))
	}
	for i := range n {
		f.awaitService(fmt.Sprintf("s%03d", i), "to be told that there is no pool", func(s *corev1.Service) bool { return len(s.Status.Conditions) > 0 })
	}
	before := passes.n.Load()
	f.create(pool("first", "192.0.2.0/24"))
	for i := range n {
		f.awaitService(fmt.Sprintf("s%03d", i), "to have an address", func(s *corev1.Service) bool { return len(s.Status.LoadBalancer.Ingress) > 0 })
	}
	got := passes.n.Load() - before
	t.Logf("%d passes for %d Services", got, n)
	if got > n/4 {
		t.Errorf("%d passes for %d Services, which is too many", got, n)
	}
	f.awaitPool("first", "to count them", func(p *v1beta1.IPAddressPool) bool { return p.Status.AssignedIPv4 == n })
}

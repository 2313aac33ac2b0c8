// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
)

// What is found out about pools is found out once for all Services that get the same
// answer: the cost is in proportion to their sum. It is counted in allocations, of
// which the product has several for each pair.
func TestManyServicesAndManyPools(t *testing.T) {
	const n = 300
	for name, change := range map[string]func(*intent.Pool){
		"all are taken":               func(*intent.Pool) {},
		"all are for the namespace":   pinnedTo(1, "default"),
		"all are for other ones":      pinnedTo(1, "other"),
		"none gives anything unasked": func(p *intent.Pool) { p.AutoAssign = false },
	} {
		t.Run(name, func(t *testing.T) {
			var all pools
			var in []*intent.Service
			for i := range n {
				addr := fmt.Sprintf("10.0.%d.%d", i>>8, i&255)
				all = append(all, newTestPool(t, fmt.Sprintf("p%03d", i), addr+"/32", change))
				in = append(in, newService(fmt.Sprintf("s%03d", i), "4"))
			}
			for i, p := range all {
				in = append(in, newService(fmt.Sprintf("t%03d", i), "4", has(p.Ranges[0].From().String(), p.Name)))
			}
			both := newIntent(all, in...)
			allocations := testing.AllocsPerRun(1, func() { Assign(both, nil, epoch) })
			if most := 20.0 * 3 * n; allocations > most {
				t.Errorf("%.0f allocations for %d pools and %d Services, want at most %.0f", allocations, n, 2*n, most)
			}
		})
	}
}

// A pool that had nothing left for one may have something for another: of the other
// family, to share, or what was kept for somebody until then.
func TestSpentPoolsAreLookedAtAgain(t *testing.T) {
	p1 := newTestPool(t, "a", "192.0.2.0/32,2001:db8::/127")
	p2 := newTestPool(t, "b", "198.51.100.0/31")
	in := newIntent(pools{p1, p2},
		newService("p", "4", created(1)), newService("q", "4", created(2)), newService("r", "6", created(3)),
		newService("s", "4", created(4)), newService("t", "6", created(5)), newService("u", "4", created(6)))
	outcomes, _ := Assign(in, nil, epoch)
	want := map[string]string{"p": "a", "q": "b", "r": "a", "s": "b", "t": "a", "u": ""}
	for _, o := range outcomes {
		if o.Pool != want[o.Service.Name] {
			t.Errorf("%s has addresses of pool %q, want %q", o.Service.Name, o.Pool, want[o.Service.Name])
		}
	}
	if last := outcomes[len(outcomes)-1]; last.Reason != NoFreeAddress {
		t.Errorf("the last one has %q (%s), want %s", last.Reason, last.Message, NoFreeAddress)
	}
}

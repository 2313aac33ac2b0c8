// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
)

// BenchmarkStatusRound measures what a round of statuses costs that finds all of
// 3,000 pools as they are to be, each of them overlapping the one before or none.
func BenchmarkStatusRound(b *testing.B) {
	const pools = 3000
	for _, overlaps := range []bool{false, true} {
		b.Run(fmt.Sprintf("pools=%d/overlaps=%t", pools, overlaps), func(b *testing.B) {
			s := &intent.Snapshot{}
			for i := range pools {
				last := 255
				if overlaps {
					last = 256 + 128
				}
				s.Pools = append(s.Pools, &v1beta1.IPAddressPool{
					ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pool-%04d", i), Generation: 1},
					Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{
						fmt.Sprintf("10.%d.%d.0-10.%d.%d.%d", i>>8, i&255, (i+last/256)>>8, (i+last/256)&255, last%256),
					}},
				})
			}
			in := intent.Resolve(nil, s)
			_, usage := ipam.Assign(in, nil, time.Now())
			v := view{snapshot: s, intent: in, usage: usage}
			w := newStatusWriter(nil, Options{})
			now := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				r := w.newRound(v, now)
				for _, p := range s.Pools {
					if _, err := r.want(intent.Ref{Kind: v1beta1.KindIPAddressPool, Name: p.Name}, p); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

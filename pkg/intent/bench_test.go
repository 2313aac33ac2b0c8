// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// BenchmarkResolve is a first Resolve of many pools, and with overlaps of pools
// that each hold addresses of the one before.
func BenchmarkResolve(b *testing.B) {
	const pools = 3000
	for _, overlaps := range []bool{false, true} {
		name := fmt.Sprintf("pools=%d", pools)
		if overlaps {
			name += ",overlaps"
		}
		b.Run(name, func(b *testing.B) {
			s := &intent.Snapshot{}
			for i := range pools {
				text := fmt.Sprintf("10.%d.%d.0-10.%d.%d.255", i>>8, i&255, i>>8, i&255)
				if overlaps {
					text = fmt.Sprintf("10.%d.%d.0-10.%d.%d.128", i>>8, i&255, (i+1)>>8, (i+1)&255)
				}
				s.Pools = append(s.Pools, &v1beta1.IPAddressPool{
					ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pool-%04d", i)},
					Spec:       v1beta1.IPAddressPoolSpec{Addresses: []string{text, fmt.Sprintf("2001:db8:%x::/64", i)}},
				})
			}
			for b.Loop() {
				intent.Resolve(nil, s)
			}
		})
	}
}

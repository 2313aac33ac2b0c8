// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// BenchmarkAdmission measures one review of a pool that is created beside n others:
// as it is where nothing changed since the last one ("alone"), and where the pool
// before it has been created meanwhile ("bulk").
func BenchmarkAdmission(b *testing.B) {
	for _, n := range []int{100, 3000} {
		var manifests strings.Builder
		order := rand.New(rand.NewPCG(1, 2)).Perm(n)
		for i, at := range order {
			manifests.WriteString(poolOf(fmt.Sprintf("pool-%04d", i), fmt.Sprintf("10.%d.%d.0-10.%d.%d.255, '2001:db8:%x::/64'", at>>8, at&255, at>>8, at&255, at)))
		}
		manifests.WriteString(oneNode + peerOf("a", "peerAddress: 10.0.0.1") + adOf("x", "{}") + adOf("z", "{localPref: 100}") + l2Of("l", "{}"))
		w := readWorld(b, manifests.String())
		req := request(b, w, create, poolOf("pool-new", "192.0.2.0/24"))
		b.Run(fmt.Sprintf("alone/pools=%d", n), func(b *testing.B) {
			for b.Loop() {
				if r := answerTo(w, req); !r.Allowed {
					b.Fatal(r.Result.Message)
				}
			}
		})
		b.Run(fmt.Sprintf("bulk/pools=%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				next := *w.snapshot
				c, _ := readChange(request(b, w, create, poolOf("pool-last", fmt.Sprintf("198.51.100.%d/32", i%256))), ownNamespace)
				c.kind.put(&next, c.ref.Name, c.now)
				if r := answerTo(judge(w, &next), req); !r.Allowed {
					b.Fatal(r.Result.Message)
				}
			}
		})
	}
}

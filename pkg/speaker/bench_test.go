// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/frr/frrtest"
	"metallb.io/metallb-frr/pkg/frr/vtysh"
)

// BenchmarkState is what a scrape costs, with a router and that many prefixes
// announced to it.
func BenchmarkState(b *testing.B) {
	for _, prefixes := range []int{10, 10000} {
		b.Run(fmt.Sprintf("prefixes=%d", prefixes), func(b *testing.B) {
			node := frrtest.Start(b, frrtest.Options{})
			router := frrtest.Start(b, frrtest.Options{Listen: true})
			frrtest.Link(b, "eth0", node, "192.0.2.1/24", router, "192.0.2.2/24")
			router.Load(b, routerConf)
			var conf strings.Builder
			conf.WriteString(strings.ReplaceAll(nodeConf, "eth1", "eth7"))
			for i := range prefixes {
				fmt.Fprintf(&conf, "  network 10.0.%d.%d/32\n", i/256, i%256)
			}
			node.Load(b, conf.String())
			node.WaitFor(b, "show bgp neighbors 192.0.2.2 json", fmt.Sprintf(`"sentPrefixCounter":%d`, prefixes+2))
			driver := vtysh.New(vtysh.Options{Command: node.Vtysh()})
			b.Cleanup(func() { driver.Close() })
			s := New(Options{Node: "n1", FRR: driver, Log: logr.Discard()})
			for b.Loop() {
				if state, err := s.State(b.Context()); err != nil || len(state.Sessions) != 2 {
					b.Fatal(state, err)
				}
			}
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package frrtest_test

import (
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

func TestTwoRoutersTalk(t *testing.T) {
	t.Parallel()
	a := frrtest.Start(t, frrtest.Options{})
	b := frrtest.Start(t, frrtest.Options{Listen: true})
	frrtest.Link(t, "eth0", a, "192.0.2.1/24", b, "192.0.2.2/24")
	a.Load(t, "router bgp 65001\n neighbor 192.0.2.2 remote-as 65002\n neighbor 192.0.2.2 timers connect 1\n")
	b.Load(t, "router bgp 65002\n neighbor 192.0.2.1 remote-as 65001\n neighbor 192.0.2.1 passive\n")
	b.WaitFor(t, "show bgp neighbors 192.0.2.1 json", `"bgpState":"Established"`)
}

func TestDaemonKilledAndStarted(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	f.Load(t, "router bgp 65001\n")
	f.KillDaemon(t, "bgpd")
	if got := f.Run(t, "vtysh", "-c", "show daemons"); strings.Contains(got, "bgpd") {
		t.Errorf("daemons after the kill: %s", got)
	}
	f.StartDaemon(t, "bgpd")
	if got := f.Running(t); strings.Contains(got, "router bgp") {
		t.Errorf("a restarted bgpd has a configuration:\n%s", got)
	}
}

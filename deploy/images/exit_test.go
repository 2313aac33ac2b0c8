// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"strings"
	"testing"
	"time"
)

// Routers inside the same AS are told to prefer others by the least LOCAL_PREF,
// whatever preference the routes had.
func TestExitAsksRoutersOfTheSameAS(t *testing.T) {
	onNode := strings.NewReplacer("EXTRA", "description rr", "remote-as 64513", "remote-as 64512",
		" match tag 7\n", " match tag 7\n set local-preference 200\n").Replace(nodeConf)
	onRouter := strings.NewReplacer("router bgp 64513", "router bgp 64512", " neighbor 10.9.0.1 timers", " neighbor 10.9.0.1 description node\n neighbor 10.9.0.1 timers").Replace(routerConf)
	node, router, routes := connected(t, onNode, onRouter)
	has := func(text string) func() bool {
		return func() bool {
			return strings.Contains(router.exec(t, "vtysh", "-c", "show bgp ipv4 unicast 198.51.100.1/32"), text)
		}
	}
	waitFor(t, 5*time.Second, has("localpref 200,"))
	routes.mark()
	terminate(t, node)
	waitFor(t, 5*time.Second, has("localpref 0,"))
	if routes.has("Deleted 198.51.100.1") {
		t.Errorf("route withdrawn before the routers could prefer another node")
	}
	routes.wait(t, "Deleted 198.51.100.1", 5*time.Second)
	<-within(t, node.done, 10*time.Second)
}

// A node that is out of service already, or on its way, ends as any other: the
// steps are taken again and nothing is refused.
func TestExitOfANodeThatIsMarked(t *testing.T) {
	onNode := strings.NewReplacer("EXTRA", "description tor1\n bgp graceful-shutdown").Replace(nodeConf)
	node, router, routes := connected(t, onNode, routerConf)
	if s := router.exec(t, "vtysh", "-c", "show bgp ipv4 unicast 198.51.100.1/32"); !strings.Contains(s, "graceful-shutdown") {
		t.Fatalf("the route is not marked to begin with:\n%s", s)
	}
	routes.mark()
	terminate(t, node)
	routes.wait(t, "Deleted 198.51.100.1", 5*time.Second)
	<-within(t, node.done, 10*time.Second)
	if node.log.has("refused") {
		t.Errorf("FRR refused something:\n%s", node.log)
	}
}

// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// settled waits until the router has a session with the node that is not one of the
// first few, and a fresh route, and BFD watches it. It returns how many sessions
// there have been.
func settled(t *testing.T, router *pod, few int) (sessions int) {
	t.Helper()
	waitFor(t, 30*time.Second, func() bool {
		text, err := router.try(t, "vtysh", "-c", "show bgp neighbors 10.9.0.1 json")
		var all map[string]struct {
			State    string `json:"bgpState"`
			Sessions int    `json:"connectionsEstablished"`
		}
		if err != nil || json.Unmarshal([]byte(text), &all) != nil {
			return false
		}
		s := all["10.9.0.1"]
		if sessions = s.Sessions; s.State != "Established" || sessions <= few {
			return false
		}
		bfd, err := router.try(t, "vtysh", "-c", "show bfd peers brief")
		if err != nil || !strings.Contains(bfd, " up ") {
			return false
		}
		// A stale route, not yet announced again, would not outlive another
		// restart (RFC 4724 section 4.2).
		route, err := router.try(t, "vtysh", "-c", "show bgp ipv4 unicast 198.51.100.1/32 json")
		return err == nil && strings.Contains(route, "198.51.100.1/32") && !strings.Contains(route, `"stale":true`)
	})
	return sessions
}

// With graceful restart and BFD the container with all of FRR in it ends and comes
// back, in order or not, while the router goes on sending to the node. BFD tells the
// router of it, which no longer matters to a session that has ended; and neither
// side begins the next one before BFD is up again.
//
// FRR replaces the BFD session when BGP is established, and at times takes that for
// its end (https://github.com/FRRouting/frr/issues/17337); the route then goes for a
// second or two. So there are three attempts.
func TestGracefulRestartWithBFDKeepsRoutes(t *testing.T) {
	router := startRouter(t, routerConf)
	waitFor(t, 10*time.Second, func() bool { // not before its configuration is read
		_, err := router.try(t, "vtysh", "-c", "configure terminal", "-c", "router bgp 64513", "-c", "neighbor 10.9.0.1 bfd")
		return err == nil
	})
	node := startPod(t, "node", strings.Replace(nodeConf, "EXTRA", "graceful-restart\n neighbor 10.9.0.2 bfd", 1))
	routes := router.routes(t)
	join(t, node, router, "10.9.0.1/24", "10.9.0.2/24")
	sessions := settled(t, router, 0)
	for name, end := range map[string]func(){
		"an orderly exit": func() { terminate(t, node) },
		"a kill":          func() { node.cmd.Process.Kill() },
	} {
		kept := false
		for attempt := 1; attempt <= 3 && !kept; attempt++ {
			routes.mark()
			start := time.Now()
			end()
			<-within(t, node.done, 12*time.Second)
			node.start(t)
			sessions = settled(t, router, sessions)
			kept = !routes.has("Deleted 198.51.100.1")
			t.Logf("%s, attempt %d: the session is back after %v, routes kept: %t", name, attempt, time.Since(start).Round(10*time.Millisecond), kept)
		}
		if !kept {
			t.Errorf("%s: the router withdrew the route each time:\n%s", name, routes)
		}
	}
}

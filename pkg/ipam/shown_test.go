// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"net/netip"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/intent"
)

// What is only decided takes no address from a Service that shows it, however old the
// claim of the one that it was decided for is.
func TestShownOutweighsDecided(t *testing.T) {
	pools := func() *intent.Config {
		return &intent.Config{Pools: []*intent.Pool{newTestPool(t, "main", "192.0.2.0/30")}}
	}
	for name, services := range map[string][]*intent.Service{
		// decided lost 198.51.100.1, which it had for long, to an edit of the pools.
		"an older claim to something else": {
			newService("decided", "4", has("198.51.100.1", "gone"), since(time.Hour)),
			newService("shows", "4", has("192.0.2.1", "main"), since(2*time.Hour)),
		},
		// shows has it of a controller that writes no condition.
		"an older Service": {
			newService("decided", "4"),
			newService("shows", "4", has("192.0.2.1", "main"), created(time.Hour)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := &intent.Intent{Config: pools(), Services: services}
			assumed := map[intent.Key][]netip.Addr{services[0].Key: addrsOf("192.0.2.1")}
			outcomes, _ := Assign(in, assumed, epoch.Add(3*time.Hour))
			if got := join(outcomes[1].Addresses); got != "192.0.2.1" {
				t.Errorf("it showed 192.0.2.1 and is to have %s: %s", got, outcomes[1].Cleared)
			}
		})
	}
}

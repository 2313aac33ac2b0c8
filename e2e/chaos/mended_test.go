// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"testing"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// Half of a pool is taken away and given back, and taken away again while Services are
// on their way back: of those that are not back yet none loses what it has got instead.
func TestPoolThatIsMendedAndBrokenAgain(t *testing.T) {
	const services = 300
	random := seeded(t)
	w := newWorld(t)
	l := newLoad(w, random)
	w.launch(w.kubeconfig, "--leader-elect=false")
	for i := range services {
		w.create(service(fmt.Sprintf("s%05d", i), annotated(v1beta1.AnnotationAddressPool, "edited")))
	}
	w.await("all to have addresses of that half", func() bool { return l.inHalf() == services })
	away := func() bool { return l.inHalf() == 0 }
	l.edit(true)
	w.await("all to leave that half", away)
	for range 5 {
		l.edit(false)
		enough := random.IntN(services / 2)
		w.await("some to be back", func() bool { return l.inHalf() >= enough })
		l.edit(true)
		w.await("all to leave that half again", away)
	}
	l.edit(false)
	if j := w.settled(); j.moves < services {
		t.Errorf("the test tries too little: Services went back %d times", j.moves)
	}
}

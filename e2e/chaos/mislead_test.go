// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Every third write is made without the controller hearing of it, since the
// connection breaks or the API server says that it took too long, and what is written
// is seen late. So it neither knows what it wrote nor can it look.
func TestLostAnswersAndLateWatches(t *testing.T) {
	random := seeded(t)
	w := newWorld(t)
	l := newLoad(w, random)
	between := newProxy(t, w.config, rand.New(rand.NewPCG(random.Uint64(), 0)))
	between.set(func() { between.lose, between.fail, between.delay = 0.17, 0.17, 400*time.Millisecond })
	w.launch(between.kubeconfig, "--leader-elect=false")
	rounds := 4
	if soak() {
		rounds = 40
	}
	for range rounds {
		l.round(150)
	}
	l.edit(false)
	w.settled()
	lost, written := between.count(&between.lost), between.count(&between.written)
	t.Logf("%d of %d answers were lost", lost, written)
	if lost < 100 {
		t.Error("the test tries too little")
	}
}

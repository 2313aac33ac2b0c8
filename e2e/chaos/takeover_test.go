// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// The leader is killed in the middle of a load: the other replica takes over when the
// Lease has run out, and gives nothing twice.
func TestTakeover(t *testing.T) {
	random := seeded(t)
	w := newWorld(t)
	l := newLoad(w, random)
	replicas := &[2]*program{}
	leader := w.lead(replicas)
	k := w.begin(l, 300)
	k.middle(random)
	replicas[leader].kill()
	from := time.Now()
	replicas[1-leader].says(acquired)
	led := time.Since(from)
	w.mu.Lock()
	before := w.given
	w.mu.Unlock()
	w.await("the new leader to give addresses", func() bool { return w.given > before })
	t.Logf("after the leader's end the other one led after %v and gave an address after %v", led.Round(time.Millisecond), time.Since(from).Round(time.Millisecond))
	k.end()
	w.settled()
}

// A leader that is told to end gives up the Lease when its writes have ended, however
// long the API server takes for them: what the next one sees is all there is.
func TestOrderlyEndWithWritesUnderWay(t *testing.T) {
	w := newWorld(t)
	through := newProxy(t, w.config, rand.New(rand.NewPCG(0, 0)))
	ending := w.launch(through.kubeconfig)
	ending.says(acquired)
	next := w.launch(w.kubeconfig)
	w.create(pool("main", false, "10.1.0.0/24"))
	hold := make(chan struct{})
	through.set(func() { through.hold = hold })
	for i := range 20 {
		w.create(service(fmt.Sprintf("s%05d", i)))
	}
	select {
	case <-through.arrived:
	case <-time.After(limit):
		t.Fatal("nothing is written")
	}
	ending.signal(syscall.SIGTERM)
	if next.saysWithin(2*time.Second, acquired) {
		t.Error("the next one leads while writes of the one before are under way")
	}
	close(hold)
	ending.wait()
	next.says(acquired)
	w.await("all to have addresses", func() bool { return w.given >= 20 })
	w.settled()
}

// A leader is paused in the middle of a load, the other replica takes over, and the
// first continues with what it knew and meant to write: it writes no more, and ends.
func TestPausedLeader(t *testing.T) {
	random := seeded(t)
	w := newWorld(t)
	l := newLoad(w, random)
	through := newProxy(t, w.config, rand.New(rand.NewPCG(0, 0)))
	paused := w.launch(through.kubeconfig)
	paused.says(acquired)
	other := w.launch(w.kubeconfig)
	k := w.begin(l, 400)
	k.middle(random)
	paused.signal(syscall.SIGSTOP)
	other.says(acquired)
	k.end()
	k = w.begin(l, 400)
	k.middle(random)
	before := through.count(&through.written)
	paused.signal(syscall.SIGCONT)
	k.end()
	paused.wait()
	if code := paused.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("the leader that was paused ends with %d, want 1", code)
	}
	// Those that were about to be sent, of what writes at the same time, are out.
	const sent = 10
	late := through.count(&through.written) - before
	t.Logf("it wrote %d times after the other one had taken over, of what it had begun", late)
	if late > sent {
		t.Errorf("a leader that was paused writes on: %d times", late)
	}
	w.settled()
}

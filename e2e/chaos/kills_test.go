// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// 2,000 Services of all kinds come, some change and go, pools are edited, and the
// controller is killed again and again in the middle of it: alone, so that the next
// one begins at once with what is half written, and as one of two replicas, the
// leader, the other one or both.
func TestKills(t *testing.T) {
	services, alone, replicated := 2000, 6, 4
	if soak() {
		alone, replicated = 140, 60
	}
	random := seeded(t)
	w := newWorld(t)
	l := newLoad(w, random)
	each := services / (alone + replicated)
	for range alone {
		k := w.begin(l, each)
		p := w.launch(w.kubeconfig, "--leader-elect=false")
		k.middle(random)
		p.kill()
		k.end()
	}
	l.rollback(func() *program { return w.launch(w.kubeconfig, "--leader-elect=false") })
	var replicas [2]*program
	for n := range replicated {
		k := w.begin(l, each)
		leader := w.lead(&replicas)
		k.middle(random)
		if n%4 != 1 {
			replicas[leader].kill()
		}
		if n%4 == 1 || n%4 == 3 {
			replicas[1-leader].kill()
		}
		k.end()
	}
	l.edit(false)
	w.lead(&replicas)
	if j := w.settled(); j.gains < services || j.losses == 0 || j.moves == 0 {
		t.Errorf("the test tries too little: %d addresses given, %d taken, %d moved back", j.gains, j.losses, j.moves)
	}
}

// rollback takes half of a pool away, kills the controller in the middle of what comes
// of it, and gives it back.
func (l *load) rollback(launch func() *program) {
	w := l.w
	w.t.Helper()
	l.edit(false)
	p := launch()
	w.await("many Services in that half", func() bool { return l.inHalf() >= 40 })
	w.mu.Lock()
	enough := l.inHalf() / 2
	w.mu.Unlock()
	l.edit(true)
	w.await("half of them to have lost their addresses", func() bool { return l.inHalf() <= enough })
	p.kill()
	l.edit(false)
}

// inHalf counts the Services in the half of pool edited that is taken away. Called
// with the lock held.
func (l *load) inHalf() (n int) {
	half := netip.MustParsePrefix("10.5.0.0/22")
	for _, v := range l.w.latest {
		if len(v.addrs) > 0 && half.Contains(v.addrs[0]) {
			n++
		}
	}
	return n
}

// lead starts the replicas that do not run, waits until one leads, and returns which.
func (w *world) lead(replicas *[2]*program) int {
	w.t.Helper()
	for i, p := range replicas {
		if p == nil || p.over() {
			replicas[i] = w.launch(w.kubeconfig)
		}
	}
	return w.leader(replicas)
}

// leader waits until one of two replicas leads.
func (w *world) leader(replicas *[2]*program) int {
	w.t.Helper()
	return either(w.t, replicas[0], replicas[1])
}

// part is some load, while which a controller is killed.
type part struct {
	w       *world
	from, n int
	done    chan struct{}
}

// begin starts a round of load.
func (w *world) begin(l *load, n int) *part {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &part{w: w, from: w.given, n: n, done: make(chan struct{})}
	go func() { defer close(p.done); l.round(n) }()
	return p
}

// middle waits until a random part of the load has got addresses.
func (p *part) middle(random *rand.Rand) {
	p.w.t.Helper()
	enough := p.from + random.IntN(p.n*2/3+1)
	p.w.await("the controller to give addresses", func() bool { return p.w.given >= enough })
}

// end waits until the load is made.
func (p *part) end() { <-p.done }

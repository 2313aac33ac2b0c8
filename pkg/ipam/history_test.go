// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"maps"
	"math/rand"
	"net/netip"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/intent"
)

// blocks are what the pools of a world are made of, so small that they run out.
var blocks = []string{"192.0.2.0/30", "192.0.2.254-192.0.3.1", "198.51.100.8/31", "198.51.100.77/32", "2001:db8::/126", "2001:db8:1::/127", "2001:db8:2::5/128"}

// world is a cluster whose users do random things.
type world struct {
	*rand.Rand
	t        *testing.T
	now      time.Time
	owners   []string // of blocks; empty: none
	pools    map[string]*intent.Pool
	services map[intent.Key]*intent.Service
	assumed  map[intent.Key][]netip.Addr // written, not seen in services
	written  map[intent.Key]*intent.Service
	made     int
}

// TestHistories lets random things happen and checks after each what must hold
// of every outcome. Its seeds are fixed; a failure names the one.
func TestHistories(t *testing.T) {
	seeds, steps := 300, 60
	if testing.Short() {
		seeds = 50
	}
	seen := map[intent.Reason]int{}
	for seed := range seeds {
		ok := t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			w := newWorld(t, int64(seed))
			for step := 0; step < steps && !t.Failed(); step++ {
				w.happen()
				for _, o := range w.assign(step) {
					seen[o.Reason]++
				}
			}
		})
		if !ok {
			return
		}
	}
	for _, reason := range []intent.Reason{"", NoPool, FamilyNotInPool, NoFreeAddress, PoolNotFound, PoolNotAllowed, PoolMismatch,
		FamilyMismatch, AddressNotInPool, AddressInUse, AdditionalFamilyFailed, intent.InvalidRequest} {
		if seen[reason] == 0 {
			t.Errorf("no history came to an outcome with reason %q: the test tries too little", reason)
		}
	}
}

// TestLongHistory is one history of 10,000 operations, with restarts, decisions
// that are lost before they are written, and stale reads.
func TestLongHistory(t *testing.T) {
	w := newWorld(t, 1)
	steps, restarts, crashes := 10000, 0, 0
	if testing.Short() {
		steps = 3000
	}
	for step := 0; step < steps && !t.Failed(); step++ {
		w.happen()
		switch w.Intn(20) {
		case 0: // a new leader sees all that was written
			w.see()
			restarts++
		case 1: // the leader ends between its decisions and most writes
			before := maps.Clone(w.written)
			w.assign(step)
			for _, k := range slices.SortedFunc(maps.Keys(w.written), intent.Key.Compare) {
				if _, was := before[k]; !was && w.Intn(3) > 0 {
					delete(w.written, k)
				}
			}
			w.see()
			w.assumed = map[intent.Key][]netip.Addr{}
			crashes++
		}
		w.assign(step)
	}
	if restarts < 100 || crashes < 100 {
		t.Errorf("%d restarts and %d crashes: the test tries too little", restarts, crashes)
	}
}

func (w *world) happen() {
	w.now = w.now.Add(time.Minute)
	keys := slices.SortedFunc(maps.Keys(w.services), intent.Key.Compare)
	pick := func() intent.Key { return keys[w.Intn(len(keys))] }
	switch n := w.Intn(20); {
	case n < 8 && len(keys) < 40 || len(keys) < 2:
		w.made++
		s := newService(fmt.Sprintf("s%d", w.Intn(1000)*1000+w.made), "4", created(w.now.Sub(epoch).Truncate(4*time.Minute)))
		if w.Intn(4) == 0 {
			s.Key.Namespace = "prod"
		}
		w.services[s.Key] = w.wish(s)
	case n < 11:
		k := pick()
		delete(w.services, k)
		delete(w.assumed, k)
		delete(w.written, k)
	case n < 14:
		s := *w.services[pick()]
		w.services[s.Key] = w.wish(&s)
	case n < 15: // somebody writes another's address into a status
		from, to := w.services[pick()], *w.services[pick()]
		to.Addresses = from.Addresses
		w.services[to.Key] = &to
	default:
		w.editPools()
	}
	for _, k := range slices.SortedFunc(maps.Keys(w.written), intent.Key.Compare) { // some of what was written is seen
		if w.Intn(2) == 0 {
			w.seeOne(k)
		}
	}
}

// see has everything that was written seen, as after a restart.
func (w *world) see() {
	for k := range w.written {
		w.seeOne(k)
	}
}

func (w *world) seeOne(k intent.Key) {
	s, was := w.written[k], *w.services[k]
	was.Addresses, was.AssignedPool, was.AssignedSince, was.Last, was.SharedAs = s.Addresses, s.AssignedPool, s.AssignedSince, s.Last, s.SharedAs
	w.services[k] = &was
	delete(w.written, k)
	delete(w.assumed, k)
}

// wish changes what a Service wants.
func (w *world) wish(s *intent.Service) *intent.Service {
	f := newService("", []string{"4", "4", "6", "46", "64", "46", "-"}[w.Intn(7)])
	s.Families, s.Primary = f.Families, f.Primary
	s.DualStack = []corev1.IPFamilyPolicy{"", require, prefer, prefer, corev1.IPFamilyPolicySingleStack}[w.Intn(5)]
	s.RequestedPool, s.Requested, s.Blocked = "", nil, nil
	if w.Intn(5) == 0 {
		s.RequestedPool = []string{"a", "b", "c", "gone"}[w.Intn(4)]
	}
	switch w.Intn(8) {
	case 0:
		s.Requested = addrsOf([]string{"192.0.2.1", "192.0.2.255", "198.51.100.77", "2001:db8::1", "192.0.2.2,2001:db8::2", "192.0.2.1,2001:db8::1", "203.0.113.1"}[w.Intn(7)])
	case 1:
		blocked(s)
	}
	w.share(s)
	return s
}

// share gives a Service a sharing key, another one, or takes it away.
func (w *world) share(s *intent.Service) {
	was := s.SharedAs
	s.Sharing = nil
	if key := []string{"", "", "j", "k", "k"}[w.Intn(5)]; key != "" {
		ports := []int32{80, 81, 82, -80}[w.Intn(4):][:1]
		if w.Intn(3) == 0 {
			ports = []int32{81, 443}
		}
		sharesWith(key, []string{"", "", "Local app=x"}[w.Intn(3)], ports)(s)
	}
	s.SharedAs = was
}

func (w *world) editPools() {
	for range 1 + w.Intn(3) {
		w.owners[w.Intn(len(blocks))] = []string{"a", "b", "c", "a", ""}[w.Intn(5)]
	}
	if w.Intn(20) == 0 {
		clear(w.owners)
	}
	old := w.pools
	w.pools = map[string]*intent.Pool{}
	for i, owner := range w.owners {
		if owner == "" {
			continue
		}
		p := w.pools[owner]
		if p == nil {
			p = &intent.Pool{Name: owner, AutoAssign: true, Created: w.now}
			if before := old[owner]; before != nil {
				p.Created, p.AutoAssign, p.AvoidBuggyIPs, p.Allocation = before.Created, before.AutoAssign, before.AvoidBuggyIPs, before.Allocation
			}
			w.pools[owner] = p
		}
		p.Ranges = append(p.Ranges, newTestPool(w.t, "", blocks[i]).Ranges...)
	}
	for _, name := range slices.Sorted(maps.Keys(w.pools)) {
		p := w.pools[name]
		switch w.Intn(12) {
		case 0:
			p.AutoAssign = !p.AutoAssign
		case 1:
			p.AvoidBuggyIPs = !p.AvoidBuggyIPs
		case 2:
			pinnedTo(w.Intn(3), "prod")(p)
		case 3:
			pinnedTo(w.Intn(3))(p)
		case 4, 5:
			p.Allocation = nil
		}
	}
}

// write returns what the cluster says once all outcomes are written.
func (w *world) write(in *intent.Intent, outcomes []Outcome) *intent.Intent {
	written := *in
	written.Services = nil
	for i, s := range in.Services {
		written.Services = append(written.Services, apply(s, outcomes[i], w.now))
	}
	return &written
}

// assign runs Assign, checks what it says and writes it.
func (w *world) assign(step int) []Outcome {
	in := newIntent(nil)
	for _, name := range slices.Sorted(maps.Keys(w.pools)) {
		in.Pools = append(in.Pools, w.pools[name])
	}
	for _, k := range slices.SortedFunc(maps.Keys(w.services), intent.Key.Compare) {
		in.Services = append(in.Services, w.services[k])
	}
	outcomes, usage := Assign(in, w.assumed, w.now)
	o := &oracle{t: w.t, step: step, now: w.now, in: in, assumed: w.assumed, outcomes: outcomes}
	o.noAddressTwice()
	o.allowed()
	o.nothingMoves()
	o.nothingLeft()
	o.counted(usage)

	mixed := *in
	mixed.Services, mixed.Config = slices.Clone(in.Services), &intent.Config{Namespace: in.Namespace, Pools: slices.Clone(in.Pools)}
	w.Shuffle(len(mixed.Services), func(i, j int) {
		mixed.Services[i], mixed.Services[j] = mixed.Services[j], mixed.Services[i]
	})
	w.Shuffle(len(mixed.Pools), func(i, j int) { mixed.Pools[i], mixed.Pools[j] = mixed.Pools[j], mixed.Pools[i] })
	again, _ := Assign(&mixed, w.assumed, w.now)
	slices.SortFunc(again, func(a, b Outcome) int { return a.Service.Compare(b.Service) })
	o.same("in another order", again, false)

	written := w.write(in, outcomes)
	again, _ = Assign(written, nil, w.now)
	if len(w.assumed) > 0 && slices.ContainsFunc(again, func(o Outcome) bool { return o.Changed }) {
		// What was under way may be what a Service goes back from once it is seen.
		settled := w.write(written, again)
		p := &oracle{t: w.t, step: step, now: w.now, in: written, outcomes: again}
		p.nothingMoves()
		last, _ := Assign(settled, nil, w.now)
		p.same("once written twice", last, true)
	} else {
		o.same("once written", again, true)
	}

	for i, s := range written.Services {
		if outcomes[i].Changed {
			w.written[s.Key], w.assumed[s.Key] = s, s.Addresses
		}
	}
	return outcomes
}

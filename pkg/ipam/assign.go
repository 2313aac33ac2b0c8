// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"net/netip"
	"slices"
	"time"

	"metallb.io/metallb-frr/pkg/intent"
)

// Assign decides every Service's addresses. It returns one Outcome per Service,
// in the order of in.Services, and every pool's Usage by the pool's name.
//
// A Service has what its status says. One of which that says nothing has what assumed
// says: assignments that are being written, or have been and are not yet seen in the
// Snapshot.
//
// What Services have is settled first. A Service keeps its addresses as long as
// one pool that it may use holds all of them and they are what it asks for. Of
// two that have the same address and may not share it, one that was edited so
// loses it; else the older claim wins: the earliest AssignedSince (none is last),
// then Created, then the key. A Service that lost its address to an edit of the
// pools and got another goes back to it if it can within ten minutes before now.
// Where now is zero none goes back. The others get addresses in steps, each by the
// same age: those that have or remember an address which they may have again,
// those that ask for certain addresses, the rest; what is remembered is given to
// others last.
func Assign(in *intent.Intent, assumed map[intent.Key][]netip.Addr, now time.Time) ([]Outcome, map[string]Usage) {
	p := newPass(in, now)
	p.claim(assumed)
	p.restore()
	p.take()
	p.allocate()

	outcomes := make([]Outcome, len(in.Services))
	for i := range outcomes {
		p.outcome(i, &outcomes[i])
	}
	usage := make(map[string]Usage, len(p.pools))
	for _, q := range p.pools {
		usage[q.Name] = q.usage()
	}
	return outcomes, usage
}

// SameSets reports whether two lists of sets of addresses are the same.
func SameSets(a, b [][]netip.Addr) bool {
	return slices.EqualFunc(a, b, slices.Equal[[]netip.Addr])
}

func (p *pass) outcome(i int, o *Outcome) {
	s, st := p.services[i], &p.states[i]
	o.Service, o.Addresses = s.Key, st.addrs
	if st.pool != nil {
		o.Pool = st.pool.Name
	}
	if st.loss != nil || len(s.Last) > 0 {
		o.Remember = p.remember(int32(i))
	}
	o.SharedAs = sharedAs(s, st.addrs)
	o.Changed = o.Pool != s.AssignedPool || o.SharedAs != s.SharedAs ||
		!slices.Equal(o.Addresses, s.Addresses) || !SameSets(o.Remember, s.Last)
	for _, a := range s.Addresses {
		if !slices.Contains(st.addrs, a) {
			o.Cleared = st.loss.why
		}
	}
	if s.Blocked != nil {
		o.Reason, o.Message = s.Blocked.Reason, s.Blocked.Text()
		return
	}
	if r := st.refusal; r != nil {
		if r.short != nil {
			r = r.short.exhausted(s)
		}
		o.Reason, o.Message = r.reason, r.message()
	}
}

// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"net/netip"
	"testing"

	"go4.org/netipx"
)

// FuzzRangeSet compares a set and a free list with naive ones over 512 addresses
// around a carry, at the end of a family or at its beginning. Each pair of bytes
// is one operation.
func FuzzRangeSet(f *testing.F) {
	f.Add(byte(0), false, []byte{0, 1, 0, 3, 0, 2, 3, 0})
	f.Add(byte(1), true, []byte{1, 255, 1, 254, 2, 7, 0, 9, 0, 11, 2, 0, 3, 0})
	f.Add(byte(2), true, []byte{3, 0, 3, 0, 3, 0, 0, 3, 3, 0, 2, 9, 2, 8, 3, 0, 3, 0})
	f.Add(byte(3), false, []byte{2, 1, 2, 3, 2, 5, 2, 2, 2, 4, 3, 0, 0, 200, 3, 0})
	f.Fuzz(func(t *testing.T, base byte, avoid bool, ops []byte) {
		bases := []string{"192.0.1.128", "255.255.254.0", "2001:db8::ff80", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fe00", "0.0.0.0"}
		addrs := []netip.Addr{netip.MustParseAddr(bases[int(base)%len(bases)])}
		for len(addrs) < 512 {
			addrs = append(addrs, addrs[len(addrs)-1].Next())
		}
		// The entries: the upper part first, then the lower, and a hole.
		ranges := []netipx.IPRange{netipx.IPRangeFrom(addrs[300], addrs[511]), netipx.IPRangeFrom(addrs[0], addrs[250])}
		m := &model{addrs: addrs, avoid: avoid, list: freeList{ranges: ranges, avoidBuggy: avoid}}
		for ; len(ops) >= 2 && !t.Failed(); ops = ops[2:] {
			m.step(t, ops[0], int(ops[1]))
		}
	})
}

type model struct {
	addrs []netip.Addr
	avoid bool
	in    [512]bool // the set
	set   rangeSet
	held  [512]bool // the list
	list  freeList
}

func (m *model) step(t *testing.T, op byte, n int) {
	if op&8 != 0 {
		n += 256
	}
	switch op % 4 {
	case 0: // one address
		m.in[n] = true
		m.set.add(m.addrs[n])
	case 1: // many
		var batch []netip.Addr
		for i := n; i < len(m.addrs); i += n%7 + 1 {
			m.in[i] = true
			batch = append(batch, m.addrs[i])
		}
		m.set.merge(batch)
	case 2: // a Service holds this address
		if (n <= 250 || n >= 300) && !m.held[n] && !(m.avoid && isBuggy(m.addrs[n])) {
			m.held[n] = true
			m.list.take(m.addrs[n])
		}
	case 3: // a Service gets any address
		got, ok := m.list.lowest()
		if want := m.lowest(); want < 0 && ok || want >= 0 && got != m.addrs[want] {
			t.Fatalf("lowest is %v, want index %d", got, want)
		} else if want >= 0 && n%2 == 0 {
			m.held[want] = true
			m.list.take(got)
		}
	}
	m.compare(t, n)
}

func isBuggy(a netip.Addr) bool { return a.Is4() && (a.As4()[3] == 0 || a.As4()[3] == 255) }

func (m *model) lowest() int {
	for k := range 512 {
		i := (300 + k) % 512
		if i > 250 && i < 300 || m.held[i] || m.avoid && isBuggy(m.addrs[i]) {
			continue
		}
		return i
	}
	return -1
}

func (m *model) compare(t *testing.T, from int) {
	t.Helper()
	for i, r := range m.set {
		if !r.IsValid() || i > 0 && (!m.set[i-1].To().Less(r.From()) || m.set[i-1].To().Next() == r.From()) {
			t.Fatalf("interval %d of %v touches or is out of order", i, m.set)
		}
	}
	for i, a := range m.addrs {
		if _, free := m.set.gap(a, a); free == m.in[i] {
			t.Fatalf("%v: free is %t, want %t", a, free, !m.in[i])
		}
	}
	want := from
	for want < 512 && m.in[want] {
		want++
	}
	got, ok := m.set.gap(m.addrs[from], m.addrs[511])
	if ok != (want < 512) || ok && got != m.addrs[want] {
		t.Fatalf("gap from %v is %v, %t; want index %d", m.addrs[from], got, ok, want)
	}
}

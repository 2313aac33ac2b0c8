// SPDX-License-Identifier: Apache-2.0

package product

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/wire"
)

// Elect returns which of the nodes announces an address in layer 2 where no
// preference tells them apart: the one with the least sha256(node#address).
func Elect(a netip.Addr, nodes ...string) string {
	sum := func(node string) []byte {
		s := sha256.Sum256([]byte(node + "#" + a.String()))
		return s[:]
	}
	return slices.MinFunc(nodes, func(x, y string) int { return bytes.Compare(sum(x), sum(y)) })
}

// Elected returns the first n addresses of a prefix, after its own, for which the
// node is elected of those nodes.
func Elected(p netip.Prefix, n int, node string, of ...string) []netip.Addr {
	var out []netip.Addr
	for a := p.Addr().Next(); len(out) < n && p.Contains(a); a = a.Next() {
		if Elect(a, of...) == node {
			out = append(out, a)
		}
	}
	return out
}

// ownedQuietly is for how long all must be as it should before it counts.
const ownedQuietly = time.Second

// Owned waits until each address has been answered for a second by its node and by
// nobody else, and no node asks another for it, as a speaker does that thinks the
// other dead or has left an address to it. Somebody must keep asking everybody for
// the addresses. It returns when that was, which is after the time given.
func Owned(ctx context.Context, l *lab.Lab, c *wire.Capture, after time.Time, want map[netip.Addr]string) (time.Time, error) {
	s := standing{want: want, since: map[netip.Addr]time.Time{}, last: map[netip.Addr]time.Time{}, wrong: map[netip.Addr]wire.Frame{}}
	for _, n := range l.Nodes() {
		s.nodes = append(s.nodes, n.Name)
	}
	f, err := c.Wait(ctx, after, func(f wire.Frame) bool {
		s.see(f)
		return s.good(f.Time)
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("waiting for owners: %w; %s", err, s)
	}
	return f.Time, nil
}

// standing is how each address stands.
type standing struct {
	want  map[netip.Addr]string
	nodes []string
	since map[netip.Addr]time.Time  // from which on all was right
	last  map[netip.Addr]time.Time  // that its node answered
	wrong map[netip.Addr]wire.Frame // the last one that should not have been
}

func (s *standing) see(f wire.Frame) {
	if owner, ours := s.want[f.Addr]; ours && f.Kind == wire.Query {
		if slices.Contains(s.nodes, f.Member) && f.Member != owner && !f.Dst.Multicast() {
			s.doubt(f.Addr, f)
		}
		return
	}
	a, claims := f.Claimed()
	owner, ours := s.want[a]
	switch {
	case !claims || !ours:
	case f.Who() != owner:
		s.doubt(a, f)
	default:
		if f.Time.Sub(s.last[a]) > ownedQuietly/2 { // it had stopped
			delete(s.since, a)
		}
		if _, known := s.since[a]; !known {
			s.since[a] = f.Time
		}
		s.last[a] = f.Time
	}
}

func (s *standing) doubt(a netip.Addr, f wire.Frame) {
	s.wrong[a] = f
	delete(s.since, a)
}

func (s *standing) good(now time.Time) bool {
	for a := range s.want {
		since, known := s.since[a]
		if !known || now.Sub(since) < ownedQuietly || now.Sub(s.last[a]) > ownedQuietly/2 {
			return false
		}
	}
	return true
}

// String says of each address what is missing.
func (s standing) String() string {
	var out []string
	for _, a := range slices.SortedFunc(maps.Keys(s.want), netip.Addr.Compare) {
		line := fmt.Sprintf("%s is to be of %s, which ", a, s.want[a])
		if last := s.last[a]; last.IsZero() {
			line += "has not answered"
		} else {
			line += "answered last at " + last.Format("15:04:05.000")
		}
		if f, has := s.wrong[a]; has {
			line += fmt.Sprintf(" (against it: %s)", f)
		}
		out = append(out, line)
	}
	return strings.Join(out, "; ")
}

// Gratuitous waits for the first time after that somebody whose name may is true
// for claims an address unasked.
func Gratuitous(ctx context.Context, c *wire.Capture, after time.Time, a netip.Addr, may func(member string) bool) (wire.Frame, error) {
	f, err := c.Wait(ctx, after, func(f wire.Frame) bool { return f.Kind == wire.Gratuitous && f.Addr == a && may(f.Member) })
	if err != nil {
		return f, fmt.Errorf("waiting for a new owner of %s to say so: %w", a, err)
	}
	return f, nil
}

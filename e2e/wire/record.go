// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Record is what was heard on a network, in the order of time.
type Record []Frame

// Of returns the frames that ask for the address or claim it.
func (r Record) Of(addr netip.Addr) Record {
	return r.where(func(f Frame) bool {
		claimed, ok := f.Claimed()
		return f.Addr == addr || ok && claimed == addr
	})
}

// Between returns the frames at or after a time and before another.
func (r Record) Between(from, until time.Time) Record {
	return r.where(func(f Frame) bool { return !f.Time.Before(from) && f.Time.Before(until) })
}

// Claims returns the frames that claim the address.
func (r Record) Claims(addr netip.Addr) Record {
	return r.where(func(f Frame) bool {
		claimed, ok := f.Claimed()
		return ok && claimed == addr
	})
}

func (r Record) where(match func(Frame) bool) Record {
	return slices.DeleteFunc(slices.Clone(r), func(f Frame) bool { return !match(f) })
}

// First returns the first frame at or after a time that matches.
func (r Record) First(after time.Time, match func(Frame) bool) (Frame, bool) {
	for _, f := range r {
		if !f.Time.Before(after) && match(f) {
			return f, true
		}
	}
	return Frame{}, false
}

// String returns a line per frame.
func (r Record) String() string {
	var b strings.Builder
	for _, f := range r {
		b.WriteString(f.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// View returns the claims of an address that changed who the machine with the MAC
// hearer takes for its owner: the last claim that it heard wins, save that an
// advertisement without the override flag does not replace what is known. The zero
// hearer hears what everybody hears, and so do machines that do not ask.
func (r Record) View(addr netip.Addr, hearer MAC) Record {
	var out Record
	for _, f := range r.Claims(addr) {
		switch {
		case !f.HeardBy(hearer):
		case len(out) == 0 || f.MAC != out[len(out)-1].MAC && (f.Override || f.Kind == Query):
			out = append(out, f)
		}
	}
	return out
}

// A Tenure is a time over which one machine claimed an address again and again.
type Tenure struct {
	MAC         MAC
	Member      string // empty where nobody knows whose MAC it is
	From, Until time.Time
	Claims      int
}

// Who is the member, or its MAC where it has no name.
func (t Tenure) Who() string { return who(t.Member, t.MAC) }

// Tenures returns who claimed an address, in the order of when they began. Two
// claims of a machine are of one tenure when they are at most apart from each
// other, so it takes somebody who asks more often than that. 0 is 500 ms.
func (r Record) Tenures(addr netip.Addr, apart time.Duration) []Tenure {
	if apart == 0 {
		apart = defaultApart
	}
	var out []Tenure
	present := map[MAC]int{} // the last one of each, in out
	for _, f := range r.Claims(addr) {
		if i, known := present[f.MAC]; known && f.Time.Sub(out[i].Until) <= apart {
			out[i].Until = f.Time
			out[i].Claims++
			continue
		}
		present[f.MAC] = len(out)
		out = append(out, Tenure{f.MAC, f.Member, f.Time, f.Time, 1})
	}
	return out
}

// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func ms(n int) time.Time { return epoch.Add(time.Duration(n) * time.Millisecond) }

// A network is one in which somebody asks every 100 ms, for 10 s, and every owner
// answers 1 ms later.
type network struct {
	Record
	quiet [2]int // nobody asks from then to then, in milliseconds
}

func (n *network) add(at int, kind Kind, m MAC, dst MAC) {
	f := Frame{Time: ms(at), Kind: kind, Addr: addr4, MAC: m, Src: m, Dst: dst, Override: true, LinkLayer: true}
	f.Member = map[MAC]string{mac1: "n1", mac1b: "n1", mac2: "n2"}[m]
	if kind == Query {
		f.From = client4
	}
	n.Record = append(n.Record, f)
}

// own has a machine answer from one time to another, in milliseconds.
func (n *network) own(m MAC, from, until int) {
	for at := 0; at < 10_000; at += 100 {
		if at >= from && at < until {
			n.add(at+1, Claim, m, macC)
		}
	}
}

func (n *network) sorted() Record {
	for at := 0; at < 10_000; at += 100 {
		if at < n.quiet[0] || at >= n.quiet[1] {
			n.add(at, Query, macC, Broadcast)
		}
	}
	slices.SortStableFunc(n.Record, func(a, b Frame) int { return a.Time.Compare(b.Time) })
	return n.Record
}

// captures are synthetic. The client under watch is one that does not ask.
var captures = []struct {
	name  string
	on    func(n *network)
	limit time.Duration
	want  []string // reason from-until members, in milliseconds
}{
	{"one owner all the time", func(n *network) {
		n.add(1, Gratuitous, mac1, Broadcast)
		n.own(mac1, 0, 10_000)
	}, 0, nil},
	{"a take-over that everybody is told of", func(n *network) {
		n.add(1, Gratuitous, mac1, Broadcast)
		n.own(mac1, 0, 5000)
		n.add(5700, Gratuitous, mac2, Broadcast)
		n.own(mac2, 5700, 10_000)
	}, 0, nil},
	{"the same, judged more strictly", func(n *network) {
		n.add(1, Gratuitous, mac1, Broadcast)
		n.own(mac1, 0, 5000)
		n.add(5700, Gratuitous, mac2, Broadcast)
		n.own(mac2, 5700, 10_000)
	}, 600 * time.Millisecond, []string{"NoOwner 5000-5700 n1"}},
	{"a take-over that takes too long", func(n *network) {
		n.add(1, Gratuitous, mac1, Broadcast)
		n.own(mac1, 0, 5000)
		n.add(6150, Gratuitous, mac2, Broadcast)
		n.own(mac2, 6150, 10_000)
	}, 0, []string{"NoOwner 5000-6150 n1"}},
	{"a new owner that answers but tells nobody", func(n *network) {
		n.add(1, Gratuitous, mac1, Broadcast)
		n.own(mac1, 0, 5000)
		n.own(mac2, 5000, 10_000)
		n.add(7000, Gratuitous, mac2, Broadcast)
	}, 0, []string{"NoOwner 5000-7000 n1"}},
	{"a forged word for a machine that does not answer", func(n *network) {
		n.add(1, Gratuitous, mac1, Broadcast)
		n.own(mac1, 0, 10_000)
		n.add(4050, Gratuitous, mac2, Broadcast)
		n.add(6050, Gratuitous, mac1, Broadcast)
	}, 0, []string{"NoOwner 4100-6050 n2"}},
	{"nobody until the end", func(n *network) {
		n.add(1, Gratuitous, mac1, Broadcast)
		n.own(mac1, 0, 7000)
	}, 0, []string{"NoOwner 7000-9500 n1"}},
	{"nobody at the beginning; then a client that knows of none finds one", func(n *network) {
		n.own(mac1, 2000, 10_000)
	}, 0, []string{"NoOwner 100-2001 "}},
	{"two owners for 0.8 s", func(n *network) {
		n.own(mac1, 0, 5000)
		n.own(mac2, 4100, 10_000)
	}, 0, nil},
	{"two owners for 2 s", func(n *network) {
		n.own(mac1, 0, 5000)
		n.own(mac2, 3000, 10_000)
	}, 0, []string{"TwoOwners 3001-4901 n1, n2"}},
	{"two owners, one of which stalls in between", func(n *network) {
		n.own(mac1, 0, 10_000)
		n.own(mac2, 3000, 3600)
		n.own(mac2, 4000, 5000)
	}, 0, []string{"TwoOwners 3001-4901 n1, n2"}},
	{"a member with two interfaces, which answers on both", func(n *network) {
		n.own(mac1, 0, 9700)
		n.own(mac1b, 1000, 3000)
	}, 0, nil},
	{"two owners, longer than the limit but not within what is judged, at its beginning and its end", func(n *network) {
		n.own(mac1, 0, 10_000)
		n.own(mac2, 0, 1000)
		n.own(mac2, 8700, 10_000)
	}, 870 * time.Millisecond, nil},
	{"nobody for 1.2 s, 0.9 s of which are judged", func(n *network) {
		n.own(mac1, 0, 8600)
		n.own(mac1, 9800, 10_000)
	}, 0, nil},
	{"nobody asks while there is nobody", func(n *network) {
		n.own(mac1, 0, 5000)
		n.own(mac1, 6500, 10_000)
		n.quiet = [2]int{5000, 6450}
	}, 0, []string{"NotAsked 4900-6500 "}},
	{"there and back", func(n *network) {
		n.add(1, Gratuitous, mac1, Broadcast)
		n.own(mac1, 0, 3000)
		n.add(3000, Gratuitous, mac2, Broadcast)
		n.own(mac2, 3000, 6000)
		n.add(6000, Gratuitous, mac1, Broadcast)
		n.own(mac1, 6000, 10_000)
	}, 0, nil},
	{"an owner that is late, all the time", func(n *network) {
		for at := 0; at < 10_000; at += 400 {
			n.add(at+399, Claim, mac1, macC)
		}
	}, 0, nil},
}

func TestCheck(t *testing.T) {
	for _, c := range captures {
		t.Run(c.name, func(t *testing.T) {
			var n network
			c.on(&n)
			checkViolations(t, n.sorted().Check(Rule{Addr: addr4, Limit: c.limit}, ms(50), ms(9500)), c.want)
		})
	}
}

func checkViolations(t *testing.T, got []Violation, want []string) {
	t.Helper()
	var text []string
	for _, v := range got {
		text = append(text, fmt.Sprintf("%s %d-%d %s", v.Reason, v.From.Sub(epoch).Milliseconds(), v.Until.Sub(epoch).Milliseconds(), strings.Join(v.Members, ", ")))
	}
	if !slices.Equal(text, want) {
		t.Errorf("got  %q\nwant %q", text, want)
	}
}

// A record in which nobody asks, for the address or for a time, shows nothing, and
// says so.
func TestCheckNotAsked(t *testing.T) {
	var n network
	n.own(mac1, 0, 10_000)
	r := n.sorted()
	checkViolations(t, r.Check(Rule{Addr: client4}, ms(0), ms(9000)), []string{"NotAsked 0-9000 "})
	// A machine that makes sure that its neighbour is there asks nobody else.
	pause := slices.Clone(r)
	for i, f := range pause {
		if f.Kind == Query && f.Time.After(ms(4000)) && f.Time.Before(ms(4700)) {
			pause[i].Dst = mac1
		}
	}
	checkViolations(t, pause.Check(Rule{Addr: addr4}, ms(0), ms(9000)), []string{"NotAsked 4000-4700 "})
	checkViolations(t, r.Check(Rule{Addr: addr4}, ms(0), ms(12_000)), []string{"NotAsked 9900-12000 "})
}

func TestView(t *testing.T) {
	var n network
	n.add(0, Claim, mac1, macC)            // to the asker alone
	n.add(10, Gratuitous, mac2, MAC{2, 9}) // to a third
	n.add(20, Gratuitous, mac2, Broadcast)
	n.add(30, Claim, mac1, macC)
	n.Record[3].Override = false
	n.add(40, Query, macC, Broadcast) // for the address, not from it
	n.add(50, Query, mac1, Broadcast)
	n.Record[5].Addr, n.Record[5].From = client4, addr4 // a node that has it and asks for the client
	for _, c := range []struct {
		name   string
		hearer MAC
		want   []string
	}{
		{"the asker", macC, []string{"n1 0", "n2 20", "n1 50"}},
		{"a machine that does not ask", MAC{}, []string{"n2 20", "n1 50"}},
	} {
		var got []string
		for _, f := range n.View(addr4, c.hearer) {
			got = append(got, fmt.Sprint(f.Member, " ", f.Time.Sub(epoch).Milliseconds()))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTenures(t *testing.T) {
	var n network
	n.own(mac1, 0, 3000)
	n.own(mac2, 3000, 6000)
	n.own(mac1, 6000, 10_000)
	var got []string
	for _, o := range n.sorted().Tenures(addr4, 0) {
		got = append(got, fmt.Sprintf("%s %d-%d %d", o.Who(), o.From.Sub(epoch).Milliseconds(), o.Until.Sub(epoch).Milliseconds(), o.Claims))
	}
	if want := []string{"n1 1-2901 30", "n2 3001-5901 30", "n1 6001-9901 40"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// SPDX-License-Identifier: Apache-2.0

package links_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metallb.io/metallb-frr/hack/docs/row"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/links"
)

func good(name string) links.Link {
	return links.Link{
		Name: name, Index: 2, MAC: net.HardwareAddr{2, 0, 0x5e, 0x10, 0, 7}, Ethernet: true, Up: true, Broadcast: true,
		Addrs:     []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("fe80::1/64")},
		LinkLocal: netip.MustParseAddr("fe80::1"),
	}
}

func with(change func(*links.Link)) links.Link {
	l := good("eth0")
	change(&l)
	return l
}

var answerRows = []struct {
	name     string
	link     links.Link
	arp, ndp intent.Reason
	says     string
}{
	{"a good one", good("eth0"), "", "", ""},
	{"a name on the list", good("veth12ab"), links.LinkExcluded, links.LinkExcluded, `veth12ab matches "^veth.*" of announcedInterfacesToExclude`},
	{"a name that only contains one of the list", good("myveth"), "", "", ""},
	{"a port", with(func(l *links.Link) { l.Master = 7 }), links.LinkHasMaster, links.LinkHasMaster, "port of interface 7"},
	{"not Ethernet", with(func(l *links.Link) { l.Ethernet = false }), links.LinkNotEthernet, links.LinkNotEthernet, "not an Ethernet"},
	{"NOARP", with(func(l *links.Link) { l.NoARP = true }), links.LinkNoARP, links.LinkNoARP, "ip link set dev eth0 arp on"},
	{"down", with(func(l *links.Link) { l.Up = false }), links.LinkDown, links.LinkDown, "eth0 is down"},
	{"no broadcast address", with(func(l *links.Link) { l.Broadcast = false }), links.LinkNoBroadcast, "", "no broadcast address"},
	{"no link-local address", with(func(l *links.Link) { l.LinkLocal = netip.Addr{} }), "", links.LinkNoLinkLocal, "fe80::/10"},
	{"neither", with(func(l *links.Link) { l.Broadcast, l.LinkLocal = false, netip.Addr{} }), links.LinkNoBroadcast, links.LinkNoLinkLocal, "eth0"},
	{"a port that is down", with(func(l *links.Link) { l.Master, l.Up = 7, false }), links.LinkHasMaster, links.LinkHasMaster, "eth0"},
}

func TestAnswers(t *testing.T) {
	x, err := links.NewExclusion(links.DefaultExclusion...)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range answerRows {
		a := r.link.Answers(x)
		if a.ARP.Reason != r.arp || a.NDP.Reason != r.ndp {
			t.Errorf("%s: ARP %q and NDP %q, want %q and %q", r.name, a.ARP.Reason, a.NDP.Reason, r.arp, r.ndp)
		}
		if a.Any() != (r.arp == "" || r.ndp == "") {
			t.Errorf("%s: Any is %v", r.name, a.Any())
		}
		if a.For(netip.MustParseAddr("192.0.2.7")) != a.ARP || a.For(netip.MustParseAddr("2001:db8::7")) != a.NDP {
			t.Errorf("%s: For mixes up ARP and NDP", r.name)
		}
		for _, no := range []links.Refusal{a.ARP, a.NDP} {
			if (no.Message == "") != (no.Reason == "") {
				t.Errorf("%s: reason %q with message %q", r.name, no.Reason, no.Message)
			}
		}
		if says := a.ARP.Message + a.NDP.Message; !strings.Contains(says, r.says) {
			t.Errorf("%s: says %q, want %q in it", r.name, says, r.says)
		}
	}
}

// TestEveryReason: each has a row above, and a doc comment of its own.
func TestEveryReason(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		seen++
		name := spec.Names[0].Name
		value, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if value != name || !strings.HasPrefix(spec.Doc.Text(), name+":") {
			t.Errorf("reason %s is %q, or its comment does not begin with its name", name, value)
		}
		if !slices.ContainsFunc(answerRows, func(r struct {
			name     string
			link     links.Link
			arp, ndp intent.Reason
			says     string
		}) bool {
			return string(r.arp) == value || string(r.ndp) == value
		}) {
			t.Errorf("reason %s has no row", name)
		}
		return true
	})
	if seen < 7 {
		t.Errorf("found %d reasons", seen)
	}
}

// TestReasonExamples keeps what the first row of each Reason says, for
// deploy/docs/reasons.md.
func TestReasonExamples(t *testing.T) {
	x, err := links.NewExclusion(links.DefaultExclusion...)
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]row.Reason{}
	for _, r := range answerRows {
		a := r.link.Answers(x)
		for _, no := range []links.Refusal{a.ARP, a.NDP} {
			if _, seen := first[string(no.Reason)]; !seen {
				first[string(no.Reason)] = row.Reason{Reason: string(no.Reason), Message: no.Message}
			}
		}
	}
	declared, err := row.Declared(".")
	if err != nil {
		t.Fatal(err)
	}
	var rows []row.Reason
	for _, c := range declared {
		rows = append(rows, first[c.Value])
	}
	row.Keep(t, row.ReasonsFile, rows)
}

func TestPublished(t *testing.T) {
	x, err := links.NewExclusion(links.DefaultExclusion...)
	if err != nil {
		t.Fatal(err)
	}
	down, arpOnly := good("eth1"), good("eth2")
	down.Up = false
	arpOnly.LinkLocal, arpOnly.Addrs = netip.Addr{}, nil
	for i := range 1100 {
		arpOnly.Addrs = append(arpOnly.Addrs, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), 32))
	}
	got := links.Published([]links.Link{good("eth0"), down, arpOnly, good("veth0")}, x)
	if len(got) != 2 || got[1].Name != "eth2" || len(got[1].Prefixes) != 1000 {
		t.Fatalf("published %d interfaces, want eth0 and eth2, with 1,000 prefixes at most", len(got))
	}
	want := v1beta1.Link{Name: "eth0", MAC: "02:00:5e:10:00:07", Prefixes: []string{"fe80::1/64", "192.0.2.1/24", "2001:db8::1/64"}}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("eth0 (-want +got):\n%s", diff)
	}
	noNDP := with(func(l *links.Link) { l.LinkLocal, l.Addrs = netip.Addr{}, l.Addrs[:2] })
	noARP := with(func(l *links.Link) { l.Broadcast = false })
	for _, c := range []struct {
		link links.Link
		want []string
	}{{noNDP, []string{"192.0.2.1/24"}}, {noARP, []string{"fe80::1/64", "2001:db8::1/64"}}} {
		if diff := cmp.Diff(c.want, links.Published([]links.Link{c.link}, x)[0].Prefixes); diff != "" {
			t.Errorf("prefixes of the families that are answered (-want +got):\n%s", diff)
		}
	}
	if got := links.Published([]links.Link{down}, x); got != nil {
		t.Errorf("published %v of nothing", got)
	}
}

// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
	"metallb.io/metallb-frr/pkg/intent"
)

// base is a node's configuration, as the templates make it, by fragment.
var base = []struct{ key, text string }{
	{"global", `frr defaults traditional
hostname n1
log stdout informational
log timestamp precision 3
ip nht resolve-via-default
ipv6 nht resolve-via-default
bgp route-map delay-timer 1
`},
	{"bfd profile fast", `bfd
 profile fast
  detect-multiplier 5
  transmit-interval 100
  receive-interval 100
`},
	{"class web.v4", `! IPv4 routes of BGPAdvertisement web
route-map web.v4 permit 1
 set tag 7
`},
	{"in map 192.0.2.2", "route-map 192.0.2.2-in deny 20\n"},
	{"out map 192.0.2.2 web.v4", `route-map 192.0.2.2-out permit 70
 match tag 7
 set community 65000:100
`},
	{"out map 192.0.2.2 end", "route-map 192.0.2.2-out deny 65535\n"},
	{"router ", `router bgp 65100
 bgp router-id 192.0.2.1
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp graceful-restart preserve-fw-state
 no bgp network import-check
 coalesce-time 100
 bmp targets speaker
  bmp connect 127.0.0.1 port 11019 min-retry 100 max-retry 500
`},
	{"neighbor 192.0.2.2", `router bgp 65100
 neighbor 192.0.2.2 remote-as 65000
 neighbor 192.0.2.2 description tor1
 neighbor 192.0.2.2 bfd
 neighbor 192.0.2.2 bfd profile fast
 neighbor 192.0.2.2 password what?|a\b!#"c'
 neighbor 192.0.2.2 timers 3 9
 neighbor 192.0.2.2 timers connect 1
`},
	{"neighbor 192.0.2.2 ipv4", `router bgp 65100
 address-family ipv4 unicast
  neighbor 192.0.2.2 activate
  neighbor 192.0.2.2 route-map 192.0.2.2-in in
  neighbor 192.0.2.2 route-map 192.0.2.2-out out
`},
}

// document is base with some fragments replaced, or added where base has none of
// that key, and with networks of class web.v4.
func document(networks int, edits ...[2]string) *frr.Document {
	doc := &frr.Document{Networks: map[frr.NetworkKey]*frr.Fragment{}}
	replace := map[string]string{}
	for _, e := range edits {
		replace[e[0]] = e[1]
	}
	add := func(key, text string) {
		f := &frr.Fragment{Key: key, Lines: frr.ParseConf(text).Base[0].Lines, Origins: []intent.Ref{{Kind: "Test", Name: key}}}
		if key == "neighbor 192.0.2.2 ipv4" {
			f.OutMap, f.Clear = "192.0.2.2-out", frr.SoftClear{Family: "ipv4", Neighbor: "192.0.2.2"}
		}
		doc.Base = append(doc.Base, f)
	}
	for _, f := range base {
		if text, ok := replace[f.key]; ok {
			f.text = text
			delete(replace, f.key)
		}
		add(f.key, f.text)
	}
	for _, e := range edits {
		if text, ok := replace[e[0]]; ok {
			add(e[0], text)
		}
	}
	for i := range networks {
		one := frr.ParseConf(fmt.Sprintf("router bgp 65100\n address-family ipv4 unicast\n  network 10.%d.%d.%d/32 route-map web.v4\n",
			i>>16, i>>8&255, i&255))
		for k, f := range one.Networks {
			f.Origins = []intent.Ref{{Kind: "Service", Name: k.Prefix.String()}}
		}
		maps.Copy(doc.Networks, one.Networks)
	}
	return doc
}

func edit(doc *frr.Document, key, old, new string) [2]string {
	for _, f := range base {
		if f.key == key {
			return [2]string{key, strings.Replace(f.text, old, new, 1)}
		}
	}
	return [2]string{key, old + new}
}

func driver(t testing.TB, f *frrtest.FRR, o Options) *Driver {
	t.Helper()
	o.Command = f.Vtysh()
	if o.OnError == nil {
		o.OnError = func(err error) { t.Error(err) }
	}
	d := New(o)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func apply(t testing.TB, d *Driver, doc *frr.Document) frr.Applied {
	t.Helper()
	began := time.Now()
	applied, err := d.Apply(t.Context(), doc)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("applied %d commands in %v", applied.Commands, time.Since(began).Round(100*time.Microsecond))
	return applied
}

// clean fails the test if lines were refused.
func clean(t testing.TB, a frr.Applied) frr.Applied {
	t.Helper()
	for _, r := range a.Refused {
		t.Errorf("refused: %q in %q: %s", r.Line.Text, r.Line.Node, r.Message)
	}
	return a
}

func none(t testing.TB, a frr.Applied) {
	t.Helper()
	if clean(t, a); a.Commands != 0 {
		t.Errorf("typed %d commands, want none", a.Commands)
	}
}

// has fails the test unless the running configuration has these lines, and not
// those that begin with "-".
func has(t testing.TB, f *frrtest.FRR, lines ...string) {
	t.Helper()
	running := f.Running(t)
	for _, l := range lines {
		absent, not := strings.CutPrefix(l, "-")
		if not == strings.Contains(running, "\n"+absent+"\n") {
			t.Errorf("line %q in the running configuration: %t\n%s", absent, !not == false, running)
		}
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})

	clean(t, apply(t, d, document(2)))
	has(t, f, "route-map web.v4 permit 1", " set tag 7", "router bgp 65100", " bgp router-id 192.0.2.1",
		" neighbor 192.0.2.2 timers connect 1", ` neighbor 192.0.2.2 password what?|a\b!#"c'`, "  network 10.0.0.1/32 route-map web.v4",
		"  neighbor 192.0.2.2 route-map 192.0.2.2-out out", " profile fast", "  detect-multiplier 5", "bgp route-map delay-timer 1")
	none(t, apply(t, d, document(2)))

	if a := clean(t, apply(t, d, document(3))); a.Commands != 1 {
		t.Errorf("a new network took %d commands, want 1", a.Commands)
	}
	if a := clean(t, apply(t, d, document(1))); a.Commands != 2 {
		t.Errorf("two networks less took %d commands, want 2", a.Commands)
	}
	changed := document(1, edit(nil, "out map 192.0.2.2 web.v4", "set community 65000:100", "set community 65000:200"))
	if a := clean(t, apply(t, d, changed)); a.Commands != 1 {
		t.Errorf("an edited community took %d commands, want 1", a.Commands)
	}
	has(t, f, " set community 65000:200", "  network 10.0.0.0/32 route-map web.v4", "-  network 10.0.0.1/32 route-map web.v4")
	clean(t, apply(t, d, &frr.Document{}))
	has(t, f, "-router bgp 65100", "-route-map web.v4 permit 1", "- profile fast")
}

func TestNewDriverOnConfiguredFRRTypesNothing(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	clean(t, apply(t, driver(t, f, Options{}), document(100)))
	before := f.Running(t)
	d := driver(t, f, Options{})
	none(t, apply(t, d, document(100)))
	if after := f.Running(t); after != before {
		t.Errorf("running configuration changed from\n%s\nto\n%s", before, after)
	}
}

func TestUnspeakableLine(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	tab := edit(nil, "neighbor 192.0.2.2", "description tor1", "description tor\t1 of \u00fcber \u4e2d")
	if a := apply(t, d, document(1, tab)); len(a.Refused) != 1 || !strings.Contains(a.Refused[0].Message, "control character") {
		t.Errorf("refused: %+v, want the line with a tab", a.Refused)
	}
	clean(t, apply(t, d, document(1, edit(nil, "neighbor 192.0.2.2", "description tor1", "description tor1? of \u00fcber \u4e2d"))))
	has(t, f, " neighbor 192.0.2.2 description tor1? of \u00fcber \u4e2d")
	long := "set community"
	for i := range 200 {
		long += fmt.Sprintf(" 65000:%d", 10000+i)
	}
	clean(t, apply(t, d, document(1, edit(nil, "out map 192.0.2.2 web.v4", "set community 65000:100", long))))
	has(t, f, " "+long)
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	clean(t, apply(t, d, document(1)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Apply(ctx, document(2)); err == nil {
		t.Error("Apply with an ended context succeeds")
	}
	clean(t, apply(t, d, document(2)))
	has(t, f, "  network 10.0.0.1/32 route-map web.v4")
}

func TestManyNetworks(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	if a := clean(t, apply(t, d, document(5000))); a.Commands < 5000 {
		t.Errorf("typed %d commands, want over 5000", a.Commands)
	}
	if a := clean(t, apply(t, d, document(5001))); a.Commands != 1 {
		t.Errorf("one network more took %d commands, want 1", a.Commands)
	}
	d.Forget()
	none(t, apply(t, d, document(5001)))
	clean(t, apply(t, d, document(0)))
	has(t, f, "-  network 10.0.0.0/32 route-map web.v4")
}

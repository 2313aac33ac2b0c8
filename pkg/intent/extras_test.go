// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metallb.io/metallb-frr/pkg/intent"
)

// extras is the ConfigMap bgpextras with that text.
func extras(text string) string {
	return "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: bgpextras, namespace: metallb-system}\ndata: {extras: " + fmt.Sprintf("%q", text) + "}\n"
}

var extrasRows = []reasonRow{
	{"a command to vtysh", extras("ip prefix-list A permit any\nwrite memory\n"), intent.ExtrasUnreadable, intent.Invalid, "ConfigMap bgpextras", "data.extras", "write memory", []string{"line 2", "not configuration", "remove it"}},
	{"a line of no node", extras(" match tag 5\n"), intent.ExtrasUnreadable, intent.Invalid, "ConfigMap bgpextras", "data.extras", "match tag 5", []string{"line 1", "indented", "route-map"}},
	{"a control character", extras("router bgp 65100\n neighbor 10.0.0.1 password a\x07b\n"), intent.ExtrasUnreadable, intent.Invalid, "ConfigMap bgpextras", "data.extras", "neighbor 10.0.0.1 password [redacted]", []string{"line 2", "control character"}},
	{"a long line", extras("ip prefix-list A description " + strings.Repeat("x", 5000)), intent.ExtrasUnreadable, intent.Invalid, "ConfigMap bgpextras", "data.extras", "ip prefix-list A description " + strings.Repeat("x", 171) + " ...", []string{"4000"}},
	{"another key", "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: bgpextras, namespace: metallb-system}\ndata: {extra: x}\n", intent.ExtrasEmpty, intent.Warning, "ConfigMap bgpextras", "data", "", []string{`"extras"`}},
}

const wantStructure = `
hostname x
ip prefix-list A permit any
route-map 10.0.0.1-in permit 20
	match ip address prefix-list A
	set local-preference 5
router bgp 65100
	neighbor 10.0.0.9 remote-as 65000
	neighbor 10.0.0.9 timers 3 9
	address-family ipv4 unicast
		neighbor 10.0.0.9 activate
		network 10.0.0.0/8
	address-family ipv6 unicast
		neighbor 10.0.0.9 activate
	neighbor 10.0.0.9 description after a family
bgp community-list standard C permit 1:1
bfd
	peer 10.0.0.9
		profile slow
		transmit-interval 100
	profile slow
		transmit-interval 900
interface lo
	description here
	ip address 10.0.0.1/32
vrf red
	ip route 10.9.0.0/16 blackhole
ip route 10.8.0.0/16 blackhole
`

// People indent as FRR does, or only a little, or not at all.
func TestExtrasStructure(t *testing.T) {
	asFRR := `frr version 10.3
hostname x
!
ip prefix-list A permit any
!
route-map 10.0.0.1-in permit 20
 match ip address prefix-list A
 set local-preference 5
exit
!
router bgp 65100
 neighbor 10.0.0.9 remote-as 65000
 neighbor 10.0.0.9 timers 3 9
 !
 address-family ipv4 unicast
  neighbor 10.0.0.9 activate
  network 10.0.0.0/8
 exit-address-family
 !
 address-family ipv6 unicast
  neighbor 10.0.0.9 activate
 exit-address-family
 neighbor 10.0.0.9 description after a family
exit
!
bgp community-list standard C permit 1:1
bfd
 peer 10.0.0.9
  profile slow
  transmit-interval 100
 exit
 !
 profile slow
  transmit-interval 900
 exit
 !
exit
interface lo
 description here
 ip address 10.0.0.1/32
exit
vrf red
 ip route 10.9.0.0/16 blackhole
exit-vrf
ip route 10.8.0.0/16 blackhole
end
`
	var flat, noExit, tabs strings.Builder
	for line := range strings.Lines(asFRR) {
		bare := strings.TrimSpace(line)
		fmt.Fprintln(&flat, "  ", bare)
		if !strings.HasPrefix(bare, "exit") {
			noExit.WriteString(strings.ReplaceAll(line, " ", "  ") + "\n\n")
		}
		tabs.WriteString(strings.Repeat("\t", len(line)-len(strings.TrimLeft(line, " "))) + bare + "\r\n")
	}
	noExits := strings.ReplaceAll(flat.String(), "exit-address-family\n   !\n   address-family", "address-family")
	for name, text := range map[string]string{
		"as FRR": asFRR, "flat": strings.ReplaceAll(flat.String(), "\n   ", "\n"), "no exits": noExit.String(), "tabs": tabs.String(),
		"flat, some exits": strings.ReplaceAll(noExits, "   ", ""),
	} {
		x, findings := intent.ReadExtras(strings.TrimPrefix(text, "   "))
		if len(findings) > 0 {
			t.Errorf("%s: %v", name, findings)
		}
		var got strings.Builder
		got.WriteByte('\n')
		for _, l := range x.Lines {
			fmt.Fprintf(&got, "%s%s\n", strings.Repeat("\t", len(l.Node)), l.Text)
		}
		if d := cmp.Diff(wantStructure, got.String()); d != "" {
			t.Errorf("%s: (-want +got)\n%s\nof:\n%s", name, d, text)
		}
	}
}

// A change of the text is a change of the Config, and nothing else of the
// ConfigMap is.
func TestExtrasAreConfig(t *testing.T) {
	before := resolve(t, extras("ip prefix-list A permit any"))
	if before.Extras == nil || len(before.Extras.Lines) != 1 {
		t.Fatalf("extras %v, want one line", before.Extras)
	}
	for text, same := range map[string]bool{"ip prefix-list A permit any": true, "ip prefix-list B permit any": false} {
		after := intent.Resolve(before, read(t, extras(text)))
		if (after.Config == before.Config) != same {
			t.Errorf("with %q the Config is the same: %t, want %t", text, !same, same)
		}
	}
	if after := intent.Resolve(before, read(t, "")); after.Extras != nil {
		t.Errorf("extras stay without a ConfigMap: %v", after.Extras)
	}
	foreign := strings.Replace(extras("ip prefix-list A permit any"), "metallb-system", "default", 1)
	if in := resolve(t, foreign+strings.Replace(extras("x"), "bgpextras", "other", 1)); in.Extras != nil {
		t.Errorf("extras of another ConfigMap: %v", in.Extras)
	}
}

func TestLinesAreMasked(t *testing.T) {
	for line, want := range map[string]string{
		"neighbor 10.0.0.1 password sesame": "neighbor 10.0.0.1 password [redacted]",
		"password sesame":                   "password [redacted]",
		"key-string sesame":                 "key-string [redacted]",
		"neighbor 10.0.0.1 timers 3 9":      "neighbor 10.0.0.1 timers 3 9",
	} {
		if got := intent.Masked(line); got != want {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
	}
}

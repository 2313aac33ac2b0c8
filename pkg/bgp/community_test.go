// SPDX-License-Identifier: Apache-2.0

package bgp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestParseCommunity(t *testing.T) {
	for _, text := range []string{"0:0", "65535:65535", "65000:100", "large:0:0:0", "large:4294967295:1:4294967295"} {
		c, err := ParseCommunity(text)
		if err != nil || c.String() != text || c.IsLarge() != strings.HasPrefix(text, "large:") || c.Value() != strings.TrimPrefix(text, "large:") {
			t.Errorf("%s: %v, %v", text, c, err)
		}
	}
	if c, err := ParseCommunity("0065:1"); err != nil || c.String() != "65:1" {
		t.Errorf("leading zeros: %v, %v", c, err)
	}
	for text, says := range map[string]string{
		"":                     "invalid community format",
		"no-export":            "invalid community format",
		"1":                    "invalid community format",
		"1:2:3":                "invalid community format",
		"large:1:2":            "invalid community format",
		"1:2:3:4":              "expected community to be of format large",
		"big:1:2:3":            "expected community to be of format large",
		"65536:1":              "invalid community value: invalid section",
		"1:65536":              "invalid community value: invalid section",
		"-1:1":                 "invalid community value: invalid section",
		"1:":                   "invalid community value: invalid section",
		"1: 2":                 "invalid community value: invalid section",
		"large:4294967296:1:1": "invalid community value: invalid section",
		"large:1::1":           "invalid community value: invalid section",
	} {
		if c, err := ParseCommunity(text); err == nil || !strings.Contains(err.Error(), says) || c != (Community{}) {
			t.Errorf("%q: %v, error %v; want %q", text, c, err, says)
		}
	}
}

func TestWellKnown(t *testing.T) {
	if NoAdvertise.String() != "65535:65282" || NoExport.String() != "65535:65281" {
		t.Errorf("%s, %s", NoAdvertise, NoExport)
	}
}

func TestCompareCommunities(t *testing.T) {
	want := "[1:2 1:10 2:0 large:0:0:1 large:0:1:0 large:1:0:0]"
	var list []Community
	for text := range strings.FieldsSeq("large:1:0:0 2:0 large:0:0:1 1:10 large:0:1:0 1:2") {
		c, err := ParseCommunity(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	for range 10 {
		rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		slices.SortFunc(list, Community.Compare)
		if got := fmt.Sprint(list); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}

func TestFamilyOf(t *testing.T) {
	for text, want := range map[string]Family{"192.0.2.1": IPv4, "::ffff:192.0.2.1": IPv4, "fd00::1": IPv6, "::": IPv6} {
		if got := FamilyOf(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if f := FamilyOf(netip.Addr{}); f != 0 || f.String() != "none" || f.Bits() != 0 {
		t.Errorf("no address: %s", f)
	}
	if IPv4.Bits() != 32 || IPv6.Bits() != 128 || IPv4.String() != "ipv4" || IPv6.String() != "ipv6" {
		t.Error("the families are not 32 and 128 bits")
	}
}

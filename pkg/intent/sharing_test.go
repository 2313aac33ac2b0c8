// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"fmt"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
)

func sharing(t *testing.T, annotations, spec string) *intent.Sharing {
	t.Helper()
	return resolve(t, service("s", ", annotations: {"+annotations+"}", spec)).Services[0].Sharing
}

func TestSharing(t *testing.T) {
	const ports = ", ports: [{port: 443, protocol: UDP}, {port: 80}, {port: 443, protocol: TCP}, {port: 80, protocol: TCP, name: again}]"
	for _, row := range []struct{ name, annotations, spec, want string }{
		{"no key", "", ports, "none"},
		{"an empty key", "metallb.io/allow-shared-ip: ''", ports, "none"},
		{"blanks are no key", "metallb.io/allow-shared-ip: ' '", ports, "none"},
		{"an empty key wins over a legacy one", "metallb.io/allow-shared-ip: '', metallb.universe.tf/allow-shared-ip: k", ports, "none"},
		{"legacy", "metallb.universe.tf/allow-shared-ip: k", ports, `"k" "" [TCP/80 TCP/443 UDP/443]`},
		{"Cluster does not look at the selector", "metallb.io/allow-shared-ip: k", ", selector: {app: x}, externalTrafficPolicy: Cluster", `"k" "" []`},
		{"Local does", "metallb.io/allow-shared-ip: k", ", selector: {tier: web, app: x}, externalTrafficPolicy: Local", `"k" "Local app=x,tier=web" []`},
		{"Local without a selector is not Cluster", "metallb.io/allow-shared-ip: k", ", externalTrafficPolicy: Local", `"k" "Local " []`},
	} {
		got := "none"
		if s := sharing(t, row.annotations, row.spec); s != nil {
			got = fmt.Sprintf("%q %q %v", s.Key, s.Backend, s.Ports)
		}
		if got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}

func TestSharingDigest(t *testing.T) {
	const key = "metallb.io/allow-shared-ip: k"
	first := sharing(t, key, ", ports: [{port: 80}, {port: 81}]").Digest
	if again := sharing(t, key, ", ports: [{port: 81}, {port: 80, name: web}], selector: {app: x}").Digest; again != first || first == "" {
		t.Errorf("digest %q, and %q where only what does not matter differs", first, again)
	}
	for name, other := range map[string]*intent.Sharing{
		"key":      sharing(t, "metallb.io/allow-shared-ip: j", ", ports: [{port: 80}, {port: 81}]"),
		"port":     sharing(t, key, ", ports: [{port: 80}]"),
		"protocol": sharing(t, key, ", ports: [{port: 80}, {port: 81, protocol: UDP}]"),
		"policy":   sharing(t, key, ", ports: [{port: 80}, {port: 81}], externalTrafficPolicy: Local"),
	} {
		if other.Digest == first {
			t.Errorf("another %s has the same digest", name)
		}
	}
}

func TestRememberedAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1":                           "[[192.0.2.1]]",
		"'2001:db8::1, 192.0.2.1'":            "[[192.0.2.1 2001:db8::1]]",
		"'192.0.2.1,2001:db8::1; 192.0.2.9;'": "[[192.0.2.1 2001:db8::1] [192.0.2.9]]",
		"'nonsense,192.0.2.1;more;'":          "[[192.0.2.1]]",
		"''":                                  "[]",
		"'192.0.2.1;192.0.2.2;192.0.2.3;192.0.2.4;192.0.2.5;192.0.2.6;192.0.2.7;192.0.2.8;192.0.2.9'": "[[192.0.2.1] [192.0.2.2] [192.0.2.3] [192.0.2.4] [192.0.2.5] [192.0.2.6] [192.0.2.7] [192.0.2.8]]",
	} {
		s := resolve(t, service("s", ", annotations: {metallb.io/last-ips: "+text+", metallb.io/shared-as: abc}", "")).Services[0]
		if got := fmt.Sprint(s.Last); got != want || s.SharedAs != "abc" {
			t.Errorf("%s: %s and %q, want %s and abc", text, got, s.SharedAs, want)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"metallb.io/metallb-frr/e2e/product"
)

// example is one of the documents' examples on its own.
type example struct {
	file     string
	labels   map[string]string // kubernetes.io/hostname by node
	verdicts []verdict
	// conf are lines that FRR's running configuration has, by node, each after
	// the lines of the nodes that it stands in; * stands for a word and
	// %ADDRESS% for the Service's address. A node that is not named has no BGP
	// instance.
	conf map[string][]string
	not  []string // that no node's configuration has
	// pool are the first and last address of what a Service gets its address
	// from; nil: there is no pool.
	pool []string
}

var everywhere = []string{"n1", "n2", "n3"}

func onAll(lines ...string) map[string][]string {
	conf := map[string][]string{}
	for _, n := range everywhere {
		conf[n] = lines
	}
	return conf
}

// inEach is "IN / LINE" for each line.
func inEach(in string, lines ...string) []string {
	for i := range lines {
		lines[i] = in + " / " + lines[i]
	}
	return lines
}

// workerConf is what the complete example makes on one of its two nodes.
func workerConf(router, address string) []string {
	return slices.Concat(
		[]string{"route-map bgp-prod.v4 permit 1 / set tag *", "route-map " + address + "-in deny 20", "route-map " + address + "-out deny 65535"},
		inEach("route-map "+address+"-out permit *", "match tag *", "set community 64500:100"),
		inEach("router bgp 64500", "bgp router-id 192.168.0.100", "neighbor "+address+" remote-as 64501",
			"neighbor "+address+" description "+router, "neighbor "+address+" timers 30 120"),
		inEach("router bgp 64500 / address-family ipv4 unicast", "network %ADDRESS%/32 route-map bgp-prod.v4",
			"neighbor "+address+" activate", "neighbor "+address+" route-map "+address+"-in in", "neighbor "+address+" route-map "+address+"-out out"))
}

// outside are the verdicts on a pool that is announced in layer 2 and is not of
// the lab's network.
func outside(pool, addresses string) []verdict {
	return warned(pool, "AddressOutsideSubnets", addresses, "in no subnet of the nodes")
}

var examples = map[string]example{
	"layer 2": {
		file:     "000-layer2.yaml",
		verdicts: append(ok("L2Advertisement layer2-config"), outside("IPAddressPool first-pool", "192.168.1.240-192.168.1.250")...),
		pool:     []string{"192.168.1.240", "192.168.1.250"},
	},
	"BGP": {
		file:     "000-bgp.yaml",
		verdicts: ok("IPAddressPool bgp-pool", "BGPPeer router-peer", "BGPAdvertisement bgp-advert"),
		conf: onAll(slices.Concat(
			[]string{"route-map bgp-advert.v4 permit 1 / set tag *", "route-map 192.168.0.1-in deny 20", "route-map 192.168.0.1-out deny 65535",
				"route-map 192.168.0.1-out permit * / match tag *"},
			inEach("router bgp 64500", "neighbor 192.168.0.1 remote-as 64501", "neighbor 192.168.0.1 description router-peer"),
			inEach("router bgp 64500 / address-family ipv4 unicast", "network %ADDRESS%/32 route-map bgp-advert.v4",
				"neighbor 192.168.0.1 activate", "neighbor 192.168.0.1 route-map 192.168.0.1-in in", "neighbor 192.168.0.1 route-map 192.168.0.1-out out"))...),
		not:  []string{"set community", "set local-preference", "192.168.0.1 bfd", "192.168.0.1 timers 0", "bgp router-id"},
		pool: []string{"192.168.10.0", "192.168.10.255"},
	},
	"complete": {
		file:   "000-complete.yaml",
		labels: map[string]string{"n1": "worker-1", "n2": "worker-2"},
		verdicts: slices.Concat(ok("L2Advertisement layer2-prod"), outside("IPAddressPool production-public-ips", "192.168.1.240-192.168.1.250"),
			warned("BGPPeer router1", "RouterIDShared", "192.168.0.100", "n1, n2"), warned("BGPPeer router2", "RouterIDShared", "192.168.0.100", "n1, n2"),
			warned("BGPAdvertisement bgp-prod", "LocalPrefNotSent", "BGPPeer router1, router2")),
		conf: map[string][]string{"n1": workerConf("router1", "192.168.0.1"), "n2": workerConf("router2", "192.168.0.2")},
		// eBGP carries no local preference (RFC 4271 section 5.1.5).
		not:  []string{"set local-preference"},
		pool: []string{"192.168.1.240", "192.168.1.250"},
	},
	"advanced pool": {
		file:     "000-advanced-pool.yaml",
		verdicts: ok("IPAddressPool advanced-pool"),
		pool:     []string{"192.168.10.1", "192.168.10.254"},
	},
	"advanced BGP": {
		file: "000-advanced-bgp.yaml",
		verdicts: []verdict{
			{"BGPAdvertisement advanced-bgp", "Accepted", "True", "Accepted", nil},
			{"BGPAdvertisement advanced-bgp", "ResolvedRefs", "False", "PoolNotFound", []string{"spec.ipAddressPools[0]", `"advanced-pool"`, "create it or correct the name"}},
			{"BGPAdvertisement advanced-bgp", "Ready", "True", "NoAdvertise", []string{"65535:65282", "no-export", "65535:65281"}},
		},
	},
	"BFD": {
		file:     "000-bfd.yaml",
		verdicts: append(ok("BFDProfile fast-failover"), warned("BGPPeer router-with-bfd", "EchoModeNeedsRouter", "fast-failover")...),
		// Intervals and multiplier are FRR's defaults, which it does not print.
		conf: onAll("bfd / profile fast-failover / echo-mode", "router bgp 64500 / neighbor 192.168.0.1 remote-as 64501",
			"router bgp 64500 / neighbor 192.168.0.1 bfd profile fast-failover"),
		not: []string{"passive-mode"},
	},
	"handbook, pool": {
		file:     "001-pool.yaml",
		verdicts: ok("IPAddressPool prod-pool"),
		pool:     []string{"203.0.113.0", "203.0.113.255"},
	},
	"handbook, peers": {
		file:     "001-peers.yaml",
		verdicts: ok("BGPPeer tor1", "BGPPeer tor2"),
		conf: onAll(inEach("router bgp 65100", "neighbor 10.0.0.1 remote-as 65000", "neighbor 10.0.0.1 description tor1",
			"neighbor 10.0.0.1 timers 30 90", "neighbor 10.0.0.2 remote-as 65000", "neighbor 10.0.0.2 description tor2")...),
		not: []string{"10.0.0.1 bfd", "10.0.0.2 timers 30", "10.0.0.2 timers 0"},
	},
	"handbook, advertisement": {
		file: "001-advertisement.yaml",
		verdicts: []verdict{
			{"BGPAdvertisement prod-adv", "Accepted", "True", "Accepted", nil},
			{"BGPAdvertisement prod-adv", "ResolvedRefs", "False", "PoolNotFound", []string{"spec.ipAddressPools[0]", `"prod-pool"`}},
		},
	},
	"handbook, BFD": {
		file:     "001-bfd.yaml",
		verdicts: ok("BFDProfile tor-bfd", "BGPPeer tor1"),
		conf: onAll("bfd / profile tor-bfd", "router bgp 65100 / neighbor 10.0.0.1 remote-as 65000",
			"router bgp 65100 / neighbor 10.0.0.1 bfd profile tor-bfd"),
		not: []string{"echo-mode", "10.0.0.2"},
	},
}

// Each example of the documents that the product was asked for from, on its own,
// with nothing changed, is accepted and does what it says. Its routers are not
// there, so the sessions stay down; the configuration of FRR tells.
func TestEachExampleOnItsOwn(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		e := examples[name]
		t.Run(name, func(t *testing.T) {
			ctx, w := begin(t)
			for node, label := range e.labels {
				w.hostname(t, ctx, node, label)
			}
			w.kubectl(t, ctx, "apply", "-f", filepath.Join("testdata", "seeds", e.file))
			w.says(t, ctx, e.verdicts...)
			addr := "none"
			if e.pool != nil {
				addr = w.oneFrom(t, ctx, e.pool).String()
			}
			for _, n := range w.Nodes() {
				w.eventually(t, ctx, "the configuration of "+n.Name, func() error {
					conf, err := w.runningConfig(ctx, n)
					if err != nil {
						return err
					}
					return compare(conf, e.conf[n.Name], e.not, addr)
				})
			}
			w.agree(t, ctx)
		})
	}
}

// hostname gives a node another kubernetes.io/hostname until the test ends.
func (w *world) hostname(t *testing.T, ctx context.Context, node, label string) {
	t.Helper()
	w.kubectl(t, ctx, "label", "node", node, "--overwrite", "kubernetes.io/hostname="+label)
	t.Cleanup(func() {
		if _, err := w.Kubectl(context.Background(), "label", "node", node, "--overwrite", "kubernetes.io/hostname="+node); err != nil {
			t.Error(err)
		}
	})
}

// oneFrom creates a Service with endpoints on all nodes and returns its address,
// which must lie between the two given.
func (w *world) oneFrom(t *testing.T, ctx context.Context, pool []string) netip.Addr {
	t.Helper()
	ns := w.namespace(t, ctx)
	w.apply(t, ctx, plain(ns, "one", everywhere))
	addr := w.address(t, ctx, ns, "one")
	if addr.Less(netip.MustParseAddr(pool[0])) || netip.MustParseAddr(pool[1]).Less(addr) {
		t.Errorf("a Service got %s, want an address from %s to %s", addr, pool[0], pool[1])
	}
	return addr
}

// compare looks in a running configuration for the lines that it must have, as
// example.conf says, and for those that it must not.
func compare(conf string, want, not []string, addr string) error {
	if want == nil {
		not = append(slices.Clone(not), "router bgp")
	}
	for _, n := range not {
		if strings.Contains(conf, n) {
			return fmt.Errorf("it has %q:\n%s", n, conf)
		}
	}
	have := strings.Join(paths(conf), "\n")
	for _, l := range want {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.ReplaceAll(l, "%ADDRESS%", addr)), `\*`, `\S+`)
		if !regexp.MustCompile("(?m)^" + pattern + "$").MatchString(have) {
			return fmt.Errorf("it lacks %q:\n%s", l, conf)
		}
	}
	return nil
}

// paths are the lines of a configuration, each after those that it stands in.
func paths(conf string) []string {
	var all, in []string
	for line := range strings.Lines(conf) {
		text := strings.TrimLeft(strings.TrimRight(line, "\n"), " ")
		depth := len(strings.TrimRight(line, "\n")) - len(text)
		if text == "" || text == "!" || depth > len(in) {
			continue
		}
		in = append(in[:depth:depth], text)
		all = append(all, strings.Join(in, " / "))
	}
	return all
}

// The example with intervals as durations keeps what was written.
func TestDurationsAreKeptAsWritten(t *testing.T) {
	ctx, w := begin(t)
	for file, want := range map[string]string{"000-bfd.yaml": "300ms", "001-bfd.yaml": "300"} {
		w.kubectl(t, ctx, "apply", "-f", filepath.Join("testdata", "seeds", file))
		name := map[string]string{"000-bfd.yaml": "fast-failover", "001-bfd.yaml": "tor-bfd"}[file]
		got := w.kubectl(t, ctx, "-n", product.Namespace, "get", "bfdprofile", name, "-o", "jsonpath={.spec.receiveInterval}")
		if got != want {
			t.Errorf("%s: receiveInterval is %q, want %q as written", file, got, want)
		}
	}
}

// The guide's test application: its image is not to be had here, but its Service
// is accepted and gets an address, which nobody announces without an endpoint.
func TestExampleApplication(t *testing.T) {
	ctx, w := begin(t)
	ns := w.namespace(t, ctx)
	w.apply(t, ctx, w.torConfig())
	w.kubectl(t, ctx, "-n", ns, "apply", "-f", "testdata/seeds/000-nginx-test.yaml")
	addr := w.address(t, ctx, ns, "nginx-test")
	if !netip.MustParsePrefix("203.0.113.0/24").Contains(addr) {
		t.Errorf("nginx-test got %s, want one from the pool", addr)
	}
	rec := w.record(t, ctx)
	w.apply(t, ctx, plain(ns, "beside", everywhere))
	beside := w.address(t, ctx, ns, "beside")
	rec.reach(t, ctx, host(beside), everywhere...)
	rec.reach(t, ctx, host(addr))
	w.agree(t, ctx)
	w.deleteService(t, ctx, ns, "nginx-test")
}

// The handbook's Service web, with externalTrafficPolicy Local and its ports,
// answers the client from the two nodes that have its pods and is announced from
// no other.
func TestHandbookService(t *testing.T) {
	ctx, w := begin(t)
	ns := w.namespace(t, ctx)
	w.apply(t, ctx, w.torConfig())
	pods := strings.ReplaceAll(webPods(ns, "web", "n1", "n3"), "image: lab.local/web:1\n", "image: lab.local/web:1\n    args: [-addr, \":8443\"]\n")
	w.apply(t, ctx, strings.ReplaceAll(pods, "port: 8080", "port: 8443"))
	text, err := os.ReadFile("testdata/seeds/001-service.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.KubectlInput(ctx, string(text), "-n", ns, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	w.podsReady(t, ctx, ns, "web")
	addr := w.address(t, ctx, ns, "web")
	rec := w.record(t, ctx)
	rec.reach(t, ctx, host(addr), "n1", "n3")
	w.answers(t, ctx, netip.AddrPortFrom(addr, 443), "n1", "n3")
	w.agree(t, ctx)
}

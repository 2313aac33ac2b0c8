// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
	"metallb.io/metallb-frr/e2e/wire"
)

// lanPools are the ranges of the nodes' own network that the pool lan gives out.
var lanPools = []string{"172.30.0.160-172.30.0.179", "fd00:30::f00:10-fd00:30::f00:2f"}

// lanConfig is the guide's configuration for layer 2, with addresses of the nodes' own
// network. more are further fields of the L2Advertisement, in flow style.
func lanConfig(more ...string) string {
	pool := fmt.Sprintf("{addresses: [%q, %q]}", lanPools[0], lanPools[1])
	return object("IPAddressPool", "lan", pool) + lanAdvertisement("lan", more...)
}

func lanAdvertisement(name string, more ...string) string {
	return object("L2Advertisement", name, "{"+strings.Join(append([]string{"ipAddressPools: [lan]"}, more...), ", ")+"}")
}

// lanService is a Service for the pods of webPods of an application: port 80. The
// families are "IPv4", "IPv6" or both.
func lanService(namespace, name, app, policy string, labels string, families ...string) string {
	stack := "SingleStack"
	if len(families) > 1 {
		stack = "RequireDualStack"
	}
	return fmt.Sprintf(`---
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: %s, labels: {%s}}
spec:
  type: LoadBalancer
  externalTrafficPolicy: %s
  ipFamilyPolicy: %s
  ipFamilies: [%s]
  selector: {app: %s}
  ports: [{name: http, port: 80, targetPort: 8080}, {name: udp, protocol: UDP, port: 80, targetPort: 8080}]
`, name, namespace, labels, policy, stack, strings.Join(families, ", "), app)
}

// ports waits until a Service has so many addresses, and returns port 80 of each.
func (w *world) ports(t *testing.T, ctx context.Context, namespace, name string, n int) []netip.AddrPort {
	t.Helper()
	var out []netip.AddrPort
	w.eventually(t, ctx, fmt.Sprintf("%d addresses of %s", n, name), func() error {
		text, err := w.Kubectl(ctx, "-n", namespace, "get", "service", name, "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}")
		if err != nil {
			return err
		}
		out = nil
		for _, ip := range strings.Fields(text) {
			out = append(out, netip.AddrPortFrom(netip.MustParseAddr(ip), 80))
		}
		if len(out) != n {
			return fmt.Errorf("it has %q", text)
		}
		return nil
	})
	return out
}

// lanWatch is lab.Watch, ended with the test.
func (w *world) lanWatch(t *testing.T, addrs ...netip.Addr) *lab.Watch {
	t.Helper()
	watch, err := w.Watch(w.LANClient(1), addrs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // done already, where the test succeeds
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		watch.Stop(ctx)
	})
	return watch
}

// announcer waits until one node alone has answered for an address for half a second,
// asked each 50 ms, and returns its name and the MAC that it gave.
func (w *world) announcer(t *testing.T, ctx context.Context, c *wire.Capture, addr netip.Addr) (string, wire.MAC) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	var first wire.Frame
	f, err := c.Wait(ctx, time.Now(), func(f wire.Frame) bool {
		claimed, ok := f.Claimed()
		if !ok || claimed != addr {
			return false
		}
		if f.MAC != first.MAC {
			first = f
		}
		return f.Time.Sub(first.Time) >= 500*time.Millisecond
	})
	if err != nil {
		t.Fatalf("who announces %s: %v; claims:\n%s", addr, err, c.Record().Claims(addr))
	}
	return f.Member, f.MAC
}

// silent waits until nobody has claimed the addresses for half a second, asked each
// 50 ms.
func (w *world) silent(t *testing.T, ctx context.Context, watch *lab.Watch, addrs ...netip.Addr) {
	t.Helper()
	w.eventually(t, ctx, fmt.Sprintf("silence about %v", addrs), func() error {
		asked, err := watch.Asked(ctx, time.Now().Add(-50*time.Millisecond))
		if err != nil {
			return err
		}
		for _, a := range addrs {
			claims := watch.Record().Between(asked.Add(-500*time.Millisecond), asked).Claims(a)
			if len(claims) > 0 {
				return fmt.Errorf("%s", claims[len(claims)-1])
			}
		}
		return nil
	})
}

// lanAnswers makes requests from a client on the nodes' network, over its neighbour
// cache and connections of their own, and fails the test unless all are answered, by
// pods on all of those nodes and on no other, and it found the address at that MAC.
func (w *world) lanAnswers(t *testing.T, ctx context.Context, to netip.AddrPort, mac wire.MAC, nodes ...string) {
	t.Helper()
	const requests = 60 // 60 over 2 nodes miss one with a chance below 1e-17
	c := w.LANClient(0)
	w.eventually(t, ctx, fmt.Sprintf("a first answer from %s", to), func() error {
		return product.Requests(ctx, c, url(to), 1, 1).LastError
	})
	tally := product.Requests(ctx, c, url(to), requests, 4)
	got := slices.Sorted(maps.Keys(tally.ByNode))
	if tally.Failed > 0 || !slices.Equal(got, nodes) {
		t.Errorf("%d requests to %s: %d failed (%v), answered by %v; want all answered, by nodes %v",
			requests, to, tally.Failed, tally.LastError, tally.ByNode, nodes)
	}
	if n, err := c.Neighbor(to.Addr()); err != nil || n.MAC != mac {
		t.Errorf("%s has %s at %s (%v), want %s", c.Name, to.Addr(), n.MAC, err, mac)
	}
}

// macs are those of the nodes' first interfaces, by name.
func (w *world) macs(t *testing.T) map[string]wire.MAC {
	t.Helper()
	out := map[string]wire.MAC{}
	for _, n := range w.Nodes() {
		mac, err := n.MAC()
		if err != nil {
			t.Fatal(err)
		}
		out[n.Name] = mac
	}
	return out
}

// lanStatuses waits until the ServiceL2Statuses of a namespace are these lines,
// sorted: the Service, the node and the interfaces.
func (w *world) lanStatuses(t *testing.T, ctx context.Context, ns string, want ...string) {
	t.Helper()
	slices.Sort(want)
	w.eventually(t, ctx, "ServiceL2Statuses", func() error {
		out, err := w.Kubectl(ctx, "-n", product.Namespace, "get", "servicel2statuses", "-l", "metallb.io/service-namespace="+ns, "-o",
			`jsonpath={range .items[*]}{.metadata.labels.metallb\.io/service-name} {.metadata.labels.metallb\.io/node} {.status.serviceName} {.status.node} {.status.interfaces[*].name}{"\n"}{end}`)
		if err != nil {
			return err
		}
		var got []string
		for line := range strings.Lines(out) {
			f := strings.Fields(line)
			if len(f) < 4 || f[0] != f[2] || f[1] != f[3] {
				return fmt.Errorf("labels and status differ in %q", line)
			}
			got = append(got, strings.Join(f[2:], " "))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("they are\n%q\nwant\n%q", got, want)
		}
		return nil
	})
}

// lanSeries waits until the series metallb_speaker_announced of layer 2 are these on
// all nodes together, and those of each address on its owner.
func (w *world) lanSeries(t *testing.T, ctx context.Context, token string, want []string, owners map[netip.Addr]string) {
	t.Helper()
	slices.Sort(want)
	w.eventually(t, ctx, "the metrics of layer 2", func() error {
		var got []string
		for _, n := range w.Nodes() {
			series := w.scrape(t, ctx, n, speakerPort, token)
			for name, value := range series {
				if strings.HasPrefix(name, "metallb_speaker_announced{") && strings.Contains(name, `protocol="layer2"`) {
					got = append(got, fmt.Sprintf("%s on %s: %g", name, n.Name, value))
				}
			}
			for addr, owner := range owners {
				for _, name := range []string{"requests_received", "responses_sent", "gratuitous_sent"} {
					if id := fmt.Sprintf(`metallb_layer2_%s{ip="%s"}`, name, addr); owner == n.Name && series[id] < 1 {
						return fmt.Errorf("%s on its owner %s is %g", id, n.Name, series[id])
					}
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("they are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		return nil
	})
}

// A pool of the nodes' own network and an L2Advertisement, as in the guide, are all
// that it takes: a client on that network reaches Services of either family and
// policy, each address over one node, and everything that tells who announces tells
// the same as the wire.
func TestLayer2Announces(t *testing.T) {
	ctx, w := begin(t)
	ns, since := w.namespace(t, ctx), time.Now()
	pods := []string{"n1", "n2"}
	w.apply(t, ctx, lanConfig()+webPods(ns, "web", pods...))
	families := map[string][]string{"v4": {"IPv4"}, "v6": {"IPv6"}, "dual": {"IPv4", "IPv6"}}
	services := map[string][]netip.AddrPort{}
	for name, f := range families {
		for _, policy := range []string{"Cluster", "Local"} {
			name := strings.ToLower(policy) + "-" + name
			w.apply(t, ctx, lanService(ns, name, "web", policy, "", f...))
			services[name] = w.ports(t, ctx, ns, name, len(f))
		}
	}
	w.podsReady(t, ctx, ns, "web")
	w.says(t, ctx, ok("IPAddressPool lan", "L2Advertisement lan")...)

	var addrs []netip.Addr
	for _, ports := range services {
		for _, p := range ports {
			addrs = append(addrs, p.Addr())
		}
	}
	watch := w.lanWatch(t, addrs...)
	var statuses, series []string
	owners, macs := map[netip.Addr]string{}, w.macs(t)
	for name, ports := range services {
		for _, to := range ports {
			owner, mac := w.announcer(t, ctx, watch.Capture, to.Addr())
			if mac != macs[owner] {
				t.Errorf("%s says that %s is at %s; its MAC is %s", owner, to.Addr(), mac, macs[owner])
			}
			from := pods
			if strings.HasPrefix(name, "local-") {
				from = []string{owner}
			}
			w.lanAnswers(t, ctx, to, mac, from...)
			owners[to.Addr()] = owner
			if line := name + " " + owner; !slices.Contains(statuses, line) {
				statuses = append(statuses, line)
			}
			series = append(series, fmt.Sprintf(`metallb_speaker_announced{ip="%s",node="%s",protocol="layer2",service="%s/%s"} on %[2]s: 1`, to.Addr(), owner, ns, name))
			w.told(t, ctx, since, ns, "Service "+name, "nodeAssigned", "announcing from node ", `"`+owner+`"`, `with protocol "layer2"`)
			w.places(t, ctx, ns, name, "True", "Announced", to.Addr().String(), "from "+owner+" over layer2")
		}
	}
	settled := time.Now()
	w.lanStatuses(t, ctx, ns, statuses...)
	token := w.token(t, ctx, ns)
	w.lanSeries(t, ctx, token, series, owners)

	w.kubectl(t, ctx, "-n", ns, "delete", "services", "--all")
	w.silent(t, ctx, watch, addrs...)
	w.lanStatuses(t, ctx, ns)
	w.lanSeries(t, ctx, token, nil, nil)
	w.noOther(t, ctx, watch, settled, owners)
}

// noOther ends a watch, and fails the test if anybody but its owner claimed an address
// since from.
func (w *world) noOther(t *testing.T, ctx context.Context, watch *lab.Watch, from time.Time, owners map[netip.Addr]string) {
	t.Helper()
	record, until, err := watch.Stop(ctx)
	if err != nil {
		t.Fatal(err)
	}
	record = record.Between(from, until)
	for addr, owner := range owners {
		for _, f := range record.Claims(addr) {
			if f.Member != owner {
				t.Errorf("%s belongs to %s, and there was %s", addr, owner, f)
			}
		}
	}
}

// An address is announced on the interfaces that the L2Advertisement names, from a node
// that has them, also one that came later; where there is none, the Service says so.
func TestLayer2Interfaces(t *testing.T) {
	ctx, w := begin(t)
	ns, since := w.namespace(t, ctx), time.Now()
	w.apply(t, ctx, lanConfig("interfaces: [eth1]")+webPods(ns, "web", "n1")+lanService(ns, "web", "web", "Cluster", "", "IPv4", "IPv6"))
	w.podsReady(t, ctx, ns, "web")
	ports := w.ports(t, ctx, ns, "web", 2)
	addrs := []netip.Addr{ports[0].Addr(), ports[1].Addr()}
	watch := w.lanWatch(t, addrs...)
	w.told(t, ctx, since, ns, "Service web", "announceFailed", "interfaces", "do not exist")
	w.silent(t, ctx, watch, addrs...)

	n := w.Node(1)
	t.Cleanup(func() { n.RemovePort("eth1") }) // done already, where the test succeeds
	for range 2 {
		if err := n.AddPort("eth1"); err != nil {
			t.Fatal(err)
		}
		for _, to := range ports {
			owner, mac := w.announcer(t, ctx, watch.Capture, to.Addr())
			if first := w.macs(t)[n.Name]; owner != n.Name || mac == first {
				t.Errorf("%s says that %s is at %s; want %s to, at its second interface (the first is at %s)", owner, to.Addr(), mac, n.Name, first)
			}
			w.lanAnswers(t, ctx, to, mac, "n1")
		}
		w.lanStatuses(t, ctx, ns, "web n2 eth1")
		if err := n.RemovePort("eth1"); err != nil {
			t.Fatal(err)
		}
		w.silent(t, ctx, watch, addrs...)
		w.lanStatuses(t, ctx, ns)
	}
}

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

// owners are the nodes that announce addresses in layer 2.
type owners = map[netip.Addr]string

// keys returns the addresses, sorted.
func keys(o owners) []netip.Addr { return slices.SortedFunc(maps.Keys(o), netip.Addr.Compare) }

// heldPool is a pool of the nodes' own network, which Services ask for by address.
var heldPool = object("IPAddressPool", "held", fmt.Sprintf("{addresses: [%q, %q], autoAssign: false}", lab.Free4, lab.Free6)) +
	object("L2Advertisement", "held", "{ipAddressPools: [held]}")

// elected returns addresses of a prefix that the node announces while all live.
func elected(node string, p netip.Prefix) []netip.Addr {
	return product.Elected(p, 4, node, everywhere...)
}

// held are the metadata and the spec of a Service with those addresses.
func held(namespace, name, more string, addrs ...netip.Addr) string {
	var ips, families []string
	for _, a := range addrs {
		ips = append(ips, a.String())
		families = append(families, map[bool]string{true: "IPv4", false: "IPv6"}[a.Is4()])
	}
	stack := "SingleStack"
	if len(addrs) > 1 {
		stack = "RequireDualStack"
	}
	return fmt.Sprintf(`---
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: %s, annotations: {metallb.io/loadBalancerIPs: %q}}
spec:
  type: LoadBalancer
  ipFamilyPolicy: %s
  ipFamilies: [%s]
  ports: [{port: 80, targetPort: 8080}]
  %s
`, name, namespace, strings.Join(ips, ","), stack, strings.Join(families, ", "), more)
}

// plainDual is a Service with one endpoint on each node, written by hand. Nobody
// answers requests there; it is for looking at who announces it.
func plainDual(namespace, name string, a4, a6 netip.Addr) string {
	var b strings.Builder
	b.WriteString(held(namespace, name, "", a4, a6))
	for _, f := range []struct{ kind, format string }{{"IPv4", "10.244.%d.250"}, {"IPv6", "fd00:244:0:%d::fa"}} {
		fmt.Fprintf(&b, `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s-%s, namespace: %s, labels: {kubernetes.io/service-name: %[1]s}}
addressType: %[4]s
ports: [{port: 8080}]
endpoints:
`, name, strings.ToLower(f.kind), namespace, f.kind)
		for i, node := range everywhere {
			fmt.Fprintf(&b, "- {addresses: [%q], nodeName: %s, conditions: {ready: true}}\n", fmt.Sprintf(f.format, i+1), node)
		}
	}
	return b.String()
}

// A judgement is what was heard of addresses, held against the promise that each has
// one owner.
type judgement struct {
	wire.Record
	violations []wire.Violation
	others     int    // addresses that somebody but their owner claimed
	speakers   string // what the speakers have logged; only where there are violations
}

// A span is a time over which an address may have two owners or none for no longer
// than limit, 0 being a second. Without until it lasts to the end.
type span struct {
	from, until time.Time
	limit       time.Duration
}

// busyDeath is within how long the others must know of a node's death here. It takes
// them half a second, and longer as they are late themselves, as on a busy machine;
// bench l2-failover measures it.
const busyDeath = 4 * time.Second

// judge ends a watch, and judges what it heard over some times: as a machine sees it
// that does not ask, and knows what everybody is told.
func (w *world) judge(t *testing.T, ctx context.Context, watch *lab.Watch, want owners, spans ...span) judgement {
	t.Helper()
	record, end, err := watch.Stop(ctx)
	if err != nil {
		t.Fatal(err)
	}
	j := judgement{Record: record}
	for _, a := range keys(want) {
		for _, s := range spans {
			if s.until.IsZero() {
				s.until = end
			}
			j.violations = append(j.violations, record.Check(wire.Rule{Addr: a, Limit: s.limit}, s.from, s.until)...)
		}
		if slices.ContainsFunc(record.Between(spans[0].from, end).Claims(a), func(f wire.Frame) bool { return f.Member != want[a] }) {
			j.others++
		}
	}
	if len(j.violations) > 0 {
		since := time.Since(spans[0].from).Round(time.Second) + time.Second
		j.speakers, _ = w.Kubectl(ctx, "-n", product.Namespace, "logs", "-l", "component=speaker", "-c", "speaker", "--prefix", "--tail=-1", "--since="+since.String())
	}
	return j
}

// asleep reports whether all that there is against it is that nobody asked.
func (j judgement) asleep() bool {
	for _, v := range j.violations {
		if v.Reason != wire.NotAsked {
			return false
		}
	}
	return len(j.violations) > 0
}

func (j judgement) String() string { return fmt.Sprint(j.violations) }

// report fails the test for each violation, and shows what was heard around it.
func (j judgement) report(t *testing.T) {
	t.Helper()
	const before, after = time.Second, 500 * time.Millisecond
	for _, v := range j.violations {
		t.Errorf("%s; who answered:\n%s\nheard around it:\n%s", v, j.turns(v.Addr), j.heard(v.Addr, v.From.Add(-before), v.Until.Add(after)))
	}
	if len(j.violations) > 0 {
		t.Logf("the speakers:\n%s", j.speakers)
	}
}

// turns are the times over which an address was answered for, a line each.
func (j judgement) turns(a netip.Addr) string {
	var b strings.Builder
	for _, t := range j.Tenures(a, 0) {
		fmt.Fprintf(&b, "%s from %s to %s, %d claims\n", t.Who(), t.From.Format("15:04:05.000"), t.Until.Format("15:04:05.000"), t.Claims)
	}
	return b.String()
}

// heard is what was heard of an address, as lines have it.
func (j judgement) heard(a netip.Addr, from, until time.Time) string {
	return lines(j.Of(a).Between(from, until))
}

// lines are one for each frame, without questions to everybody; and of answers that
// follow each other, from one to another, the first alone.
func lines(r wire.Record) string {
	type answer struct {
		addr     netip.Addr
		mac, dst wire.MAC
	}
	var b strings.Builder
	last := map[netip.Addr]answer{}
	for _, f := range r {
		now := answer{f.Addr, f.MAC, f.Dst}
		switch {
		case f.Kind == wire.Query && f.Dst.Multicast():
		case f.Kind == wire.Claim && last[f.Addr] == now:
		default:
			fmt.Fprintln(&b, f)
			last[f.Addr] = now
		}
	}
	return b.String()
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
	"metallb.io/metallb-frr/e2e/wire"
)

const (
	l2PowerCuts = 6  // unless RUNS says otherwise; each takes some 20 s
	l2Silences  = 12 // the same for a node whose frames are lost
	l2Planned   = 3  // of each planned move
	// l2Limit is how long one run may take.
	l2Limit = 2 * time.Minute
	// l2Settled is how long a client is watched after the last address has moved:
	// for longer than a request may take.
	l2Settled = 1500 * time.Millisecond
)

// l2App takes the victim, which has no pod, the addresses with a comma, and the nodes
// that have one, which survive.
const l2App = `apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: lan, namespace: metallb-system}
spec: {addresses: [%q, %q]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: lan, namespace: metallb-system}
spec: {ipAddressPools: [lan]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [
        {matchExpressions: [{key: kubernetes.io/hostname, operator: NotIn, values: [%s]}]}]}}}
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}
      containers:
      - name: web
        image: lab.local/web:1
        imagePullPolicy: IfNotPresent
        env: [{name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
        readinessProbe: {httpGet: {port: 8080, path: /}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default, annotations: {metallb.io/loadBalancerIPs: %q}}
spec:
  type: LoadBalancer
  ipFamilyPolicy: RequireDualStack
  ipFamilies: [IPv4, IPv6]
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
`

// l2Bench is a Service of both families that one node announces, and whose pods are
// on the others.
type l2Bench struct {
	*lab.Lab
	victim *lab.Node
	ports  []netip.AddrPort
}

// l2Failover measures the failover of layer 2 in a cluster of three nodes, and with
// more speakers than that without Kubernetes.
func l2Failover(ctx context.Context) ([]Row, error) {
	rows, err := l2Lab(ctx)
	if err != nil {
		return rows, err
	}
	more, err := l2Speakers(ctx)
	return append(rows, more...), err
}

// l2Lab measures in a cluster how long the addresses of a node that fails are
// without an owner, and clients without an answer, and the same where an address
// moves on purpose.
func l2Lab(ctx context.Context) ([]Row, error) {
	l, err := lab.Up(ctx, lab.Spec{Name: "bench-l2", Nodes: 3, LANClients: 2}, os.Stdout)
	if err != nil {
		return nil, err
	}
	defer l.Down(context.WithoutCancel(ctx))
	if err := product.Install(ctx, l, os.Stdout, "speaker.drainOn={cordon}"); err != nil {
		return nil, err
	}
	b, err := l2Serve(ctx, l)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, c := range []struct {
		fault product.Fault
		runs  int
	}{{product.PowerCut, l2PowerCuts}, {product.Drop, l2Silences}} {
		more, err := b.unplanned(ctx, c.fault, runsOr(c.runs))
		rows = append(rows, more...)
		if err != nil {
			return rows, err
		}
	}
	for _, m := range b.moves() {
		more, err := b.planned(ctx, m)
		rows = append(rows, more...)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", m.cause, err)
		}
	}
	return rows, nil
}

// runsOr is what RUNS says, or n.
func runsOr(n int) int {
	if runs, err := strconv.Atoi(os.Getenv("RUNS")); err == nil && runs > 0 {
		return runs
	}
	return n
}

// l2Serve brings up what is measured: addresses that are elected to the last node.
func l2Serve(ctx context.Context, l *lab.Lab) (*l2Bench, error) {
	var names []string
	for _, n := range l.Nodes() {
		names = append(names, n.Name)
	}
	b := &l2Bench{Lab: l, victim: l.Node(len(names) - 1)}
	a4 := product.Elected(lab.Free4, 1, b.victim.Name, names...)[0]
	a6 := product.Elected(lab.Free6, 1, b.victim.Name, names...)[0]
	b.ports = []netip.AddrPort{netip.AddrPortFrom(a4, 80), netip.AddrPortFrom(a6, 80)}
	if err := product.Apply(ctx, l, fmt.Sprintf(l2App, lab.Free4, lab.Free6, b.victim.Name, fmt.Sprintf("%s,%s", a4, a6))); err != nil {
		return nil, err
	}
	_, err := l.Kubectl(ctx, "-n", "default", "rollout", "status", "deployment/web", "--timeout=90s")
	return b, err
}

// l2Run is what one failure or move has cost: the worse of the two addresses.
type l2Run struct {
	unanswered time.Duration // nobody answered who was asked
	outage     time.Duration // a client's requests failed
	unasked    time.Duration // the machine was too busy to ask
}

// watched runs what happens while a client uses the addresses, which all is well
// before. Requests are answered at the end.
func (b *l2Bench) watched(ctx context.Context, happens func(context.Context, *product.LANWatch) error) (run l2Run, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, l2Limit, errors.New("the run took too long"))
	defer cancel()
	watch, err := product.WatchLAN(ctx, b.Lab, b.ports...)
	if err != nil {
		return run, err
	}
	if err = b.owned(ctx, watch); err == nil {
		err = happens(ctx, watch)
	}
	if err == nil {
		err = b.settled(ctx, watch)
	}
	outages, serr := watch.Stop(ctx)
	if err = errors.Join(err, serr); err != nil {
		return run, err
	}
	for _, o := range outages {
		run.unanswered, run.outage, run.unasked = max(run.unanswered, o.Unanswered), max(run.outage, o.Outage), max(run.unasked, o.Unasked)
	}
	return run, nil
}

// settled waits for some time and until both addresses answer a request, so that what
// was lost has an end.
func (b *l2Bench) settled(ctx context.Context, watch *product.LANWatch) error {
	if _, err := watch.Wait(ctx, time.Now().Add(l2Settled), func(wire.Frame) bool { return true }); err != nil {
		return err
	}
	for _, to := range b.ports {
		if tally := product.Requests(ctx, b.LANClient(0), "http://"+to.String()+"/", 1, 1); tally.Failed > 0 {
			return fmt.Errorf("no answer from %s when all was over: %w", to, tally.LastError)
		}
	}
	return nil
}

// owned waits until the victim has all addresses, nobody doubts it, and the client
// knows.
func (b *l2Bench) owned(ctx context.Context, watch *product.LANWatch) error {
	want := map[netip.Addr]string{}
	for _, to := range b.ports {
		want[to.Addr()] = b.victim.Name
	}
	if _, err := product.Owned(ctx, b.Lab, watch.Capture, time.Now(), want); err != nil {
		return err
	}
	for a := range want {
		n, err := b.LANClient(0).Neighbor(a)
		if err != nil {
			return err
		}
		if who := b.Member(n.MAC); who != b.victim.Name {
			return fmt.Errorf("%s was not told who has %s: it takes %s, of %q, for its owner, want %s", b.LANClient(0).Name, a, n.MAC, who, b.victim.Name)
		}
	}
	return nil
}

// anothers reports whether a member is not the victim.
func (b *l2Bench) anothers(member string) bool { return member != b.victim.Name }

// unplanned measures failures of the victim.
func (b *l2Bench) unplanned(ctx context.Context, fault product.Fault, runs int) ([]Row, error) {
	var firsts, outages []time.Duration
	for i := range runs {
		var first time.Duration
		run, err := b.watched(ctx, func(ctx context.Context, watch *product.LANWatch) (err error) {
			first, err = b.strike(ctx, watch, fault)
			return err
		})
		if err == nil {
			err = fault.Mend(ctx, b.victim)
		}
		if err != nil {
			return nil, fmt.Errorf("%s of %s, run %d: %w", fault.Name, b.victim.Name, i+1, err)
		}
		fmt.Printf("%s of %s: first gratuitous frame of its addresses' new owners after %d ms; client without an answer for %d ms%s\n", fault.Name,
			b.victim.Name, first.Milliseconds(), run.outage.Milliseconds(), run.busy())
		firsts, outages = append(firsts, first), append(outages, run.outage)
	}
	params := map[string]any{"speakers": len(b.Nodes()), "where": "lab", "fault": fault.Name}
	return withNote("the slower one of a Service's two addresses; of fewer than 100 runs the greatest value is the 99th percentile",
		milliseconds("loss-to-first-gratuitous", params, firsts), milliseconds("client-outage", params, outages)), nil
}

// strike lets the victim fail, and returns how long it took until new owners of all
// its addresses had said so.
func (b *l2Bench) strike(ctx context.Context, watch *product.LANWatch, fault product.Fault) (first time.Duration, err error) {
	began := time.Now()
	if err := fault.Strike(ctx, b.victim); err != nil {
		return 0, err
	}
	for _, to := range b.ports {
		f, err := product.Gratuitous(ctx, watch.Capture, began, to.Addr(), b.anothers)
		if err != nil {
			return 0, err
		}
		first = max(first, f.Time.Sub(began))
	}
	return first, nil
}

// busy says for how long it is not known what was, where that is for long.
func (r l2Run) busy() string {
	if r.unasked < 100*time.Millisecond {
		return ""
	}
	return fmt.Sprintf(" (the machine was too busy to ask for %d ms)", r.unasked.Milliseconds())
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
)

// failoverRounds is how often each fault happens, once on each node. A node that
// was off takes long to come back, and so does any without BFD.
func failoverRounds(b product.BFD, f product.Fault) int {
	switch {
	case f.Name == product.PowerCut.Name:
		return 2
	case b == product.BFD{}:
		return 2
	}
	return 3
}

// failoverProfiles are what is compared; the last is the hold time alone, 9 s.
var failoverProfiles = []product.BFD{
	{Interval: 300 * time.Millisecond, Multiplier: 3},
	{Interval: 100 * time.Millisecond, Multiplier: 3},
	{Interval: 50 * time.Millisecond, Multiplier: 3},
	{},
}

// echoApp is the web app on every node, for datagrams.
const echoApp = `apiVersion: apps/v1
kind: DaemonSet
metadata: {name: echo, namespace: default}
spec:
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: lab.local/web:1
        imagePullPolicy: IfNotPresent
        env: [{name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
        readinessProbe: {httpGet: {port: 8080, path: /}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: default}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  selector: {app: echo}
  ports: [{protocol: UDP, port: 80, targetPort: 8080}]
`

// failover measures how long a failed node stays a next hop, and what is lost
// meanwhile, by BFD profile and by fault.
func failover(ctx context.Context) ([]Row, error) {
	l, err := lab.Up(ctx, lab.Spec{Name: "bench-bfd", Nodes: 3, Routers: 2, Clients: 1}, os.Stdout)
	if err != nil {
		return nil, err
	}
	defer l.Down(context.WithoutCancel(ctx))
	if err := product.Install(ctx, l, os.Stdout); err != nil {
		return nil, err
	}
	if err := product.Apply(ctx, l, product.Config(l, product.ConfigOptions{})+"---\n"+echoApp); err != nil {
		return nil, err
	}
	addr, err := product.WaitAddress(ctx, l, "default", "echo")
	if err != nil {
		return nil, err
	}
	f := product.Failover{Lab: l, To: netip.AddrPortFrom(addr, 80)}
	var rows []Row
	for _, f.BFD = range failoverProfiles {
		if err := product.SetBFD(ctx, l, f.BFD); err != nil {
			return rows, err
		}
		if err := f.Settle(ctx); err != nil {
			return rows, fmt.Errorf("waiting for BFD %s: %w", f.BFD, err)
		}
		for _, fault := range product.Faults {
			more, err := failoverCell(ctx, f, fault)
			rows = append(rows, more...)
			if err != nil {
				return rows, fmt.Errorf("BFD %s: %w", f.BFD, err)
			}
		}
	}
	return rows, nil
}

// failoverCell measures one fault with one BFD profile.
func failoverCell(ctx context.Context, f product.Failover, fault product.Fault) ([]Row, error) {
	var gone []time.Duration
	var lost, sent []float64
	for i := range failoverRounds(f.BFD, fault) {
		n := f.Lab.Node(i % len(f.Lab.Nodes()))
		out, err := f.Fail(ctx, n, fault)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		if err := f.Repair(ctx, n, fault); err != nil {
			return nil, err
		}
		fmt.Printf("BFD %-5s %-9s of %s: gone after %5d ms (limit %d); back after %4.1f s; %s\n", f.BFD, fault.Name, n.Name,
			out.Gone.Milliseconds(), f.BFD.Limit().Milliseconds(), time.Since(began).Seconds(), out.Delivery)
		gone = append(gone, out.Gone)
		lost = append(lost, float64(out.Delivery.Lost))
		sent = append(sent, float64(out.Delivery.Sent))
	}
	params := map[string]any{"bfd": f.BFD.String(), "fault": fault.Name}
	packets := figures("packets-lost", params, "packets", lost)
	slices.Sort(sent)
	packets.Of = median(sent)
	return []Row{milliseconds("next-hop-gone", params, gone), packets}, nil
}

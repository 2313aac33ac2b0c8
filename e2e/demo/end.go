// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"strings"
	"time"

	"metallb.io/metallb-frr/e2e/product"
)

// summary says what was seen and what one can do next.
func (s *story) summary() {
	s.step("That was it")
	t := s.drop.tally
	s.say("A node died, and both routers had let it go after %.2f s; %d of %d requests were lost.",
		s.drop.gone.Seconds(), t.Failed, t.OK()+t.Failed)
	if !s.keep {
		return
	}
	s.print(`
    What the demo applied is in ` + s.lab.Spec.Dir + `: metallb.yaml and web.yaml.

    Look around:
      make lab-shell NAME=` + s.name + `
        a shell inside the lab, with kubectl and helm
      kubectl -n metallb-system get bgppeers
        the sessions, seen from Kubernetes
      kubectl -n metallb-system exec ds/speaker -c frr -- vtysh -c "show running-config"
        what FRR on a node runs
      out/bin/lab exec -name ` + s.name + ` tor1 vtysh -c "show bgp summary"
        the same sessions, seen from a router

    Break something:
      kubectl scale deploy/web --replicas=1
        nodes without a pod withdraw their route
      out/bin/lab fault -name ` + s.name + ` power-cut n3
        and power-on n3 to let it return

    Remove it all:
      make lab-down NAME=` + s.name + `
`)
}

// trouble says what failed and how to look further.
func (s *story) trouble(err error) {
	p := &printer{w: os.Stderr, began: s.began}
	p.print("\nThe demo failed:\n")
	p.output(err.Error())
	if !strings.Contains(err.Error(), "\nds/speaker:") { // else the error has them
		p.print("\nThe load balancer's pods and the last lines of their logs:\n")
		p.output(product.Pods(s.lab))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, args := range [][]string{
		{"get", "nodes,services,pods", "-A", "-o", "wide"},
		{"-n", product.Namespace, "get", "ipaddresspools,bgppeers,bgpadvertisements,bfdprofiles"},
	} {
		p.command(append([]string{"kubectl"}, args...)...)
		text, err := s.lab.Kubectl(ctx, args...)
		if err != nil {
			text += err.Error()
		}
		p.output(text)
	}
	if !s.keep {
		return
	}
	p.print(`
Look further:
    make lab-shell NAME=` + s.name + `
    kubectl -n metallb-system logs ds/speaker --all-containers
    out/bin/lab exec -name ` + s.name + ` tor1 vtysh -c "show bgp summary"
    logs of nodes and routers: ` + s.lab.Spec.Dir + `
Remove it all:
    make lab-down NAME=` + s.name + `
`)
}

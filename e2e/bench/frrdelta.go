// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/vtysh"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// deltaEngine is a speaker's pass, from the Snapshot to FRR, in this process.
type deltaEngine struct {
	driver   *vtysh.Driver
	up, down *intent.Snapshot // with all Services, without the last
	in       *intent.Intent
	result   *plan.Result
	doc      *frr.Document
	vtysh    []int // its process number
}

func newDeltaEngine(node *host, services int) *deltaEngine {
	up := snapshotOf(services)
	return &deltaEngine{
		driver: vtysh.New(vtysh.Options{Command: node.enter("vtysh"), ConfFile: node.path("/etc/frr/frr.conf")}),
		up:     up, down: withoutLast(up),
	}
}

func (e *deltaEngine) apply(ctx context.Context, services int) (change, error) {
	s := e.up
	if services < len(s.Services) {
		s = e.down
	}
	e.in = intent.Resolve(e.in, s)
	e.result = plan.ForNode(e.result, e.in, plan.NodeFacts{Name: frrNode, Forwarding: true})
	doc, err := frr.Build(e.doc, e.result.Plan, frr.Options{})
	if err != nil {
		return change{}, err
	}
	e.doc = doc
	applied, err := e.driver.Apply(ctx, doc)
	if err == nil && len(applied.Refused) > 0 {
		err = fmt.Errorf("FRR refuses %q: %s", applied.Refused[0].Line.Text, applied.Refused[0].Message)
	}
	return change{lines: applied.Commands}, err
}

// toolCPU is that of vtysh, which runs all the time.
func (e *deltaEngine) toolCPU() (time.Duration, error) {
	if len(e.vtysh) == 0 {
		own := os.Getpid()
		var err error
		if e.vtysh, err = processes("vtysh", func(pid int) bool { return parentOf(pid) == own }); err != nil {
			return 0, err
		}
	}
	return cpu(e.vtysh)
}

func parentOf(pid int) int {
	var parent int
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if n, _ := fmt.Sscanf(line, "PPid: %d", &parent); n == 1 {
			return parent
		}
	}
	return 0
}

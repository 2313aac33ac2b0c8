// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"metallb.io/metallb-frr/pkg/intent"
)

// maxDrainWait bounds --drain-wait.
const maxDrainWait = 5 * time.Minute

// drainFlags say when and how the node leaves service.
type drainFlags struct {
	on   string
	wait time.Duration
}

func (d *drainFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&d.on, "drain-on", os.Getenv("METALLB_DRAIN_ON"), "`list` of what else takes the node out of service, separated by commas: cordon, condition/Type, condition/Type=Status, or a taint as key[=value][:Effect] (METALLB_DRAIN_ON; default: nothing)")
	fs.DurationVar(&d.wait, "drain-wait", time.Second, "`time` between marking the routes of a node that leaves service and withdrawing them, at most 5m; 0: withdraw at once")
}

// check returns the list of --drain-on, or what is wrong with the flags.
func (d *drainFlags) check() (intent.DrainOn, error) {
	if d.wait < 0 || d.wait > maxDrainWait {
		return intent.DrainOn{}, fmt.Errorf("--drain-wait %v is out of range; want 0 to %v", d.wait, maxDrainWait)
	}
	on, err := intent.ParseDrainOn(d.on)
	if err != nil {
		return intent.DrainOn{}, fmt.Errorf("reading --drain-on (METALLB_DRAIN_ON): %w", err)
	}
	return on, nil
}

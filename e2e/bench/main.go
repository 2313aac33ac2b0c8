// SPDX-License-Identifier: Apache-2.0

// Command bench measures the product on a lab cluster. Without an argument it runs
// every bench, else the one named. Each prints a table and writes its rows to
// out/bench/<name>.json.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"metallb.io/metallb-frr/e2e/lab"
)

// bench is one measurement. Its lab is made for it alone.
type bench struct {
	name string
	what string
	run  func(context.Context) ([]Row, error)
}

var benches = []bench{
	{"allocate", "2,000 Services that wait for a pool, side by side with a bare loop that patches as many; 2,000 that arrive; one among 10,000; RUNS=<n> rounds", allocate},
	{"announce", "from the creation of a Service to its address, its routes, its first answer, and back", announce},
	{"bfd-failover", "from the failure of a node to its next hop gone from the routers, and what a stream loses", failover},
	{"frr", "one change and a full load, side by side with frr-reload.py", benchFRR},
	{"l2-failover", "from the failure of a node until another one announces its addresses in layer 2, and what a client misses, at 3, 30 and 100 speakers; RUNS=<n> failures in the lab", l2Failover},
	{"l2-flood", "what a client waits for an answer of layer 2 while 50,000 questions a second come for something else", l2Flood},
	{"withdraw-1000", "from the deletion of an advertisement that carries 1,000 routes until all are gone from a router's kernel", withdraw},
	{"community-1000", "from a community added to 1,000 routes until all have it at a router, with no next hop missing meanwhile", addCommunity},
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == speakerPart {
		if err := speak(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench: speaker:", err)
			os.Exit(1)
		}
		return
	}
	lab.Main(run)
}

func run() int {
	if !lab.Inside() {
		fmt.Fprintln(os.Stderr, "bench: needs root, for network namespaces")
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	chosen := benches
	if len(os.Args) > 1 {
		chosen = slices.DeleteFunc(slices.Clone(benches), func(b bench) bool { return b.name != os.Args[1] })
	}
	if len(chosen) == 0 {
		var names []string
		for _, b := range benches {
			names = append(names, b.name)
		}
		fmt.Fprintf(os.Stderr, "bench: there is no bench %q; there is %s\n", os.Args[1], strings.Join(names, ", "))
		return 2
	}
	for _, b := range chosen {
		fmt.Printf("%s: %s\n", b.name, b.what)
		rows, err := b.run(ctx)
		if len(rows) > 0 {
			fmt.Print(table(rows))
			if werr := save(b.name, rows); err == nil {
				err = werr
			}
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench %s: %v\n", b.name, err)
			return 1
		}
	}
	return 0
}

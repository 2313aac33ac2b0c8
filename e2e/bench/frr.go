// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
)

// frrSizes are the numbers of prefixes; frrLimit is how long one load or change
// may take before an engine is given up at that size.
var frrSizes = []int{10, 100, 1000, 10_000}

const frrLimit = time.Minute

// engine brings FRR to a state and says what that took.
type engine interface {
	// apply makes the node announce the first so many Services.
	apply(ctx context.Context, services int) (change, error)
	// toolCPU is the processor time used so far by what carries the lines to
	// FRR, where that does not end with apply.
	toolCPU() (time.Duration, error)
}

// change is what it took to apply one.
type change struct {
	lines int           // that set or take away something
	tool  time.Duration // processor time of programs that have ended
}

// engineKind is one of those that are compared.
type engineKind struct {
	name   string
	root   string // below out/rootfs
	rounds int
	// pause is from one change to the next: what follows late of a change
	// (the speaker's frr.conf after a second, FRR's route-map delay-timer
	// after five) is its cost too.
	pause time.Duration
	own   bool // the speaker's own processor time counts
	note  string
	start func(node *host, services int) (engine, func())
}

var engineKinds = []engineKind{
	{
		name: "delta", root: "frr", rounds: 15, pause: 1300 * time.Millisecond, own: true,
		start: func(node *host, services int) (engine, func()) {
			e := newDeltaEngine(node, services)
			return e, func() { _ = e.driver.Close() }
		},
	},
	{
		name: "frr-reload", root: "frr-reload", rounds: 4, pause: 6 * time.Second,
		note: "frr-reload.py --test, then --reload --overwrite, at once: without MetalLB's debounce of 3 s, nor its speaker's processor time. " +
			"The prefix that comes and goes is the last of its lists. Lines are those that --test finds; each is typed twice.",
		start: func(node *host, _ int) (engine, func()) { return &reloadEngine{node}, func() {} },
	},
}

// benchFRR compares what one change and a full load cost with the product's
// engine and with frr-reload.py, on a node with four neighbours that are routers
// with FRR. There is no Kubernetes in it.
func benchFRR(ctx context.Context) ([]Row, error) {
	var rows []Row
	for _, kind := range engineKinds {
		for _, size := range frrSizes {
			more, err := measureFRR(ctx, kind, size)
			rows = append(rows, more...)
			var slow *tooSlow
			if errors.As(err, &slow) {
				fmt.Println(err)
				rows = append(rows, Row{Name: slow.row, Params: frrParams(kind, size), Unit: "ms", Note: err.Error()})
				break // larger ones are slower still
			}
			if err != nil {
				return rows, fmt.Errorf("%s with %d prefixes: %w", kind.name, size, err)
			}
		}
	}
	fmt.Print(compareEngines(rows))
	return rows, nil
}

func frrParams(kind engineKind, size int) map[string]any {
	return map[string]any{"engine": kind.name, "prefixes": size, "neighbours": neighbours}
}

// tooSlow says that an engine did not come to an end.
type tooSlow struct{ row, what string }

func (e *tooSlow) Error() string { return e.what }

// frrRun is one engine at one size.
type frrRun struct {
	kind    engineKind
	size    int
	world   *frrWorld
	engine  engine
	daemons []int
	values  map[string][]float64
}

func measureFRR(ctx context.Context, kind engineKind, size int) ([]Row, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	w, err := startWorld(ctx, kind.root)
	if err != nil {
		return nil, err
	}
	defer w.stop()
	r := &frrRun{kind: kind, size: size, world: w, values: map[string][]float64{}}
	if r.daemons, err = w.node.daemons(); err != nil {
		return nil, err
	}
	e, stop := kind.start(w.node, size)
	defer stop()
	r.engine = e
	runtime.GC() // what earlier runs left is not this one's cost
	if err := r.load(ctx); err != nil {
		return r.rows(), err
	}
	fmt.Printf("%s, %d prefixes: loaded in %.0f ms, in all neighbours' kernels\n", kind.name, size, r.values["load-wall"][0])
	services := size
	for range kind.rounds {
		services = 2*size - 1 - services // the last one goes and comes
		if err := r.change(ctx, services); err != nil {
			return r.rows(), err
		}
	}
	fmt.Printf("%s, %d prefixes: %d changes; %.0f s in all\n", kind.name, size, kind.rounds, time.Since(began).Seconds())
	return r.rows(), nil
}

// spent is processor time.
type spent struct{ daemons, own, tool time.Duration }

// meter begins to measure. The function that it returns says what was used since,
// without what measuring takes.
func (r *frrRun) meter() (func() (spent, error), error) {
	daemons, err := cpu(r.daemons)
	if err != nil {
		return nil, err
	}
	tool, err := r.engine.toolCPU()
	if err != nil {
		return nil, err
	}
	own, err := ownCPU()
	return func() (s spent, err error) {
		if s.own, err = ownCPU(); err != nil {
			return s, err
		}
		if s.daemons, err = cpu(r.daemons); err != nil {
			return s, err
		}
		s.tool, err = r.engine.toolCPU()
		return spent{s.daemons - daemons, s.own - own, s.tool - tool}, err
	}, err
}

func (r *frrRun) note(name string, d time.Duration) {
	r.values[name] = append(r.values[name], float64(d.Nanoseconds())/1e6)
}

// load loads everything into an FRR that has nothing.
func (r *frrRun) load(ctx context.Context) error {
	far, err := r.world.watchAll(ctx, r.size)
	if err != nil {
		return err
	}
	used, err := r.meter()
	if err != nil {
		return err
	}
	began := time.Now()
	c, err := r.apply(ctx, "load-wall", r.size)
	if err != nil {
		return err
	}
	wall := time.Since(began)
	last, err := far(ctx)
	if err != nil {
		return err
	}
	s, err := used()
	if err != nil {
		return err
	}
	if !r.kind.own {
		s.own = 0
	}
	r.note("load-wall", wall)
	r.note("load-cpu", s.daemons+s.own+s.tool+c.tool)
	r.note("load-daemon-cpu", s.daemons)
	r.note("load-to-far-kernel", last.Sub(began))
	return nil
}

// apply calls the engine under the time limit.
func (r *frrRun) apply(ctx context.Context, row string, services int) (change, error) {
	limited, cancel := context.WithTimeout(ctx, frrLimit)
	defer cancel()
	c, err := r.engine.apply(limited, services)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = &tooSlow{row, fmt.Sprintf("%s, %d prefixes: %s not done after %v", r.kind.name, r.size, row, frrLimit)}
	}
	return c, err
}

// change makes one change and waits until all that comes of it is over.
func (r *frrRun) change(ctx context.Context, services int) error {
	next := time.NewTimer(r.kind.pause)
	defer next.Stop()
	watching, cancel := context.WithTimeoutCause(ctx, frrLimit, errors.New("not in a minute"))
	defer cancel()
	events, err := lab.WatchRoutesAt(watching, r.world.routers[0].netns())
	if err != nil {
		return err
	}
	arrived := make(chan time.Time, 1)
	go func() {
		for e := range events {
			if e.Route.Prefix == servicePrefix(r.size-1) && e.Deleted == (services < r.size) {
				arrived <- e.Time
				return
			}
		}
		close(arrived)
	}()
	used, err := r.meter()
	if err != nil {
		return err
	}
	began := time.Now()
	c, err := r.apply(ctx, "change-to-far-kernel", services)
	if err != nil {
		return err
	}
	at, ok := <-arrived
	if !ok {
		return fmt.Errorf("%s is not in the far kernel as it should be: %w", servicePrefix(r.size-1), context.Cause(watching))
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-next.C:
	}
	s, err := used()
	if err != nil {
		return err
	}
	r.values["change-lines-sent"] = append(r.values["change-lines-sent"], float64(c.lines))
	r.note("change-daemon-cpu", s.daemons)
	if r.kind.own {
		r.note("change-speaker-cpu", s.own)
	}
	r.note("change-tool-cpu", c.tool+s.tool)
	r.note("change-to-far-kernel", at.Sub(began))
	return nil
}

// rows are in this order.
var frrRows = []string{
	"change-lines-sent", "change-daemon-cpu", "change-speaker-cpu", "change-tool-cpu", "change-to-far-kernel",
	"load-wall", "load-cpu", "load-daemon-cpu", "load-to-far-kernel",
}

func (r *frrRun) rows() []Row {
	var rows []Row
	for _, name := range frrRows {
		if values := r.values[name]; len(values) > 0 {
			unit := "ms"
			if name == "change-lines-sent" {
				unit = "lines"
			}
			row := figures(name, frrParams(r.kind, r.size), unit, values)
			row.Note = r.kind.note
			rows = append(rows, row)
		}
	}
	return rows
}

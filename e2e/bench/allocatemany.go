// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// among measures single Services among many, and what the controller is made of
// then.
func (b *allocateBench) among(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	profiles := fmt.Sprintf("127.0.0.1:%d", port)
	p, err := startController(b.kubeconfig, "--pprof-bind-address="+profiles)
	if err != nil {
		return err
	}
	err = b.amongMany(ctx, p, "http://"+profiles+"/debug/pprof/")
	if stopped := p.stop(); err == nil {
		err = stopped
	}
	return err
}

func (b *allocateBench) amongMany(ctx context.Context, p *program, profiles string) error {
	if err := b.Create(ctx, pool()); err != nil {
		return err
	}
	names := serviceNames("m", mostServices)
	if err := b.fill(ctx, names[:manyServices]); err != nil {
		return err
	}
	few, err := goroutines(ctx, profiles)
	if err != nil {
		return err
	}
	before, err := cpu([]int{p.cmd.Process.Pid})
	if err != nil {
		return err
	}
	for _, name := range serviceNames("s", singles) {
		took, err := clocked(ctx, func(ctx context.Context) error {
			if err := b.create(ctx, []string{name}); err != nil {
				return err
			}
			return b.witness.all(ctx, []string{name}, "given an address", holding)
		})
		if err != nil {
			return err
		}
		b.note("single", took)
		if took, err = clocked(ctx, func(ctx context.Context) error { return b.remove(ctx, []string{name}) }); err != nil {
			return err
		}
		b.note("single-removed", took)
	}
	after, err := cpu([]int{p.cmd.Process.Pid})
	if err != nil {
		return err
	}
	b.note("single-cpu", float64((after-before).Microseconds())/1000/singles)
	if err := b.fill(ctx, names[manyServices:]); err != nil {
		return err
	}
	heap, err := heapInUse(ctx, profiles)
	if err != nil {
		return err
	}
	b.note("heap-16000", heap/1e6)
	many, err := goroutines(ctx, profiles)
	if err != nil {
		return err
	}
	b.note("goroutines-10000", few)
	b.note("goroutines-16000", many)
	return nil
}

func (b *allocateBench) fill(ctx context.Context, names []string) error {
	took, err := clocked(ctx, func(ctx context.Context) error {
		if err := b.create(ctx, names); err != nil {
			return err
		}
		return b.witness.all(ctx, names, "given an address", holding)
	})
	fmt.Printf("%d Services more have come and have addresses: %.0f ms\n", len(names), took)
	return err
}

// freePort returns a TCP port of 127.0.0.1 that nobody listens on now.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// lineOf returns what follows prefix in the first line of a profile that begins so.
func lineOf(ctx context.Context, url, prefix string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("asking the controller for a profile: %w", err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), prefix); ok {
			return strconv.ParseFloat(strings.TrimSpace(text), 64)
		}
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("reading the controller's profile %s: %w", url, err)
	}
	return 0, fmt.Errorf("the controller's profile %s (%s) has no line %q", url, answer.Status, prefix)
}

func heapInUse(ctx context.Context, profiles string) (float64, error) {
	return lineOf(ctx, profiles+"heap?debug=1&gc=1", "# HeapAlloc =")
}

func goroutines(ctx context.Context, profiles string) (float64, error) {
	return lineOf(ctx, profiles+"goroutine?debug=1", "goroutine profile: total")
}

// allocateRows are in this order.
var allocateRows = []struct{ name, unit string }{
	{"pending-2000", "ms"}, {"pending-2000-bare", "ms"}, {"pending-2000-ratio", "times bare"}, {"pending-2000-bare-1-writer", "ms"}, {"pending-2000-cpu", "ms"},
	{"arriving-2000", "ms"}, {"arriving-2000-bare", "ms"}, {"arriving-2000-ratio", "times bare"},
	{"single", "ms"}, {"single-removed", "ms"}, {"single-cpu", "ms"},
	{"heap-16000", "MB"}, {"goroutines-10000", "goroutines"}, {"goroutines-16000", "goroutines"},
}

func (b *allocateBench) rows(load string) []Row {
	var rows []Row
	for _, r := range allocateRows {
		values := b.values[r.name]
		if len(values) == 0 {
			continue
		}
		params := map[string]any{"writers": allocateWriters}
		if strings.HasPrefix(r.name, "single") {
			params = map[string]any{"among": manyServices}
		}
		rows = append(rows, figures(r.name, params, r.unit, values))
	}
	return withNote(bareNote+" "+allocateNote+" The machine's load before: "+load+".", rows...)
}

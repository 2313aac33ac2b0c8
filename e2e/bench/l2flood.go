// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"metallb.io/metallb-frr/e2e/wire"
)

const (
	// l2FloodRate is how many questions a second are sent, and l2FloodTime for
	// how long.
	l2FloodRate = 50_000
	l2FloodTime = 10 * time.Second
	// l2Asking is between two questions of the other client's, and l2Patience how
	// long it waits for an answer.
	l2Asking   = 10 * time.Millisecond
	l2Patience = 200 * time.Millisecond
)

// The floods: what is asked for.
const (
	floodNone      = "none"
	floodAnnounced = "an address that is announced"
	floodOthers    = "addresses that are not"
)

// l2Flood measures what a speaker's responder does for a client while another
// station on the network asks without end.
func l2Flood(ctx context.Context) ([]Row, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	w := &floodWorld{changed: make(chan struct{}, 1)}
	defer w.close()
	if err := w.build(ctx); err != nil {
		return nil, err
	}
	var rows []Row
	load := machineLoad()
	for f := range w.announced {
		for _, kind := range []string{floodNone, floodAnnounced, floodOthers} {
			more, err := w.measure(ctx, f, kind)
			for _, r := range more {
				r.Params["load"] = load
			}
			rows = append(rows, more...)
			if err != nil {
				return rows, fmt.Errorf("a flood for %s, %s: %w", kind, families[f], err)
			}
		}
	}
	return withNote(fmt.Sprintf("Speaker, flooder, client and switch share %d cores; the questions go to all, each from another address, and pass the switch. "+
		"A question of the client's that hears nothing for %v counts as missing its answer. responder-cpu is the speaker's process; what the kernel does to deliver a frame counts to its sender.", runtime.NumCPU(), l2Patience), rows...), nil
}

var families = []string{"ipv4", "ipv6"}

// floodWorld is a LAN with one speaker, a client and a flooder.
type floodWorld struct {
	sw              *space
	node            *l2Node
	client, flooder *space
	announced       [2][2]netip.Addr // by family: the client's, the flood's
	changed         chan struct{}
}

func (w *floodWorld) build(ctx context.Context) (err error) {
	if w.sw, err = newSwitch(); err != nil {
		return err
	}
	if w.node, err = newL2Node(0, w.sw, w.changed); err != nil {
		return err
	}
	if w.client, err = newL2Station(l2Client, w.sw); err != nil {
		return err
	}
	if w.flooder, err = newL2Station(l2Flooder, w.sw); err != nil {
		return err
	}
	conf := speakerConf{Node: w.node.name(), Manifests: l2Announced + w.node.manifest()}
	a4, a6 := service4.Addr().Next(), service6.Addr().Next()
	for i := range 2 {
		w.announced[0][i], w.announced[1][i] = a4, a6
		conf.Manifests += l2Service(fmt.Sprintf("s%d", i), a4, a6)
		a4, a6 = a4.Next(), a6.Next()
	}
	if err := w.node.start(ctx, conf); err != nil {
		return err
	}
	return w.until(ctx, "the addresses are announced", func(s speakerSays) bool { return s.Owns == 4 })
}

func (w *floodWorld) until(ctx context.Context, what string, ok func(speakerSays) bool) error {
	limit := time.After(l2Wait)
	for !ok(w.node.now()) {
		select {
		case <-w.changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit:
			return fmt.Errorf("not within %v: %s", l2Wait, what)
		}
	}
	return nil
}

// floodUse is what a speaker has done and used.
type floodUse struct {
	speakerStats
	cpu time.Duration
}

func (w *floodWorld) use(ctx context.Context) (u floodUse, err error) {
	if u.cpu, err = cpu([]int{w.node.run.cmd.Process.Pid}); err != nil {
		return u, err
	}
	w.node.mu.Lock()
	w.node.said.Stats = nil
	w.node.mu.Unlock()
	if err := w.node.tell(speakerWord{Stats: true}); err != nil {
		return u, err
	}
	err = w.until(ctx, "the speaker says what it has done", func(s speakerSays) bool {
		if s.Stats != nil {
			u.speakerStats = *s.Stats
		}
		return s.Stats != nil
	})
	return u, err
}

// measure asks while a flood is under way.
func (w *floodWorld) measure(ctx context.Context, f int, kind string) ([]Row, error) {
	before, err := w.use(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	var waits []time.Duration
	var asked int
	ask := func() (err error) {
		waits, asked, err = askFor(ctx, w.client, l2Client, w.announced[f][0], l2FloodTime)
		return err
	}
	sent := 0
	if kind == floodNone {
		err = ask()
	} else {
		sent, err = flood(ctx, w.flooder, w.questions(f, kind), l2FloodRate, ask)
	}
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := w.use(ctx)
	if err != nil {
		return nil, err
	}
	rate := float64(sent) / took.Seconds()
	if answered := after.Responses - before.Responses; answered < uint64(len(waits)) {
		return nil, fmt.Errorf("the speaker counts %d answers and the client %d", answered, len(waits))
	}
	params := map[string]any{"family": families[f], "flood": kind, "rate": int(rate)}
	one := func(name, unit string, v float64) Row { return figures(name, params, unit, []float64{v}) }
	lost := one("answers-missing", "questions", float64(asked-len(waits)))
	lost.Of = float64(asked)
	rows := []Row{milliseconds("answer", params, waits), lost}
	rows = append(rows, one("responder-cpu", "ms/s", 1000*(after.cpu-before.cpu).Seconds()/took.Seconds()),
		one("heap-before", "KiB", float64(before.Heap/1024)), one("heap-after", "KiB", float64(after.Heap/1024)),
		one("heap-of-the-system", "KiB", float64(after.HeapPeak/1024)), one("allocations", "1/s", float64(after.Allocations-before.Allocations)/took.Seconds()))
	if sent > 0 {
		answered := one("flood-answered", "1/s", float64(after.Responses-before.Responses-uint64(len(waits)))/took.Seconds())
		answered.Of = rate
		rows = append(rows, answered)
	}
	return rows, nil
}

// questions are those of a flood, to be sent over and over: each from another
// address of the flooder's, and for others each asks for another.
func (w *floodWorld) questions(f int, kind string) [][]byte {
	var out [][]byte
	for i := range 4096 {
		hi, lo := byte(i>>8), byte(i)
		from, target := netip.AddrFrom4([4]byte{10, 80, 64 + hi, lo}), netip.AddrFrom4([4]byte{10, 80, 192 + hi, lo})
		if f == 1 {
			// They end as the announced one does, so that they are sent to the
			// same group and the node has to look at them.
			b := w.announced[1][1].As16()
			b[10], b[11] = 1+hi, lo
			target = netip.AddrFrom16(b)
			from = netip.AddrFrom16([16]byte{0xfd, 0x80, 13: 4, 14: hi, 15: lo})
		}
		if kind == floodAnnounced {
			target = w.announced[f][1]
		}
		out = append(out, wire.NewQuery(l2Flooder.mac(), from, target))
	}
	return out
}

func (w *floodWorld) close() {
	if w.node != nil {
		w.node.close()
	}
	for _, s := range []*space{w.client, w.flooder, w.sw} {
		if s != nil {
			s.close()
		}
	}
}

// flood sends questions, so many a second, while do runs, and returns how many were
// sent.
func flood(ctx context.Context, from *space, questions [][]byte, rate int, do func() error) (int, error) {
	socket, err := packetSocket(from, "eth0", nil)
	if err != nil {
		return 0, err
	}
	defer socket.close()
	stop, done := make(chan struct{}), make(chan error, 1)
	sent := 0
	go func() {
		runtime.LockOSThread() // it is another machine
		defer runtime.UnlockOSThread()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for began := time.Now(); ; {
			for due := int(time.Since(began).Seconds() * float64(rate)); sent < due; sent++ {
				if err := socket.send(questions[sent%len(questions)]); err != nil {
					done <- fmt.Errorf("flooding: %w", err)
					return
				}
			}
			select {
			case <-stop:
				done <- nil
				return
			case <-ctx.Done():
				done <- context.Cause(ctx)
				return
			case <-tick.C:
			}
		}
	}()
	err = do()
	close(stop)
	return sent, errors.Join(err, <-done)
}

// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"metallb.io/metallb-frr/pkg/frr"
)

// ErrDraining: the frr container is on its way out and takes its routes back;
// nothing is loaded before it has started again.
var ErrDraining = errors.New("the frr container is leaving the network")

// ErrUnknown: nothing has been applied yet, or a daemon has lost its
// configuration; the next Apply reads back what is in force.
var ErrUnknown = errors.New("what FRR has in force is not known")

// watched is what the Driver knows of changes behind its back.
type watched struct {
	last  *frr.Document // what the last successful Apply left in force; nil: none did
	found []frr.Command // what Drift last found

	// The running configuration that was last found to agree, and with what:
	// the same text need not be read twice.
	text   string
	agrees *frr.Document

	// odd are differences that a repair did not remove: how FRR prints lines of
	// ours. mended are those typed since the last time that all agreed.
	odd, mended map[string]bool
}

// Drift reads FRR's running configuration and returns the commands that would
// make it what the last Apply left in force; none: nobody has changed it. Lines
// that FRR is known to print in another form than they were typed do not count.
// It changes nothing.
//
// An error is ErrUnknown, ErrDraining, or one of Apply's.
func (d *Driver) Drift(ctx context.Context) ([]frr.Command, error) {
	if err := d.take(ctx); err != nil {
		return nil, fmt.Errorf("waiting to check FRR: %w", err)
	}
	defer d.give()
	text, err := d.running(ctx)
	if err != nil {
		return nil, fmt.Errorf("checking FRR for changes: %w", err)
	}
	d.watched.found = d.differs(text)
	return d.watched.found, nil
}

// running returns the running configuration, where there is something to compare
// it with.
func (d *Driver) running(ctx context.Context) (string, error) {
	if err := d.stays(); err != nil {
		return "", err
	}
	if d.forget.Load() || d.watched.last == nil {
		return "", ErrUnknown
	}
	if err := d.start(ctx); err != nil {
		return "", err
	}
	text, err := d.shell.ask(ctx, "show running-config")
	if err != nil {
		return "", d.lost(err)
	}
	// The marker is there before the first line of the container's: what was
	// read without it has none of them.
	return text, d.stays()
}

// differs compares a running configuration with what is in force.
func (d *Driver) differs(text string) []frr.Command {
	w := &d.watched
	if text == w.text && w.agrees == w.last {
		d.inForce = w.last
		return nil
	}
	all := frr.Diff(frr.ParseRunning(text), w.last).Commands
	now := ids(all)
	for id := range w.odd {
		if !now[id] {
			delete(w.odd, id) // FRR prints it as we do now
		}
	}
	all = slices.DeleteFunc(all, func(c frr.Command) bool { return w.odd[lineID(c.Line)] })
	if len(all) == 0 {
		w.text, w.agrees, w.mended = text, w.last, nil
		d.inForce = w.last // it may have been unknown since vtysh ended
	}
	return all
}

func ids(commands []frr.Command) map[string]bool {
	m := make(map[string]bool, len(commands))
	for _, c := range commands {
		m[lineID(c.Line)] = true
	}
	return m
}

// Repaired is what became of a repair.
type Repaired struct {
	frr.Applied
	// Found are the commands that led back.
	Found []frr.Command
	// Odd are those of them that changed nothing: FRR prints what they set in
	// another form. Drift does not return them any more.
	Odd []frr.Command
}

// Repair makes FRR's running configuration that of doc, which is the one last
// applied or its successor, whatever somebody did to it. Lines that FRR refused
// are tried again once, if there was anything to repair. What is as it should be
// is not touched. Errors are those of Drift.
func (d *Driver) Repair(ctx context.Context, doc *frr.Document) (Repaired, error) {
	if err := d.take(ctx); err != nil {
		return Repaired{}, fmt.Errorf("waiting to repair FRR's configuration: %w", err)
	}
	defer d.give()
	r, err := d.repair(ctx, doc)
	if err != nil {
		return Repaired{}, fmt.Errorf("repairing FRR's configuration: %w", err)
	}
	if d.file != nil {
		d.file.keep(d.inForce)
	}
	return r, nil
}

func (d *Driver) repair(ctx context.Context, doc *frr.Document) (Repaired, error) {
	text, err := d.running(ctx)
	if err != nil {
		return Repaired{}, err
	}
	w := &d.watched
	r := Repaired{Found: d.differs(text)}
	w.found = nil
	if len(r.Found) > 0 {
		if w.mended == nil {
			w.mended = map[string]bool{}
		}
		for _, c := range r.Found {
			w.mended[lineID(c.Line)] = true
		}
		d.inForce, d.refused = frr.ParseRunning(text), nil
	}
	if r.Applied, err = d.load(ctx, doc); err != nil {
		return Repaired{}, d.lost(err)
	}
	if len(r.Found) == 0 {
		return r, nil
	}
	if text, err = d.running(ctx); err != nil {
		return Repaired{}, err
	}
	for _, c := range d.differs(text) {
		// Also one that an earlier repair has typed: two lines that undo each
		// other must not go on for ever.
		if id := lineID(c.Line); w.mended[id] {
			if w.odd == nil {
				w.odd = map[string]bool{}
			}
			w.odd[id] = true
			r.Odd = append(r.Odd, c)
		}
	}
	return r, nil
}

// Tolerate says whether an operator is at work: while it is on, what Drift last
// found stays as it is also where an Apply reads back what is running. Changes of
// the Document are typed all the same.
func (d *Driver) Tolerate(on bool) { d.tolerate.Store(on) }

// tolerated returns the commands that are not to be typed after reading back.
func (d *Driver) tolerated() map[string]bool {
	if !d.tolerate.Load() {
		return nil
	}
	return ids(d.watched.found)
}

// Draining reports whether the frr container is on its way out.
func (d *Driver) Draining() bool { return errors.Is(d.stays(), ErrDraining) }

// stays returns ErrDraining while the frr container is on its way out.
func (d *Driver) stays() error {
	if d.opts.RunDir == "" {
		return nil
	}
	switch _, err := os.Stat(filepath.Join(d.opts.RunDir, "draining")); {
	case err == nil:
		return ErrDraining
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return fmt.Errorf("looking whether the frr container is leaving: %w", err)
	}
}

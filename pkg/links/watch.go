// SPDX-License-Identifier: Apache-2.0

package links

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vishvananda/netlink/nl"
)

// many is the number of interfaces above which all are read at once instead of
// one by one.
const many = 64

// How long after a failure what could not be read is read again, if no change
// comes before.
const (
	retry = time.Second
	// retryInterrupted: interfaces came and went while all were read.
	retryInterrupted = 10 * time.Millisecond
)

// Options say how to watch. The zero value is good.
type Options struct {
	// ReceiveBuffer is how much the kernel may hold for us to take, in bytes;
	// it grants at most net.core.rmem_max. Zero: 1 MiB. When it is full,
	// everything is read again.
	ReceiveBuffer int
	// Trouble is told what could not be read; it is tried again. Nil: nobody
	// is.
	Trouble func(error)
}

// Watch reports the interfaces of the calling thread's network namespace, sorted
// by name: all of them at once, and again all of them after each change of
// anything that Link says. What changes while report runs goes into the next
// report; nothing is reported twice in a row. Those that vanish, or cannot be
// read, cost the others nothing.
//
// It returns nil when ctx ends, or an error when the kernel cannot be asked at
// all. report is called on the caller's goroutine, and never afterwards.
func Watch(ctx context.Context, o Options, report func([]Link)) error {
	if o.ReceiveBuffer == 0 {
		o.ReceiveBuffer = receiveBuffer
	}
	if o.Trouble == nil {
		o.Trouble = func(error) {}
	}
	e, err := newEvents(o.ReceiveBuffer)
	if err != nil {
		return err
	}
	defer e.close()
	defer context.AfterFunc(ctx, e.close)()
	w := watcher{events: e, trouble: o.Trouble, report: report, due: due{all: true}}
	err = w.run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// watcher is one Watch.
type watcher struct {
	events  *events
	trouble func(error)
	report  func([]Link)

	due   due
	links map[int]Link // by index; nil: not read yet
	told  []Link       // the last report; nil: none
}

func (w *watcher) run(ctx context.Context) error {
	for {
		err := w.read()
		var limit time.Duration
		switch {
		case errors.Is(err, nl.ErrDumpInterrupted):
			limit = retryInterrupted
		case err != nil && w.links == nil:
			return err
		case err != nil:
			w.trouble(err)
			limit = retry
		}
		if ctx.Err() != nil {
			return nil
		}
		w.tell()
		if err := w.events.wait(&w.due, limit); err != nil {
			return fmt.Errorf("waiting for changes of interfaces: %w", err)
		}
	}
}

// read reads what is due. What cannot be read stays due, and known as before.
func (w *watcher) read() error {
	d := w.due
	w.due = due{}
	if !d.any() {
		return nil
	}
	r, err := newReader(w.trouble)
	if err != nil {
		w.due = d
		return err
	}
	defer r.close()
	if d.all || len(d.links) > many {
		links, err := r.all()
		if err != nil {
			w.due.all = true
			return err
		}
		w.links = links
		return nil
	}
	var errs []error
	for index, link := range d.links {
		if err := w.readOne(r, index, link); err != nil {
			w.due.add(index, link)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// readOne reads an interface. Where only an address changed, and its addresses do
// not matter, it need not be.
func (w *watcher) readOne(r *reader, index int, link bool) error {
	if known, ok := w.links[index]; ok && !link && !known.resolves() {
		return nil
	}
	l, err := r.one(index)
	switch {
	case errors.Is(err, errGone):
		delete(w.links, index)
	case err != nil:
		return err
	default:
		w.links[index] = l
	}
	return nil
}

// tell reports what there is if it is not what was last reported.
func (w *watcher) tell() {
	if w.links == nil {
		return
	}
	now := sorted(w.links)
	if w.told != nil && slices.EqualFunc(w.told, now, Link.Equal) {
		return
	}
	w.told = now
	w.report(slices.Clone(now))
}

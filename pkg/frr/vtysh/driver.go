// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"metallb.io/metallb-frr/pkg/frr"
)

// Options say how a Driver reaches FRR. The zero value reaches the one whose
// vtysh is found in $PATH, and keeps no file.
type Options struct {
	// Command starts vtysh; nil: "vtysh".
	Command []string
	// ConfFile is where the configuration in force is kept for FRR's next
	// start; empty: nowhere. It is replaced at most once a second.
	ConfFile string
	// RunDir is where FRR's daemons have their sockets, and where the frr
	// container leaves the file "draining" while it is on its way out, and
	// takes requests; empty: unknown. Watch needs it.
	RunDir string
	// Daemons must all run; nil: zebra, mgmtd, bgpd and bfdd.
	Daemons []string
	// Timeout is for one exchange with FRR, to which 10 ms are added for each
	// line that is typed and 1 ms for each network of many; 0: 10 s.
	Timeout time.Duration
	// OnError hears of errors in keeping ConfFile; nil: the next Apply
	// returns them. It is called from a goroutine of the Driver's.
	OnError func(error)
	// OnFound hears which FRR there is, once for each start of bgpd; nil:
	// nobody. It must not call the Driver.
	OnFound func(Found)
}

// Driver is FRR as seen through one vtysh. Its methods may be called from
// several goroutines.
type Driver struct {
	opts     Options
	turn     chan struct{} // held by who talks to FRR
	forget   atomic.Bool
	tolerate atomic.Bool
	file     *confFile
	fails    chan error // the latest error in keeping the file, without OnError

	// With the turn:
	shell    *shell        // nil: none runs
	inForce  *frr.Document // nil: unknown
	readBack bool          // inForce is what was running, and not yet worked on
	refused  refusals
	watched  watched
	stuck    stuckLock
	found    Found
	closed   bool
}

// DownError says that a daemon of FRR's does not run, or ended meanwhile.
type DownError struct{ Daemon string }

func (e *DownError) Error() string { return "FRR's " + e.Daemon + " is not running" }

// errClosed is returned after Close.
var errClosed = errors.New("the vtysh driver is closed")

// Daemons returns those of FRR's that a node runs.
func Daemons() []string { return []string{"zebra", "mgmtd", "bgpd", "bfdd"} }

// New returns a Driver. It starts nothing yet.
func New(o Options) *Driver {
	if o.Command == nil {
		o.Command = []string{"vtysh"}
	}
	if o.Daemons == nil {
		o.Daemons = Daemons()
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	d := &Driver{opts: o, turn: make(chan struct{}, 1), fails: make(chan error, 1)}
	if o.ConfFile != "" {
		d.file = &confFile{path: o.ConfFile, fail: d.fileFailed}
	}
	return d
}

func (d *Driver) fileFailed(err error) {
	if d.opts.OnError != nil {
		d.opts.OnError(err)
		return
	}
	select {
	case <-d.fails: //nolint:errcheck // an older one, which nobody asked for
	default:
	}
	d.fails <- err
}

// take waits for the turn.
func (d *Driver) take(ctx context.Context) error {
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if d.closed {
		<-d.turn
		return errClosed
	}
	return nil
}

func (d *Driver) give() { <-d.turn }

// Apply brings FRR to the whole desired configuration by typing what differs
// from the one in force. Lines that FRR does not accept are in Applied.Refused,
// at each Apply, and are typed again only when their fragment changed, something
// else but networks was taken away, or FRR restarted; all others are in force.
//
// An error means that FRR could not be asked: a DownError, ErrLocked,
// ErrDraining, vtysh itself, the context. What is in force is then unknown, and the next Apply
// reads it back first. Where the error is one of keeping ConfFile, Applied is
// valid all the same.
func (d *Driver) Apply(ctx context.Context, doc *frr.Document) (frr.Applied, error) {
	if err := d.take(ctx); err != nil {
		return frr.Applied{}, fmt.Errorf("waiting to configure FRR: %w", err)
	}
	defer d.give()
	applied, err := d.apply(ctx, doc)
	var gone *lostError
	if errors.As(err, &gone) {
		// A daemon was restarted since the last exchange: a new vtysh knows.
		applied, err = d.apply(ctx, doc)
	}
	if err != nil {
		return frr.Applied{}, fmt.Errorf("configuring FRR: %w", err)
	}
	if d.file != nil {
		d.file.keep(d.inForce)
	}
	select {
	case err := <-d.fails:
		return applied, err
	default:
		return applied, nil
	}
}

func (d *Driver) apply(ctx context.Context, doc *frr.Document) (frr.Applied, error) {
	if err := d.stays(); err != nil {
		return frr.Applied{}, err
	}
	if d.forget.Swap(false) {
		d.stop()
	}
	if err := d.start(ctx); err != nil {
		return frr.Applied{}, err
	}
	if d.inForce == nil {
		running, err := d.shell.ask(ctx, "show running-config")
		if err != nil {
			return frr.Applied{}, d.lost(err)
		}
		if err := d.stays(); err != nil {
			return frr.Applied{}, err // what was read may be the container's
		}
		d.inForce, d.refused, d.readBack = frr.ParseRunning(running), nil, true
	}
	applied, err := d.load(ctx, doc)
	if err != nil {
		return frr.Applied{}, d.lost(err)
	}
	return applied, nil
}

// load types the difference and notes what is in force then.
func (d *Driver) load(ctx context.Context, doc *frr.Document) (frr.Applied, error) {
	delta := frr.Diff(d.inForce, doc)
	if d.readBack {
		leave := d.tolerated()
		delta.Commands = slices.DeleteFunc(delta.Commands, func(c frr.Command) bool { return leave[lineID(c.Line)] })
	}
	known := d.refused.still(doc).unless(delta.Commands)
	l := &loader{driver: d, known: known, all: delta.Commands}
	if err := l.load(ctx); err != nil {
		return frr.Applied{}, err
	}
	if err := l.retry(ctx); err != nil {
		return frr.Applied{}, err
	}
	if err := d.clear(ctx, delta.SoftOut); err != nil {
		return frr.Applied{}, err
	}
	d.refused = newRefusals(doc, l.refused)
	d.inForce = settle(d.inForce, doc, l.refused)
	d.watched.last, d.readBack, d.stuck.since = d.inForce, false, time.Time{}
	return frr.Applied{Commands: l.sent, Refused: l.list()}, nil
}

// clear has FRR evaluate out maps again. Where it does not know the neighbour
// (its lines were refused) there is nothing to do, and where it does not listen
// the route-map delay-timer does the same a second later.
func (d *Driver) clear(ctx context.Context, clears []frr.SoftClear) error {
	var lines []string
	for _, c := range clears {
		vrf := ""
		if c.VRF != "" {
			vrf = "vrf " + c.VRF + " "
		}
		lines = append(lines, "clear bgp "+vrf+c.Family+" unicast "+c.Neighbor+" soft out")
	}
	for part := range slices.Chunk(lines, window) {
		if _, err := d.shell.exchange(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// Forget tells the Driver that FRR may have restarted: the next Apply reads back
// what is in force and types the difference. It does not wait.
func (d *Driver) Forget() { d.forget.Store(true) }

// start has a vtysh running that all daemons answer to.
func (d *Driver) start(ctx context.Context) error {
	if d.shell != nil {
		return nil
	}
	s, err := startShell(d.opts.Command, d.opts.Timeout)
	if err != nil {
		return err
	}
	d.shell, d.inForce = s, nil
	if _, err := s.ask(ctx, "terminal length 0"); err != nil {
		return d.lost(err)
	}
	if err := d.discover(ctx); err != nil {
		return d.lost(err)
	}
	daemons, err := s.ask(ctx, "show daemons")
	if err != nil {
		return d.lost(err)
	}
	for _, name := range d.opts.Daemons {
		if !containsWord(daemons, name) {
			return d.lost(&DownError{Daemon: name})
		}
	}
	return nil
}

// lost ends vtysh: what FRR has done, or will say, is unknown. A daemon that has
// ended has also lost its configuration.
func (d *Driver) lost(err error) error {
	var down *DownError
	if errors.As(err, &down) {
		d.forget.Store(true)
	}
	d.stop()
	return d.unstick(err)
}

func (d *Driver) stop() {
	if d.shell != nil {
		d.shell.kill()
	}
	d.shell, d.inForce = nil, nil
}

// Close writes the file if that is due and ends vtysh. FRR goes on as it is.
func (d *Driver) Close() error {
	d.turn <- struct{}{}
	defer d.give()
	if d.closed {
		return nil
	}
	d.closed = true
	d.stop()
	if d.file == nil {
		return nil
	}
	return d.file.close()
}

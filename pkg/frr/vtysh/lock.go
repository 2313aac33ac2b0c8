// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrLocked: FRR's configuration is locked; it is worth a retry.
var ErrLocked = errors.New("FRR's configuration is locked")

// errStuck: it is mgmtd that holds the lock, and no session of anybody's. mgmtd
// locks the datastore "running" for some milliseconds while it hands zebra its
// configuration. FRR 10.3 now and then never releases it, where another session
// ends at that very moment (observed; 1 in 60 restarts of all daemons): from then
// on every route-map is refused, until mgmtd is started again. A session, other
// than mgmtd, locks the datastore "candidate" first, so the two can be told apart.
var errStuck = fmt.Errorf("%w by mgmtd itself", ErrLocked)

// lockPatience is how long mgmtd may hold its own lock, and how long it is left
// alone after it was asked to start again.
const (
	lockPatience = 2 * time.Second
	lockRest     = 10 * time.Second
)

// requests is the pipe in Options.RunDir on which the frr container takes the
// names of daemons that it is to start again.
const requests = "requests"

// stuckLock follows how long mgmtd has been holding its own lock.
type stuckLock struct{ since, asked time.Time }

// lockError is the error for a line that FRR refused with a verdict of locked.
func (v verdict) lockError() error {
	if strings.Contains(v.refusal, "running DS") {
		return fmt.Errorf("%w (%s)", errStuck, v.refusal)
	}
	return fmt.Errorf("%w by another session (%s)", ErrLocked, v.refusal)
}

// unstick has mgmtd started again where it has been holding its own lock for too
// long. Nothing else ends with it: what bgpd and zebra have in force stays.
func (d *Driver) unstick(err error) error {
	now := time.Now()
	switch {
	case !errors.Is(err, errStuck):
		d.stuck.since = time.Time{}
		return err
	case d.stuck.since.IsZero():
		d.stuck.since = now
	}
	if d.opts.RunDir == "" || now.Sub(d.stuck.since) < lockPatience {
		return err
	}
	if now.Sub(d.stuck.asked) >= lockRest {
		if asked := request(filepath.Join(d.opts.RunDir, requests), "mgmtd"); asked != nil {
			return fmt.Errorf("%w; asking the frr container to start mgmtd again: %w", err, asked)
		}
		d.stuck.asked = now
	}
	return fmt.Errorf("%w; mgmtd is being started again", err)
}

// request writes the name of a daemon to the pipe, unless nobody reads it.
func request(pipe, daemon string) error {
	f, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(daemon + "\n")
	return err
}

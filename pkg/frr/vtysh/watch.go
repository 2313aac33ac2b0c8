// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"time"
)

// DaemonEvent tells that a daemon of FRR's takes commands, or has ended.
type DaemonEvent struct {
	Daemon string
	Up     bool
	// At is when it was noticed.
	At time.Time
}

// redial is the pause between two attempts to reach a daemon that does not run:
// the kernel tells the end of a daemon, but not when the next one listens.
const redial = 100 * time.Millisecond

// Watch keeps an idle connection to each daemon's command socket in
// Options.RunDir and reports when it ends, which is within milliseconds of the
// daemon's own end, and when the daemon can be reached again. A daemon that runs
// when Watch begins is reported as up. Watch returns when ctx ends; it neither
// asks nor configures anything.
func (d *Driver) Watch(ctx context.Context, report func(DaemonEvent)) {
	var all sync.WaitGroup
	for _, daemon := range d.opts.Daemons {
		all.Go(func() { watch(ctx, filepath.Join(d.opts.RunDir, daemon+".vty"), daemon, report) })
	}
	all.Wait()
}

func watch(ctx context.Context, socket, daemon string, report func(DaemonEvent)) {
	again := time.NewTicker(redial)
	defer again.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err == nil {
			report(DaemonEvent{Daemon: daemon, Up: true, At: time.Now()})
			wait(ctx, conn)
			if ctx.Err() == nil {
				report(DaemonEvent{Daemon: daemon, At: time.Now()})
			}
			// A process that is just ending may still take connections.
			again.Reset(redial)
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// wait returns when the connection or ctx ends. What the daemon says on it, which
// is nothing, is dropped.
func wait(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	for buf := make([]byte, 256); ; {
		if _, err := conn.Read(buf); err != nil {
			return
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// startForward starts the process that hands connections to the API server's
// loopback port on to the control plane.
func (l *Lab) startForward(ctx context.Context) error {
	log, err := os.Create(filepath.Join(l.Spec.Dir, "forward.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := self(stageFwd)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, log, log
	// The descriptor came from outside and is not closed here: it would be
	// closed a second time by its finalizer otherwise.
	cmd.ExtraFiles = []*os.File{outerListener()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the forwarder: %w", err)
	}
	go cmd.Wait()
	if err := recordPid("forward", cmd.Process.Pid); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return poll(ctx, "the forwarder", 20*time.Millisecond, func() error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp4", "127.0.0.1:"+l.port)
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

// outerListener is the one file for listenerFD, so that it is never closed.
var outerListener = sync.OnceValue(func() *os.File { return os.NewFile(listenerFD, "outer listener") })

// forwardStage serves the loopback port of the machine, whose listener it has
// inherited, and the same port inside the lab.
func forwardStage() error {
	outer, err := net.FileListener(outerListener())
	if err != nil {
		return fmt.Errorf("taking over the outer listener: %w", err)
	}
	inner, err := net.Listen("tcp4", "127.0.0.1:"+os.Getenv(portVar))
	if err != nil {
		return fmt.Errorf("listening inside: %w", err)
	}
	errs := make(chan error)
	for _, ln := range []net.Listener{outer, inner} {
		go func() { errs <- forward(ln) }()
	}
	return <-errs
}

// forward hands every connection on, until it cannot accept any.
func forward(ln net.Listener) error {
	for {
		c, err := ln.Accept()
		if err != nil {
			return fmt.Errorf("accepting on %s: %w", ln.Addr(), err)
		}
		go func() {
			defer c.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			up, err := dialIn(ctx, netNS{cpName}, "tcp", apiServerAddr)
			cancel()
			if err != nil {
				fmt.Fprintln(os.Stderr, "connecting to the API server:", err)
				return
			}
			defer up.Close()
			splice(c.(*net.TCPConn), up.(*net.TCPConn))
		}()
	}
}

// splice copies both ways until both sides have said all, or either failed.
func splice(a, b *net.TCPConn) {
	var wg sync.WaitGroup
	for _, p := range [][2]*net.TCPConn{{a, b}, {b, a}} {
		wg.Go(func() {
			if _, err := io.Copy(p[0], p[1]); err != nil {
				p[1].Close() // the other copy then ends as well
				return
			}
			p[0].CloseWrite()
		})
	}
	wg.Wait()
}

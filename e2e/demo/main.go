// SPDX-License-Identifier: Apache-2.0

// Command demo shows the load balancer at work on a cluster of its own: a Service
// that gets its address, the routers' ECMP routes, requests spread over the nodes,
// and a node that loses power and returns. The cluster stays up unless -keep=0.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
)

// beganVar tells the program's second process, which goes inside the lab, that it
// is that one, and when the first began (Unix time in nanoseconds).
const beganVar = "METALLB_DEMO_BEGAN"

// interrupted is the exit status after Ctrl-C, as a shell has it.
const interrupted = 130

// stopTime bounds the end of the second process and the removal of the lab.
const stopTime = time.Minute

func main() {
	lab.Dispatch()
	keep := flag.Bool("keep", true, "leave the cluster up; 0 removes it at the end, also after a failure or Ctrl-C")
	name := flag.String("name", "demo", "the lab's `name`")
	flag.Parse()
	if !isName(*name) {
		fmt.Fprintf(os.Stderr, "demo: -name is %q; it can be letters, digits and hyphens, as in demo-2\n", *name)
		os.Exit(2)
	}
	dir := filepath.Join("out", "lab", *name)
	if began := os.Getenv(beganVar); began != "" {
		// The first process says when to stop; Ctrl-C goes to all of them.
		signal.Ignore(os.Interrupt)
		lab.RunIn(dir, func() int { return inside(*name, began, *keep) })
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	status := outside(ctx, *name, dir, *keep)
	stop()
	os.Exit(status)
}

// isName reports whether the lab's directory, which is emptied, is named safely.
func isName(s string) bool {
	return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9-]*$`).MatchString(s)
}

// outside brings the lab up, has the story told inside it, and removes it if it
// is not to stay.
func outside(ctx context.Context, name, dir string, keep bool) int {
	p := &printer{w: os.Stdout, began: time.Now()}
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "demo: needs root, to make network namespaces")
		return 1
	}
	status, err := run(ctx, p, name, dir)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		status = 1
	}
	if ctx.Err() != nil {
		status = interrupted
	}
	_, up := lab.Running(dir)
	switch {
	case up && keep && status == interrupted:
		p.say("Interrupted. The cluster is up; make lab-down NAME=%s removes it.", name)
	case keep && status != interrupted: // the end of the story, or a failure and its logs
	default:
		p.say("Removing the cluster.")
		if err := remove(dir); err != nil {
			fmt.Fprintln(os.Stderr, "demo:", err)
			return 1
		}
	}
	return status
}

// remove ends the lab. It has a context of its own: the program's may be done.
func remove(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	return lab.Stop(ctx, dir)
}

func run(ctx context.Context, p *printer, name, dir string) (status int, err error) {
	p.print(picture)
	p.step("A cluster of 3 nodes, two routers, a client")
	if _, up := lab.Running(dir); up {
		p.say("A cluster %s is up already; it is removed and made anew.", name)
		if err := remove(dir); err != nil {
			return 1, err
		}
	}
	up, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("not up after 5 minutes"))
	defer cancel()
	spec := lab.Spec{Name: name, Dir: dir, Nodes: 3, Routers: 2, Clients: 1, NodeGrace: 10 * time.Second}
	if err := lab.Start(up, spec, p.indented()); err != nil {
		return 1, err
	}
	return tellInside(ctx, p.began)
}

// tellInside starts the second process and waits for it. What holds that process
// is its standard input: it stops when that ends, however this process ended.
func tellInside(ctx context.Context, began time.Time) (status int, err error) {
	exe, err := os.Executable()
	if err != nil {
		return 1, err
	}
	hold, w, err := os.Pipe()
	if err != nil {
		return 1, err
	}
	defer w.Close()
	cmd := exec.CommandContext(ctx, exe, os.Args[1:]...)
	cmd.Env = append(os.Environ(), beganVar+"="+strconv.FormatInt(began.UnixNano(), 10))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = hold, os.Stdout, os.Stderr
	cmd.Cancel, cmd.WaitDelay = w.Close, stopTime
	err = cmd.Start()
	hold.Close()
	if err != nil {
		return 1, err
	}
	if err = cmd.Wait(); err != nil && cmd.ProcessState.ExitCode() > 0 {
		return cmd.ProcessState.ExitCode(), nil // it has said why
	}
	return 0, err
}

// inside tells the story, inside the lab.
func inside(name, began string, keep bool) int {
	nanos, err := strconv.ParseInt(began, 10, 64)
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: %s=%q: %v\n", beganVar, began, err)
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		io.Copy(io.Discard, os.Stdin) // until the first process ends or wants an end
		cancel()
	}()
	l, err := lab.Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	s := &story{printer: &printer{w: os.Stdout, began: time.Unix(0, nanos), steps: 1}, lab: l, name: name, keep: keep}
	switch err := s.tell(ctx); {
	case ctx.Err() != nil:
		return interrupted
	case err != nil:
		s.trouble(err)
		return 1
	}
	return 0
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/status"
)

// newClient returns a client with a connection of its own and the settings that
// the controller's has.
func newClient(config *rest.Config) (client.WithWatch, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	return client.NewWithWatch(config, client.Options{HTTPClient: hc, Scheme: cluster.Scheme()})
}

// witness watches all Services from outside.
type witness struct {
	mu    sync.Mutex
	seen  map[string]*corev1.Service // by name
	heard chan struct{}              // closed and replaced at each event
	err   error
}

// watchServices returns a witness who sees everything from now on.
func watchServices(ctx context.Context, c client.WithWatch) (*witness, error) {
	stream, err := c.Watch(ctx, &corev1.ServiceList{}, client.InNamespace(metav1.NamespaceDefault))
	if err != nil {
		return nil, fmt.Errorf("watching Services: %w", err)
	}
	w := &witness{seen: map[string]*corev1.Service{}, heard: make(chan struct{})}
	go func() {
		for e := range stream.ResultChan() {
			w.take(e)
		}
		w.end(errors.New("the watch of Services ended"))
	}()
	return w, nil
}

func (w *witness) take(e watch.Event) {
	svc, ok := e.Object.(*corev1.Service)
	if !ok {
		w.end(fmt.Errorf("the watch of Services said %v %v", e.Type, e.Object))
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Type == watch.Deleted {
		delete(w.seen, svc.Name)
	} else {
		w.seen[svc.Name] = svc
	}
	w.wake()
}

func (w *witness) end(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	w.wake()
}

func (w *witness) wake() {
	close(w.heard)
	w.heard = make(chan struct{})
}

// all waits until each of names is as ok says; nil stands for one that is gone. It
// looks at each only until it is so.
func (w *witness) all(ctx context.Context, names []string, what string, ok func(*corev1.Service) bool) error {
	for {
		w.mu.Lock()
		for len(names) > 0 && ok(w.seen[names[0]]) {
			names = names[1:]
		}
		heard, err := w.heard, w.err
		w.mu.Unlock()
		switch {
		case err != nil:
			return err
		case len(names) == 0:
			return nil
		}
		select {
		case <-heard:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s to be %s, and %d more: %w", names[0], what, len(names)-1, context.Cause(ctx))
		}
	}
}

// get returns the latest version of a Service.
func (w *witness) get(name string) *corev1.Service {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[name]
}

func gone(s *corev1.Service) bool    { return s == nil }
func holding(s *corev1.Service) bool { return s != nil && len(s.Status.LoadBalancer.Ingress) > 0 }

func pending(s *corev1.Service) bool {
	if s == nil {
		return false
	}
	c := status.Find(s.Status.Conditions, v1beta1.ConditionAddressAssigned)
	return c != nil && c.Status == metav1.ConditionFalse
}

// side makes n calls of do, so many at the same time.
func side(ctx context.Context, writers, n int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan int)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range work {
				if err := do(ctx, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for i := range n {
		select {
		case work <- i:
		case <-ctx.Done():
		}
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

// program is a running controller.
type program struct {
	cmd   *exec.Cmd
	ended chan struct{}
	out   bytes.Buffer // to be read once ended is closed
	err   error
}

// controllerProgram is what `make bin` builds.
const controllerProgram = "out/bin/controller"

// startController starts the real program, which ends with this one at the latest.
func startController(kubeconfig string, args ...string) (*program, error) {
	p := &program{ended: make(chan struct{})}
	p.cmd = exec.Command(controllerProgram, append([]string{
		"--kubeconfig=" + kubeconfig, "--namespace=" + allocateNamespace, "--port=0", "--health-probe-port=0",
	}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the child is killed when the thread that started it ends
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s (make bin builds it): %w", controllerProgram, err)
	}
	return p, nil
}

// stop ends the program as kubelet would.
func (p *program) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
	case <-time.After(settle):
		_ = p.cmd.Process.Signal(os.Kill)
		<-p.ended
	}
	if p.err != nil {
		return fmt.Errorf("the controller: %w; it said:\n%s", p.err, p.out.String())
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"os"
	"testing"

	"k8s.io/client-go/rest"
)

// sharedServers is how many API servers the tests of a binary share: those of two
// tests that run in parallel are not the same.
const sharedServers = 2

// Servers that no test uses: those that run, and those that are not started yet. Nil
// where Main does not run.
var idle, fresh chan *server

// Main runs the tests of a binary that call [Shared], for its TestMain, and ends
// their API servers. It returns the exit status.
func Main(m *testing.M) int {
	idle, fresh = make(chan *server, sharedServers), make(chan *server, sharedServers)
	for range sharedServers {
		fresh <- &server{}
	}
	status := m.Run()
	for range sharedServers {
		s := take()
		if err := s.end(); err != nil {
			fmt.Fprintf(os.Stderr, "ending an API server that tests share: %v\n", err)
			status = max(status, 1)
		}
	}
	return status
}

// Shared returns how to reach, as its administrator, an API server that no other
// test uses until this one ends, and that was started for an earlier one, if there
// was one. It has the product's CustomResourceDefinitions and the namespace
// [Namespace], and no object that an earlier test made. A test calls it once; it may
// wait for another one to end.
//
// A test that changes what the API server itself goes by, such as definitions,
// webhooks, rights or namespaces, needs [Own].
func Shared(t testing.TB) *rest.Config {
	t.Helper()
	Programs(t)
	if idle == nil {
		t.Fatal("sharing an API server: TestMain does not call apiserver.Main")
	}
	s := take()
	t.Cleanup(s.giveBack)
	if s.config == nil {
		if err := s.start(); err != nil {
			t.Fatalf("starting an API server to share: %v", err)
		}
	}
	if err := s.empty(t.Context()); err != nil {
		t.Fatalf("removing what earlier tests left: %v", err)
	}
	return rest.CopyConfig(s.config)
}

// Own starts an API server, with the product's CustomResourceDefinitions and the
// namespace [Namespace], that ends with the test.
func Own(t testing.TB) *rest.Config {
	t.Helper()
	config := Start(t)
	InstallCRDs(t, config)
	if err := makeNamespace(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	return config
}

// server is an API server that outlives a test.
type server struct {
	config *rest.Config // nil: it is not started
	kinds  []kind
	stop   context.CancelFunc
	ended  chan error
}

// take waits for a server that no test uses: one that runs, if there is one.
func take() *server {
	select {
	case s := <-idle:
		return s
	default:
	}
	select {
	case s := <-idle:
		return s
	case s := <-fresh:
		return s
	}
}

func (s *server) giveBack() {
	if s.config == nil {
		fresh <- s
		return
	}
	idle <- s
}

func (s *server) start() error {
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	var config *rest.Config
	var kinds []kind
	go func() {
		ended <- Run(ctx, func(t testing.TB) (err error) {
			config = Own(t)
			if kinds, err = kindsOf(config); err != nil {
				return err
			}
			close(ready)
			<-t.Context().Done()
			return nil
		})
	}()
	select {
	case err := <-ended:
		stop()
		return err
	case <-ready:
		*s = server{config, kinds, stop, ended}
		return nil
	}
}

func (s *server) end() error {
	if s.config == nil {
		return nil
	}
	s.stop()
	return <-s.ended
}

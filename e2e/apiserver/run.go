// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// Run calls f with what a program that is no test gives to [Start] and the others.
// What they start ends when f returns or fails; its context ends before. The error
// is that of f, or what would have failed the test.
func Run(ctx context.Context, f func(testing.TB) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &stand{ctx: ctx}
	ended := make(chan struct{})
	go func() { // which a failure ends, as it does a test's
		defer close(ended)
		defer s.clean()
		defer cancel()
		if err := f(s); err != nil {
			s.note(err)
		}
	}()
	<-ended
	return errors.Join(s.failures...)
}

// stand is a test's stand-in. Of the methods of a test it has those that this
// package uses; the others panic.
type stand struct {
	testing.TB
	ctx context.Context

	mu       sync.Mutex
	cleanups []func()
	failures []error
}

func (s *stand) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, err)
}

// clean calls what Cleanup was given, the last first.
func (s *stand) clean() {
	for {
		s.mu.Lock()
		n := len(s.cleanups)
		if n == 0 {
			s.mu.Unlock()
			return
		}
		f := s.cleanups[n-1]
		s.cleanups = s.cleanups[:n-1]
		s.mu.Unlock()
		f()
	}
}

func (s *stand) Helper()                  {}
func (s *stand) Context() context.Context { return s.ctx }

func (s *stand) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

func (s *stand) Errorf(format string, args ...any) { s.note(fmt.Errorf(format, args...)) }

func (s *stand) Fatal(args ...any) {
	s.note(errors.New(fmt.Sprint(args...)))
	runtime.Goexit()
}

func (s *stand) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

// Skip fails too: there is nothing to be done without.
func (s *stand) Skip(args ...any) { s.Fatal(args...) }

// TempDir makes a folder that the next Start removes if this process is killed.
func (s *stand) TempDir() string { return stateDir(s) }

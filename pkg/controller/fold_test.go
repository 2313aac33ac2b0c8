// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/status"
)

// open reports whether the channel has been closed, or is none.
func open(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return c == nil
	}
}

func TestFold(t *testing.T) {
	changed, ended := make(chan struct{}), make(chan struct{})
	for _, test := range []struct {
		name              string
		urgent, other     int // are queued
		services, written bool
	}{
		{"nothing waits", 0, 0, true, true},
		{"the writers can begin all", urgentWrites, otherWrites, true, true},
		{"addresses wait", urgentWrites + 1, 0, false, false},
		{"conditions wait, for which a new Service does not", 0, otherWrites + 1, true, false},
		{"both wait", urgentWrites + 5, otherWrites + 5, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWriter(nil, Options{})
			w.begin(time.Now())
			for i := range test.urgent + test.other {
				w.offer(job{key: intent.Key{Name: fmt.Sprint(i)}, svc: &corev1.Service{}, want: status.Service{Pool: "a"}, urgent: i < test.urgent})
			}
			w.end(time.Now())
			f := w.fold()
			services, written := f.let(changed, ended)
			if (services != nil) != test.services || (written != nil) != test.written {
				t.Errorf("it hears of Services: %t, of writes: %t; want %t, %t", services != nil, written != nil, test.services, test.written)
			}
			if (f.limit != nil) == (test.services && test.written) {
				t.Errorf("it holds back for a time: %t", f.limit != nil)
			}
			for range test.urgent - urgentWrites {
				if open(f.urgent) {
					t.Error("there is room for addresses too early")
				}
				w.take(true)
			}
			for range test.other - otherWrites {
				if open(f.other) {
					t.Error("there is room for conditions too early")
				}
				w.take(false)
			}
			if !open(f.urgent) || !open(f.other) {
				t.Error("there is room, and nobody is told")
			}
		})
	}
}

// Writers that hang hold nothing back for long.
func TestFoldEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(nil, Options{})
		w.begin(time.Now())
		for i := range urgentWrites + 1 {
			w.offer(job{key: intent.Key{Name: fmt.Sprint(i)}, svc: &corev1.Service{}, want: status.Service{Pool: "a"}, urgent: true})
		}
		w.end(time.Now())
		f := w.fold()
		select {
		case <-f.urgent:
			t.Error("there is room, and nothing was taken")
		case <-f.limit:
		case <-time.After(foldLimit + time.Millisecond):
			t.Error("it is held back for ever")
		}
	})
}

// Events wait while addresses are in line, and go on as soon as there is room.
func TestEventsWaitForAddresses(t *testing.T) {
	w := newWriting(t)
	if w.busy() != nil {
		t.Error("events wait for nothing")
	}
	w.queues[false] = make([]intent.Key, 10*urgentWrites)
	if w.busy() != nil {
		t.Error("events wait for conditions")
	}
	w.queues[true] = make([]intent.Key, urgentWrites+1)
	held := w.busy()
	if held == nil {
		t.Fatal("events do not wait for addresses")
	}
	w.queues[true] = w.queues[true][1:]
	w.tellRoom(true)
	select {
	case <-held:
	default:
		t.Error("events wait although there is room")
	}
}

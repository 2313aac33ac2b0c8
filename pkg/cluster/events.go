// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// mostEvents is how many wait to be sent; what comes then is lost.
	mostEvents = 50_000
	// eventLimit is how long the next event waits for one of which client-go does not
	// say what became of it, as where it is one of a flood.
	eventLimit = 100 * time.Millisecond
)

// events sends events one after the other. By itself client-go keeps 2,000 and loses
// the others without a word.
type events struct {
	broadcaster record.EventBroadcaster
	recorder    record.EventRecorder
	handled     chan struct{} // capacity 1: client-go has asked the API server

	mu    sync.Mutex
	queue []event
	more  chan struct{}          // capacity 1
	hold  func() <-chan struct{} // nil: nothing holds them
}

type event struct {
	obj                   client.Object
	kind, reason, message string
}

func (c *Cluster) openEvents(cfg *rest.Config, hc *http.Client, scheme *runtime.Scheme) error {
	core, err := typedcorev1.NewForConfigAndClient(cfg, hc)
	if err != nil {
		return fmt.Errorf("open cluster: client for events: %w", err)
	}
	e := &events{broadcaster: record.NewBroadcaster(), handled: make(chan struct{}, 1), more: make(chan struct{}, 1)}
	e.broadcaster.StartRecordingToSink(sink{&typedcorev1.EventSinkImpl{Interface: core.Events("")}, e.handled})
	e.recorder = e.broadcaster.NewRecorder(scheme, corev1.EventSource{Component: c.options.FieldOwner, Host: c.options.Host})
	c.events = e
	return nil
}

// Event records an event about obj. kind is corev1.EventTypeNormal or
// EventTypeWarning. It is sent in the background: repeated ones are counted in
// one object, floods about one object are dropped, and what is over 50,000 in
// line, or not sent when Start returns, is lost.
func (c *Cluster) Event(obj client.Object, kind, reason, message string) {
	e := c.events
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) < mostEvents {
		e.queue = append(e.queue, event{obj, kind, reason, message})
		wake(e.more)
	}
}

// HoldEvents makes events wait for what is more urgent: before each one hold is asked
// for a channel that is closed when it may be sent; nil: now.
func (c *Cluster) HoldEvents(hold func() <-chan struct{}) {
	c.events.mu.Lock()
	defer c.events.mu.Unlock()
	c.events.hold = hold
}

// run sends until ctx ends.
func (e *events) run(ctx context.Context) {
	defer e.broadcaster.Shutdown()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.more:
		}
		for next, ok := e.next(ctx); ok; next, ok = e.next(ctx) {
			select {
			case <-e.handled: // late, of one before
			default:
			}
			e.recorder.Event(next.obj, next.kind, next.reason, next.message)
			select {
			case <-ctx.Done():
			case <-e.handled:
			case <-time.After(eventLimit):
			}
		}
	}
}

// next returns the event to send, once it may be sent; false: there is none, or ctx
// has ended.
func (e *events) next(ctx context.Context) (event, bool) {
	e.mu.Lock()
	hold := e.hold
	e.mu.Unlock()
	if hold != nil {
		if held := hold(); held != nil {
			select {
			case <-ctx.Done():
			case <-held:
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) == 0 || ctx.Err() != nil {
		return event{}, false
	}
	first := e.queue[0]
	e.queue[0] = event{}
	e.queue = e.queue[1:]
	return first, true
}

// sink tells that an event has been handled, whatever came of it.
type sink struct {
	record.EventSink
	handled chan struct{}
}

func (s sink) Create(e *corev1.Event) (*corev1.Event, error) {
	defer wake(s.handled)
	return s.EventSink.Create(e)
}

func (s sink) Update(e *corev1.Event) (*corev1.Event, error) {
	defer wake(s.handled)
	return s.EventSink.Update(e)
}

func (s sink) Patch(e *corev1.Event, data []byte) (*corev1.Event, error) {
	defer wake(s.handled)
	return s.EventSink.Patch(e, data)
}

// SPDX-License-Identifier: Apache-2.0

package product

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"metallb.io/metallb-frr/e2e/lab"
)

// Client returns a client of the lab's API server with all rights.
func Client(l *lab.Lab) (kubernetes.Interface, error) {
	c, err := kubernetes.NewForConfig(l.RESTConfig())
	if err != nil {
		return nil, fmt.Errorf("making a client for lab %s: %w", l.Spec.Name, err)
	}
	return c, nil
}

// WaitAddress waits until the Service has an address in its status and returns
// the first one. The time limit is ctx's.
func WaitAddress(ctx context.Context, l *lab.Lab, namespace, name string) (netip.Addr, error) {
	var addr netip.Addr
	err := watchOne(ctx, l, func(c kubernetes.Interface, o metav1.ListOptions) (watch.Interface, error) {
		return c.CoreV1().Services(namespace).Watch(ctx, o)
	}, name, func(s *corev1.Service) (bool, error) {
		in := s.Status.LoadBalancer.Ingress
		if len(in) == 0 {
			return false, nil
		}
		var err error
		addr, err = netip.ParseAddr(in[0].IP)
		return true, err
	})
	if err != nil {
		return addr, fmt.Errorf("waiting for the address of service %s/%s: %w", namespace, name, err)
	}
	return addr, nil
}

// WaitNode waits until the API server has the node as Ready, or as not Ready.
// The time limit is ctx's.
func WaitNode(ctx context.Context, l *lab.Lab, name string, ready bool) error {
	err := watchOne(ctx, l, func(c kubernetes.Interface, o metav1.ListOptions) (watch.Interface, error) {
		return c.CoreV1().Nodes().Watch(ctx, o)
	}, name, func(n *corev1.Node) (bool, error) {
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady {
				return (c.Status == corev1.ConditionTrue) == ready, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for node %s to have Ready=%v: %w", name, ready, err)
	}
	return nil
}

// watchOne shows every state of the object of that name to done, from the
// present one on, until it is content.
func watchOne[T any](ctx context.Context, l *lab.Lab, start func(kubernetes.Interface, metav1.ListOptions) (watch.Interface, error), name string, done func(T) (bool, error)) error {
	c, err := Client(l)
	if err != nil {
		return err
	}
	for {
		w, err := start(c, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
		if err != nil {
			return ended(ctx, err)
		}
		ok, err := watched(ctx, w, done)
		w.Stop()
		if ok || err != nil {
			return err
		}
	}
}

// watched returns false without an error when the watch was ended by the server.
func watched[T any](ctx context.Context, w watch.Interface, done func(T) (bool, error)) (bool, error) {
	for {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case e, open := <-w.ResultChan():
			if !open {
				return false, ctx.Err()
			}
			obj, is := e.Object.(T)
			if !is || e.Type == watch.Deleted {
				continue
			}
			if ok, err := done(obj); ok || err != nil {
				return ok, err
			}
		}
	}
}

// ended is err, or why ctx ended if it did.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// NextHops follows a route of a router's kernel from the moment it was made on.
type NextHops struct {
	router *lab.Router
	prefix netip.Prefix
	events <-chan lab.RouteEvent
	stop   context.CancelFunc
}

// WatchNextHops begins to follow the route for exactly that prefix. Stop must be
// called.
func WatchNextHops(ctx context.Context, r *lab.Router, p netip.Prefix) (*NextHops, error) {
	ctx, stop := context.WithCancel(ctx)
	events, err := r.WatchRoutes(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	return &NextHops{router: r, prefix: p, events: events, stop: stop}, nil
}

// Stop ends the watch.
func (w *NextHops) Stop() { w.stop() }

// Wait waits until the route's next hops, in the order of their addresses, are
// as wanted, and returns when the kernel said so; that is now if they are
// already. No route has no next hops. The time limit is ctx's.
func (w *NextHops) Wait(ctx context.Context, wanted func(hops []netip.Addr) bool) (time.Time, error) {
	at := time.Now()
	for {
		// What holds now, and not what the event says: a change of a route with
		// several next hops can come as several events.
		route, err := w.router.Route(ctx, w.prefix)
		if err != nil {
			return time.Time{}, err
		}
		if wanted(route.NextHops) {
			return at, nil
		}
		if at, err = w.next(ctx); err != nil {
			return time.Time{}, fmt.Errorf("waiting for %s on %s, next hops now %v: %w", w.prefix, w.router.Name, route.NextHops, err)
		}
	}
}

// next waits for the next event of the prefix.
func (w *NextHops) next(ctx context.Context) (time.Time, error) {
	for {
		select {
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		case e, open := <-w.events:
			switch {
			case !open && ctx.Err() != nil:
				return time.Time{}, context.Cause(ctx)
			case !open:
				return time.Time{}, errors.New("the kernel's events were lost")
			case e.Route.Prefix == w.prefix:
				return e.Time, nil
			}
		}
	}
}

// WaitNextHops waits until the router's kernel has a route for exactly that
// prefix with n next hops, or none with n zero, and returns when it said so.
func WaitNextHops(ctx context.Context, r *lab.Router, p netip.Prefix, n int) (time.Time, error) {
	w, err := WatchNextHops(ctx, r, p)
	if err != nil {
		return time.Time{}, err
	}
	defer w.Stop()
	return w.Wait(ctx, func(hops []netip.Addr) bool { return len(hops) == n })
}

// HostPrefix is the prefix of the address alone: /32 or /128.
func HostPrefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

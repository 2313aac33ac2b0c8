// SPDX-License-Identifier: Apache-2.0

package product

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"metallb.io/metallb-frr/e2e/lab"
)

// Client returns a Kubernetes client with the administrator's rights.
func Client(l *lab.Lab) (*kubernetes.Clientset, error) {
	c, err := kubernetes.NewForConfig(l.RESTConfig())
	if err != nil {
		return nil, fmt.Errorf("connecting to the lab's API server: %w", err)
	}
	return c, nil
}

// WaitAddress returns the Service's first address, as soon as it has one.
func WaitAddress(ctx context.Context, l *lab.Lab, namespace, name string) (netip.Addr, error) {
	c, err := Client(l)
	if err != nil {
		return netip.Addr{}, err
	}
	services := c.CoreV1().Services(namespace)
	one := fields.OneTermEqualSelector("metadata.name", name).String()
	for {
		list, err := services.List(ctx, metav1.ListOptions{FieldSelector: one})
		if err != nil {
			return netip.Addr{}, fmt.Errorf("waiting for the address of Service %s/%s: %w", namespace, name, err)
		}
		if len(list.Items) == 1 {
			if a, ok := addressOf(&list.Items[0]); ok {
				return a, nil
			}
		}
		a, err := nextAddress(ctx, services.Watch, one, list.ResourceVersion)
		if err != nil {
			return netip.Addr{}, fmt.Errorf("waiting for the address of Service %s/%s: %w", namespace, name, err)
		}
		if a.IsValid() {
			return a, nil
		}
	}
}

// nextAddress watches from a version on; an invalid address means that the watch
// has ended and the list is to be read again.
func nextAddress(ctx context.Context, start func(context.Context, metav1.ListOptions) (watch.Interface, error), selector, version string) (netip.Addr, error) {
	w, err := start(ctx, metav1.ListOptions{FieldSelector: selector, ResourceVersion: version})
	if err != nil {
		return netip.Addr{}, err
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return netip.Addr{}, context.Cause(ctx)
		case e, ok := <-w.ResultChan():
			if !ok {
				return netip.Addr{}, nil
			}
			if s, is := e.Object.(*corev1.Service); is {
				if a, has := addressOf(s); has {
					return a, nil
				}
			}
		}
	}
}

func addressOf(s *corev1.Service) (netip.Addr, bool) {
	for _, i := range s.Status.LoadBalancer.Ingress {
		if a, err := netip.ParseAddr(i.IP); err == nil {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// WaitNextHops returns when the router's kernel reaches p over n next hops, 0
// meaning not at all, and the time at which its kernel said so.
func WaitNextHops(ctx context.Context, r *lab.Router, p netip.Prefix, n int) (time.Time, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := r.WatchRoutes(ctx)
	if err != nil {
		return time.Time{}, err
	}
	now, err := r.Route(ctx, p)
	if err != nil {
		return time.Time{}, err
	}
	hops := len(now.NextHops)
	if hops == n {
		return time.Now(), nil
	}
	for {
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("waiting on %s for %s over %d next hops, it has %d: %w", r.Name, p, n, hops, context.Cause(ctx))
		case e, ok := <-events:
			if !ok {
				return time.Time{}, fmt.Errorf("waiting on %s for %s over %d next hops: the kernel's events ended", r.Name, p, n)
			}
			if e.Route.Prefix != p {
				continue
			}
			hops = len(e.Route.NextHops)
			if e.Deleted {
				hops = 0
			}
			if hops == n {
				return e.Time, nil
			}
		}
	}
}

// Host returns the prefix that covers one address alone.
func Host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

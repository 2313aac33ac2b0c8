// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
)

// frrWorld is a node and its neighbours.
type frrWorld struct {
	node    *host
	routers []*host
}

// startWorld starts FRR on all of them; the node's has no configuration yet.
func startWorld(ctx context.Context, root string) (*frrWorld, error) {
	w := &frrWorld{}
	err := w.start(ctx, root)
	if err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

func (w *frrWorld) start(ctx context.Context, root string) error {
	base, err := filepath.Abs(filepath.Join("out", "rootfs"))
	if err != nil {
		return err
	}
	if w.node, err = startHost(ctx, frrNode, filepath.Join(base, root)); err != nil {
		return fmt.Errorf("%w (deploy/images/build %s makes it)", err, root)
	}
	if err := w.node.startFRR(ctx, false); err != nil {
		return err
	}
	if _, err := w.node.listenBMP(ctx); err != nil {
		return err
	}
	for i := range neighbours {
		r, err := startHost(ctx, fmt.Sprintf("tor%d", i+1), filepath.Join(base, "frr"))
		if err != nil {
			return err
		}
		w.routers = append(w.routers, r)
		if err := cable(ctx, w.node, fmt.Sprintf("eth%d", i), nodeAddr(i).String()+"/30", r, "eth0", neighbourAddr(i).String()+"/30"); err != nil {
			return err
		}
		if err := r.startFRR(ctx, true); err != nil {
			return err
		}
		if err := r.configure(ctx, fmt.Sprintf(routerConf, r.name, routerASN, nodeAddr(i), nodeASN)); err != nil {
			return err
		}
	}
	return nil
}

const routerConf = `frr defaults traditional
hostname %s
router bgp %d
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor %s remote-as %d
 neighbor %[3]s passive
 address-family ipv4 unicast
  neighbor %[3]s activate
 exit-address-family
exit
`

func (w *frrWorld) stop() {
	for _, h := range append(w.routers, w.node) {
		if h != nil {
			h.stop()
		}
	}
}

// watchAll begins to watch the kernels of all neighbours. The function that it
// returns waits until each has n routes, and says when the first neighbour had.
func (w *frrWorld) watchAll(ctx context.Context, n int) (func(context.Context) (time.Time, error), error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*frrLimit, errors.New("not in two minutes"))
	var all []chan time.Time
	for _, r := range w.routers {
		events, err := lab.WatchRoutesAt(ctx, r.netns())
		if err != nil {
			cancel()
			return nil, err
		}
		done := make(chan time.Time, 1)
		all = append(all, done)
		go func() {
			defer close(done)
			there := map[any]bool{}
			for e := range events {
				there[e.Route.Prefix] = !e.Deleted
				if len(there) == n {
					done <- e.Time
					return
				}
			}
		}()
	}
	return func(context.Context) (time.Time, error) {
		defer cancel()
		var first time.Time
		for i, done := range all {
			at, ok := <-done
			if !ok {
				return first, fmt.Errorf("%s does not have %d routes: %w", w.routers[i].name, n, context.Cause(ctx))
			}
			if i == 0 {
				first = at
			}
		}
		return first, nil
	}, nil
}

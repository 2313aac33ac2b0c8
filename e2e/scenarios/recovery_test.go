// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
)

// restarts is how often a container of the node's speaker Pod has restarted.
func (w *world) restarts(t *testing.T, ctx context.Context, n *lab.Node, container string) int32 {
	t.Helper()
	pod, err := w.speakerPod(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	count, _ := restarted(pod, container)
	return count
}

func restarted(pod *corev1.Pod, container string) (count int32, ready bool) {
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name == container {
			return c.RestartCount, c.Ready
		}
	}
	return 0, false
}

// back waits until the container has restarted since it had done so before times,
// and is ready.
func (w *world) back(t *testing.T, ctx context.Context, n *lab.Node, container string, before int32) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	pod, err := w.speakerPod(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	events, err := w.k8s.CoreV1().Pods(product.Namespace).Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", pod.Name).String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	for {
		select {
		case <-ctx.Done():
			t.Fatalf("container %s on %s is not back: it had restarted %d times, its Pod is %+v", container, n.Name, before, pod.Status)
		case e, open := <-events.ResultChan():
			if !open {
				t.Fatalf("watching the Pod of %s: the events ended", n.Name)
			}
			if p, is := e.Object.(*corev1.Pod); is {
				pod = p
			}
			if count, ready := restarted(pod, container); count > before && ready {
				return
			}
		}
	}
}

// others are all nodes but one.
func others(name string) []string {
	var names []string
	for _, n := range everywhere {
		if n != name {
			names = append(names, n)
		}
	}
	return names
}

// whole waits until FRR on the node runs what it ran before.
func (w *world) whole(t *testing.T, ctx context.Context, n *lab.Node, before string) {
	t.Helper()
	w.eventually(t, ctx, "the configuration of "+n.Name+" to be back", func() error {
		now, err := w.runningConfig(ctx, n)
		if err == nil && !slices.Equal(blocks(now), blocks(before)) {
			err = fmt.Errorf("it was\n%s\nand is\n%s", before, now)
		}
		return err
	})
}

// blocks are the parts of a configuration, in an order that is not FRR's: that of
// route-maps is the one in which they were made.
func blocks(conf string) []string {
	parts := strings.Split(conf, "\n!\n")
	slices.Sort(parts)
	return parts
}

// bgpd, and the whole container with FRR in it, come back with the configuration
// after a kill, and the sessions with them; nobody helps.
func TestFRRKilled(t *testing.T) {
	for _, c := range []struct {
		name, process, container string
		node                     int
	}{
		{"bgpd", "bgpd", "", 0},
		{"all of the container", "tini", "frr", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, w := begin(t)
			rec := w.record(t, ctx)
			ns, to := w.reached(t, ctx, rec)
			addr := to.Addr()
			n := w.Node(c.node)
			before, err := w.runningConfig(ctx, n)
			if err != nil {
				t.Fatal(err)
			}
			count := w.restarts(t, ctx, n, "frr")
			from := rec.mark()

			if err := n.KillProcess(c.process); err != nil {
				t.Fatal(err)
			}
			rec.saw(t, ctx, from, host(addr), others(n.Name)...)
			rec.reach(t, ctx, host(addr), everywhere...)
			rec.only(t, from, host(addr))
			w.whole(t, ctx, n, before)
			if c.container != "" {
				w.back(t, ctx, n, c.container, count)
			} else if now := w.restarts(t, ctx, n, "frr"); now != count {
				t.Errorf("the container frr has restarted %d times, want %d: bgpd alone was killed", now, count)
			}
			w.answers(t, ctx, netip.AddrPortFrom(addr, 80), everywhere...)

			// The speaker has noticed, and works on what came back.
			w.apply(t, ctx, plain(ns, "after", everywhere))
			rec.reach(t, ctx, host(w.address(t, ctx, ns, "after")), everywhere...)
			w.agree(t, ctx)
		})
	}
}

// The speaker killed alone costs nothing: no packet of a stream that goes through
// its node alone, no session, no route. The next one goes on from what FRR runs.
func TestSpeakerKilled(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	n := w.Node(2)
	w.apply(t, ctx, w.torConfig()+webPods(ns, "web", n.Name)+service(ns, "web", "Local"))
	w.podsReady(t, ctx, ns, "web")
	addr := w.address(t, ctx, ns, "web")
	rec.reach(t, ctx, host(addr), n.Name)
	to := netip.AddrPortFrom(addr, 80)
	w.answers(t, ctx, to, n.Name)
	before, err := w.runningConfig(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	w.watched(t, ctx)
	sessions, count, from := w.sessions(t, ctx), w.restarts(t, ctx, n, "speaker"), rec.mark()

	s := w.stream(t, ctx, to)
	s.past(t, ctx, 1000)
	if err := n.KillProcess("speaker"); err != nil {
		t.Fatal(err)
	}
	w.back(t, ctx, n, "speaker", count)
	w.whole(t, ctx, n, before)
	w.apply(t, ctx, plain(ns, "after", everywhere))
	after := w.address(t, ctx, ns, "after")
	rec.reach(t, ctx, host(after), everywhere...)
	s.past(t, ctx, 1000)
	if sent, lost := s.end(); lost != 0 || sent < 2000 {
		t.Errorf("%d of %d datagrams lost, want none", lost, sent)
	} else {
		t.Logf("%d datagrams, none lost", sent)
	}
	w.sameSessions(t, ctx, sessions)
	rec.only(t, from, host(after))
	w.agree(t, ctx)
}

// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/e2e/apiserver"
)

// Events about what is gone, was never there or belongs to no namespace do no
// harm: those after them arrive.
func TestEventsAboutWhatIsNotThere(t *testing.T) {
	cfg := apiserver.Start(t)
	apiserver.InstallCRDs(t, cfg)
	c := startCluster(t, cfg, Options{})
	api, err := client.NewWithWatch(cfg, client.Options{Scheme: Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	events, err := api.Watch(ctx, &corev1.EventList{}, client.InNamespace("default"))
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	named := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "u"}
	}
	for _, o := range []client.Object{
		&corev1.Service{ObjectMeta: named("no-such-namespace", "web")},
		&corev1.Service{ObjectMeta: named("default", "gone")},
		&corev1.Service{},
		&corev1.Node{ObjectMeta: named("", "n1")},
		&corev1.Service{ObjectMeta: named("default", "last")},
	} {
		c.Event(o, corev1.EventTypeNormal, "nodeAssigned", "about "+o.GetName())
	}
	for e := range events.ResultChan() {
		if ev, ok := e.Object.(*corev1.Event); ok && ev.InvolvedObject.Name == "last" {
			c.events.broadcaster.Shutdown()
			c.Event(&corev1.Service{ObjectMeta: named("default", "late")}, corev1.EventTypeNormal, "nodeAssigned", "after the end")
			return
		}
	}
	t.Error("the event about the last Service did not arrive")
}

// However many events come at once, all arrive, and none before what is more urgent.
func TestManyEventsAndNoneIsLost(t *testing.T) {
	const n = 3000
	cfg := apiserver.Start(t)
	apiserver.InstallCRDs(t, cfg)
	c := startCluster(t, cfg, Options{})
	held := make(chan struct{})
	c.HoldEvents(func() <-chan struct{} { return held })
	api, err := client.NewWithWatch(cfg, client.Options{Scheme: Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	watched, err := api.Watch(ctx, &corev1.EventList{}, client.InNamespace("default"))
	if err != nil {
		t.Fatal(err)
	}
	defer watched.Stop()
	for i := range n {
		o := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("s%d", i), UID: types.UID(fmt.Sprint(i))}}
		c.Event(o, corev1.EventTypeNormal, "IPAllocated", "about "+o.Name)
	}
	c.events.mu.Lock()
	waiting := len(c.events.queue)
	c.events.mu.Unlock()
	if waiting != n {
		t.Errorf("%d of %d wait for what is more urgent", waiting, n)
	}
	close(held)
	for i := range n {
		e, ok := <-watched.ResultChan()
		if !ok {
			t.Fatalf("%d of %d events arrived", i, n)
		}
		if got, want := e.Object.(*corev1.Event).InvolvedObject.Name, fmt.Sprintf("s%d", i); got != want {
			t.Fatalf("event %d is about %s, want %s", i, got, want)
		}
	}
}

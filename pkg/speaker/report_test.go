// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"net/netip"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/frr/bmp"
	"metallb.io/metallb-frr/pkg/l2"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// What a speaker says of itself is put back whatever is done to it, and the last
// end of a session outlives the speaker and its own recovery.
func TestTheOwnReportIsPutBack(t *testing.T) {
	w := newStatusWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	c := w.cluster(ctx, cluster.Options{Node: "n000"})
	s := runPublishers(t, ctx, &running, c, 1)[0]
	tor := netip.MustParseAddr(flapPeers[0])
	s.heard(bmp.Event{Kind: bmp.Down, Peer: tor, Reason: "Hold Timer Expired", At: time.Now()})
	s.heard(bmp.Event{Kind: bmp.Down, Peer: tor, Reason: "no event given", At: time.Now()}) // as told at each connection
	s.heard(bmp.Event{Kind: bmp.Up, Peer: tor, At: time.Now()})

	var uid types.UID
	ok := func(situation string) {
		t.Helper()
		w.until(situation, func() bool {
			o := &v1beta1.ConfigurationState{}
			if err := w.Get(ctx, types.NamespacedName{Namespace: testNamespace, Name: "speaker-n000"}, o); client.IgnoreNotFound(err) != nil {
				t.Fatal(err)
			}
			all := o.Status.Sessions
			if o.UID == uid || len(all) != len(flapPeers) {
				return false
			}
			one := all[0]
			return one.State == v1beta1.SessionEstablished && one.Reason == "" && one.LastReason == "Hold Timer Expired" && !one.LastDown.IsZero() &&
				all[1].LastReason == "" && all[1].LastDown.IsZero() && o.Status.Result == v1beta1.ConfigurationValid
		})
	}
	ok("written")
	own := &v1beta1.ConfigurationState{}
	own.Namespace, own.Name = testNamespace, "speaker-n000"
	if err := w.Status().Patch(ctx, own.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"status":{"result":"Unknown","sessions":[]}}`))); err != nil {
		t.Fatal(err)
	}
	ok("its status was edited")
	if err := w.Get(ctx, client.ObjectKeyFromObject(own), own); err != nil {
		t.Fatal(err)
	}
	uid = own.UID
	if err := w.Delete(ctx, own.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	ok("it was deleted")
	uid = ""
	cancel()
	running.Wait()

	// The next speaker hears of sessions that are up, and nothing of the past.
	ctx, again := context.WithCancel(t.Context())
	defer again()
	c = w.cluster(ctx, cluster.Options{Node: "n000"})
	before := w.writes.Load()
	runPublishers(t, ctx, &running, c, 1)
	w.until("the next speaker has written", func() bool { return w.writes.Load() > before })
	ok("the speaker was restarted")
}

// What the node says of itself in layer 2 is written as it becomes known, and what
// a former life wrote stays until then.
func TestLinksArePublished(t *testing.T) {
	w := newStatusWorld(t)
	eth0 := []v1beta1.Link{{Name: "eth0", MAC: "02:00:00:00:00:01", Prefixes: []string{"192.0.2.2/24"}}}
	foreign := []v1beta1.ForeignOwner{{Address: "192.0.2.9", MAC: "02:00:00:00:00:09", Interface: "eth0", Since: metav1.NewTime(time.Unix(1700000000, 0))}}
	published := func() v1beta1.ConfigurationStateStatus {
		t.Helper()
		o := &v1beta1.ConfigurationState{}
		if err := w.Get(t.Context(), types.NamespacedName{Namespace: testNamespace, Name: "speaker-n000"}, o); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		return o.Status
	}
	is := func(links []v1beta1.Link, foreign int) bool {
		s := published()
		return (s.Links == nil) == (links == nil) && reflect.DeepEqual(s.Links, links) && len(s.Foreign) == foreign
	}
	// life runs one speaker, which says nothing of layer 2 yet.
	life := func(then func(*Speaker)) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer cancel()
		c := w.cluster(ctx, cluster.Options{Node: "n000"})
		before := w.writes.Load()
		s := runPublishers(t, ctx, &running, c, 1)[0]
		w.until("it has written", func() bool { return w.writes.Load() > before && len(published().Sessions) == len(flapPeers) })
		time.Sleep(2 * writePause) // and what follows at once
		then(s)
	}
	life(func(s *Speaker) {
		if !is(nil, 0) {
			t.Errorf("published before it is known: %+v", published().Links)
		}
		for _, step := range []struct {
			what string
			says layer2Report
		}{
			{"no link", layer2Report{links: []v1beta1.Link{}}},
			{"a link", layer2Report{links: eth0}},
			{"a foreign owner", layer2Report{links: eth0, foreign: foreign}},
		} {
			s.layer2says = step.says
			s.report()
			w.until(step.what, func() bool { return is(step.says.links, len(step.says.foreign)) })
		}
	})
	life(func(s *Speaker) {
		if !is(eth0, 1) {
			t.Errorf("a restart changes what is published: %+v", published())
		}
		before := w.writes.Load()
		s.layer2says = layer2Report{links: eth0, foreign: foreign}
		s.report()
		time.Sleep(2 * writePause) // nothing is what is waited for
		if n := w.writes.Load() - before; n != 0 {
			t.Errorf("what is published already is written %d times", n)
		}
		s.layer2says = layer2Report{links: eth0}
		s.report()
		w.until("no foreign owner", func() bool { return is(eth0, 0) })

		// More than the API takes is cut, and the rest still gets through.
		many := make([]v1beta1.ForeignOwner, maxListed+1)
		for i := range many {
			many[i] = foreign[0]
		}
		s.layer2says = layer2Report{links: eth0, foreign: many}
		s.report()
		w.until("very many foreign owners", func() bool { return is(eth0, maxListed) })
	})
}

// An FRR that hangs, or has never taken anything, keeps nobody from learning which
// links the node has, nor the node from following the others in layer 2.
func TestLayer2GoesOnWhileFRRHangs(t *testing.T) {
	w := newStatusWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	c := w.cluster(ctx, cluster.Options{Node: "n000"})
	metrics, err := telemetry.NewSpeaker(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	passes, err := telemetry.NewClient(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Node: "n000", Cluster: c, Log: logr.Discard(), Metrics: metrics, Passes: passes, Layer2: &Layer2{}})
	if s.layer2.engine, err = l2.New(l2.Options{Node: "n000"}); err != nil {
		t.Fatal(err)
	}
	defer s.layer2.engine.Close()
	s.layer2.known, s.layer2.excluded = true, true

	released := make(chan struct{})
	returned := make(chan struct{})
	go func() {
		s.beside(ctx, func() { <-released })
		close(returned)
	}()
	s.layer2.wake()
	w.until("a pass beside FRR", func() bool { return s.latest.Load() != nil })
	close(released)
	<-returned
	if !s.aside {
		t.Error("FRR is not told of what was decided beside it")
	}
	running.Go(func() { s.publish(ctx) })
	w.until("the links are published", func() bool {
		o := &v1beta1.ConfigurationState{}
		if w.Get(t.Context(), types.NamespacedName{Namespace: testNamespace, Name: "speaker-n000"}, o) != nil {
			return false
		}
		if len(o.Status.Conditions) > 0 || o.Status.Result != v1beta1.ConfigurationUnknown {
			t.Errorf("of FRR nothing is known, and it says %s, %v", o.Status.Result, o.Status.Conditions)
		}
		return o.Status.Links != nil && len(o.Status.Links) == 0
	})
}

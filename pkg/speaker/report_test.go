// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/frr/bmp"
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

// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"fmt"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/product"
)

// Each of FRR's daemons is killed, one after the other, while datagrams flow
// through all nodes. Its end is noticed and reported, the whole configuration is
// back, and none is lost: the node goes on forwarding.
func TestEachDaemonKilled(t *testing.T) {
	ctx, w := begin(t)
	rec, ns, to := w.served(t, ctx)
	addr := to.Addr()
	token := w.token(t, ctx, ns)
	w.lossless(t, ctx, rec, to, func() {
		for i, daemon := range []string{"mgmtd", "zebra", "bfdd", "bgpd"} {
			n := w.Node(i % len(everywhere))
			before, err := w.runningConfig(ctx, n)
			if err != nil {
				t.Fatal(err)
			}
			lost := fmt.Sprintf("metallb_speaker_frr_daemon_losses_total{daemon=%q}", daemon)
			known, restarts := w.scrape(t, ctx, n, speakerPort, token)[lost], w.restarts(t, ctx, n, "frr")
			since, from := time.Now(), rec.mark()
			if err := n.KillProcess(daemon); err != nil {
				t.Fatal(err)
			}
			w.reaches(t, ctx, n, token, lost, known+1)
			if daemon != "mgmtd" { // BFD ends with the others, and its sessions with it
				rec.saw(t, ctx, from, host(addr), others(n.Name)...)
			}
			w.whole(t, ctx, n, before)
			whole := time.Since(since)
			w.watched(t, ctx)
			rec.reach(t, ctx, host(addr), everywhere...)
			t.Logf("%s killed on %s: configuration whole after %v, sessions and BFD after %v",
				daemon, n.Name, whole.Round(time.Millisecond), time.Since(since).Round(time.Millisecond))
			w.told(t, ctx, since, product.Namespace, "ConfigurationState speaker-"+n.Name, "FRRDaemonLost", daemon)
			w.whole(t, ctx, n, before)
			if now := w.restarts(t, ctx, n, "frr"); now != restarts {
				t.Errorf("the container frr has restarted %d times, want %d: %s alone was killed", now, restarts, daemon)
			}
		}
	})
	w.agree(t, ctx)
}

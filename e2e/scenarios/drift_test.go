// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
)

// repairLimit is how long after it was typed by hand a line may stand. FRR is
// looked at every ten seconds.
const repairLimit = 12 * time.Second

// typed types configuration lines into the FRR of a node, as a person does.
func (w *world) typed(t *testing.T, ctx context.Context, n *lab.Node, lines ...string) {
	t.Helper()
	pod, err := w.speakerPod(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-n", product.Namespace, "exec", pod.Name, "-c", "frr", "--", "vtysh", "-c", "configure terminal"}
	for _, l := range lines {
		args = append(args, "-c", l)
	}
	if out := w.kubectl(t, ctx, args...); strings.Contains(out, "%") {
		t.Fatalf("FRR refuses %q: %s", lines, out)
	}
}

// repaired waits until a node's configuration is as before, and returns no later
// a time than that at which it was.
func (w *world) repaired(ctx context.Context, n *lab.Node, before string) (time.Time, error) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		asked := time.Now()
		now, err := w.runningConfig(ctx, n)
		if err != nil {
			return asked, err
		}
		if now == before {
			return asked, nil
		}
		select {
		case <-ctx.Done():
			return asked, fmt.Errorf("%s: %w; its configuration is\n%s", n.Name, context.Cause(ctx), now)
		case <-tick.C:
		}
	}
}

// slip is what somebody types, and a part of the line that sets it right.
type slip struct {
	node  int
	lines []string
	undo  string
}

// Lines that somebody types into FRR, on three nodes at once, are found, undone and
// reported, and cost no traffic. An operator who has paused repairs on a node is
// left alone until the time given, while the rest goes on.
func TestHandTypedLinesAreUndone(t *testing.T) {
	ctx, w := begin(t)
	rec, ns, to := w.served(t, ctx)
	addr := to.Addr()
	token := w.token(t, ctx, ns)
	before := map[string]string{}
	for _, n := range w.Nodes() {
		conf, err := w.runningConfig(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		before[n.Name] = conf
	}
	family := []string{"router bgp 65100", "address-family ipv4 unicast"}
	slips := []slip{
		{0, append(slices.Clip(family), "no network "+host(addr).String()), "network " + host(addr).String() + " route-map prod-adv.v4"},
		{1, append(slices.Clip(family), "network 203.0.113.99/32 route-map prod-adv.v4"), "no network 203.0.113.99/32"},
		{2, []string{"router bgp 65100", "no neighbor " + w.Router(0).Addr4.String()}, "neighbor " + w.Router(0).Addr4.String() + " remote-as 65000"},
	}
	w.lossless(t, ctx, rec, to, func() {
		w.undone(t, ctx, rec, token, before, addr, slips)
		w.watched(t, ctx)
		w.paused(t, ctx, rec, ns, token, before, addr)
	})
	w.watched(t, ctx)
	w.agree(t, ctx)
}

// undone types the slips and sees them undone in time, and reported.
func (w *world) undone(t *testing.T, ctx context.Context, rec *recording, token string, before map[string]string, addr netip.Addr, slips []slip) {
	t.Helper()
	since, from := time.Now(), rec.mark()
	counted := map[string]float64{}
	const detected, repairs = "metallb_speaker_frr_drift_detected_total", "metallb_speaker_frr_drift_repairs_total"
	for _, n := range w.Nodes() {
		series := w.scrape(t, ctx, n, speakerPort, token)
		counted[n.Name+detected], counted[n.Name+repairs] = series[detected], series[repairs]
	}
	limit, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	type result struct {
		slip
		took time.Duration
		err  error
	}
	results := make(chan result, len(slips))
	for _, s := range slips {
		n := w.Node(s.node)
		w.typed(t, ctx, n, s.lines...)
		at := time.Now()
		go func() {
			done, err := w.repaired(limit, n, before[n.Name])
			results <- result{s, done.Sub(at), err}
		}()
	}
	for range slips {
		r := <-results
		if r.err != nil || r.took > repairLimit {
			t.Fatalf("%q took %v to be undone, want at most %v: %v", r.lines, r.took, repairLimit, r.err)
		}
		t.Logf("%q is undone after %v", r.lines, r.took.Round(time.Millisecond))
	}
	// What was typed was in force.
	rec.saw(t, ctx, from, host(addr), "n2", "n3")
	rec.saw(t, ctx, from, netip.MustParsePrefix("203.0.113.99/32"), "n2")
	rec.reach(t, ctx, netip.MustParsePrefix("203.0.113.99/32"))
	rec.reach(t, ctx, host(addr), everywhere...)
	for _, s := range slips {
		n := w.Node(s.node)
		w.told(t, ctx, since, product.Namespace, "ConfigurationState speaker-"+n.Name, "ConfigurationDrift", "is set right", s.undo)
		for _, series := range []string{detected, repairs} {
			w.reaches(t, ctx, n, token, series, counted[n.Name+series]+1)
		}
		w.inSync(t, ctx, n, "InSync")
	}
}

// inSync waits until a node says so of its FRR.
func (w *world) inSync(t *testing.T, ctx context.Context, n *lab.Node, reason string) {
	t.Helper()
	w.kubectl(t, ctx, "-n", product.Namespace, "wait", "configurationstate/speaker-"+n.Name, "--timeout=30s",
		`--for=jsonpath={.status.conditions[?(@.type=="frrInSync")].reason}=`+reason)
}

// paused pauses repairs on a node, takes one of its neighbours away, and sees it
// come back at the time that the pause ends, and not before.
func (w *world) paused(t *testing.T, ctx context.Context, rec *recording, ns, token string, before map[string]string, addr netip.Addr) {
	t.Helper()
	const annotation, metric = "metallb.io/pause-repairs-until", "metallb_speaker_frr_repairs_paused"
	n, cut := w.Node(0), w.Router(1)
	t.Cleanup(func() {
		if _, err := w.Kubectl(context.Background(), "annotate", "node", n.Name, annotation+"-"); err != nil {
			t.Error(err)
		}
	})
	until := time.Now().Add(15 * time.Second).Truncate(time.Second)
	w.kubectl(t, ctx, "annotate", "node", n.Name, "--overwrite", annotation+"="+until.UTC().Format(time.RFC3339))
	w.inSync(t, ctx, n, "RepairsPaused")
	since, from := time.Now(), rec.mark()
	w.typed(t, ctx, n, "router bgp 65100", "no neighbor "+cut.Addr4.String())
	w.eventually(t, ctx, "the condition to name what would set it right", func() error {
		text, err := w.Kubectl(ctx, "-n", product.Namespace, "get", "configurationstate", "speaker-"+n.Name, "-o", `jsonpath={.status.conditions[?(@.type=="frrInSync")].message}`)
		if want := "neighbor " + cut.Addr4.String() + " remote-as 65000"; err == nil && !hasAll(text, []string{"paused until " + until.UTC().Format(time.RFC3339), want}) {
			err = fmt.Errorf("it is %q", text)
		}
		return err
	})
	w.reaches(t, ctx, n, token, metric, 1)
	// The rest takes changes: on the other router, from this node too.
	w.apply(t, ctx, plain(ns, "meanwhile", everywhere))
	meanwhile := host(w.address(t, ctx, ns, "meanwhile"))
	rec.until(t, ctx, "a new route on every session that is left", func(h *history) error {
		want := everywhere
		if h.router.Name == cut.Name {
			want = others(n.Name)
		}
		if got := h.now[meanwhile]; !slices.Equal(got, want) {
			return fmt.Errorf("it goes over %v, want %v", got, want)
		}
		return nil
	})
	rec.reach(t, ctx, host(addr), everywhere...)
	if back, ok := rec.back(from, cut, host(addr), everywhere); !ok || back.Before(until) {
		t.Errorf("the route is back at %s (%v), want it after the pause, which ends at %s:\n%s", back.Format("05.000"), ok, until.Format("05.000"), rec.since(from))
	}
	w.deleteService(t, ctx, ns, "meanwhile")
	w.whole(t, ctx, n, before[n.Name])
	w.told(t, ctx, since, product.Namespace, "ConfigurationState speaker-"+n.Name, "ConfigurationDrift", "repairs are paused")
	w.told(t, ctx, since, product.Namespace, "ConfigurationState speaker-"+n.Name, "ConfigurationDrift", "is set right")
	w.inSync(t, ctx, n, "InSync")
}

// back returns when a router's kernel told last that the route goes over those
// nodes.
func (rec *recording) back(from []int, r *lab.Router, p netip.Prefix, nodes []string) (at time.Time, ok bool) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for i, h := range rec.routers {
		for _, e := range h.events[from[i]:] {
			if h.router.Name == r.Name && e.prefix == p && slices.Equal(e.nodes, nodes) {
				at, ok = e.at, true
			}
		}
	}
	return at, ok
}

// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/e2e/apiserver"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/bmp"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
	"metallb.io/metallb-frr/pkg/frr/vtysh"
	"metallb.io/metallb-frr/pkg/telemetry"
)

const (
	testNamespace = "metallb-system"
	testLimit     = 30 * time.Second
)

// world is a speaker of node n1 at work between a real API server and a real FRR.
type world struct {
	t   *testing.T
	api client.Client
	frr *frrtest.FRR
	s   *Speaker
	log *lines
	*prometheus.Registry
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) has(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.all, "\n"), part)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, frr: frrtest.Start(t, frrtest.Options{}), log: &lines{}}
	config := apiserver.Start(t)
	apiserver.InstallCRDs(t, config)
	var err error
	if w.api, err = client.New(config, client.Options{Scheme: cluster.Scheme()}); err != nil {
		t.Fatal(err)
	}
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace}},
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}},
		&v1beta2.BGPPeer{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "tor"},
			Spec: v1beta2.BGPPeerSpec{MyASN: 65100, PeerASN: 65000, PeerAddress: "192.0.2.2", Password: "sesame"}})
	log := funcr.New(func(_, args string) {
		w.log.mu.Lock()
		defer w.log.mu.Unlock()
		w.log.all = append(w.log.all, args)
	}, funcr.Options{})
	c, err := cluster.New(config, cluster.Options{Namespace: testNamespace, Endpoints: true, FieldOwner: "metallb-speaker", Node: "n1", Host: "n1", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	w.run(c, log)
	return w
}

// run starts the speaker until the test ends.
func (w *world) run(c *cluster.Cluster, log logr.Logger) {
	t := w.t
	listener, err := bmp.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Node: "n1", Cluster: c, BMP: listener, Log: log, Document: frr.Options{BMPPort: listener.Addr().Port()},
		FRR: vtysh.New(vtysh.Options{Command: w.frr.Vtysh(), RunDir: w.frr.Path("/run/frr")})}
	w.Registry = prometheus.NewRegistry()
	if o.Metrics, err = telemetry.NewSpeaker(w.Registry); err != nil {
		t.Fatal(err)
	}
	if o.Passes, err = telemetry.NewClient(w.Registry); err != nil {
		t.Fatal(err)
	}
	w.s = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, start := range []func(context.Context) error{c.Start, w.s.Start} {
		all.Go(func() {
			if err := start(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		all.Wait()
		listener.Close()
		o.FRR.Close()
		if t.Failed() {
			t.Log(strings.Join(w.log.all, "\n"))
		}
	})
}

func (w *world) create(objs ...client.Object) {
	w.t.Helper()
	for _, o := range objs {
		if err := w.api.Create(w.t.Context(), o); err != nil {
			w.t.Fatal(err)
		}
	}
}

// until asks done until it is so, and returns how long that took.
func (w *world) until(what string, done func() bool) time.Duration {
	w.t.Helper()
	began := time.Now()
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		if done() {
			return time.Since(began)
		}
		if time.Since(began) > testLimit {
			w.t.Fatalf("waited %v for %s", testLimit, what)
		}
	}
}

// running waits until a line is in FRR's running configuration, or with "-" before
// it is not.
func (w *world) running(line string) time.Duration {
	w.t.Helper()
	text, absent := strings.CutPrefix(line, "-")
	return w.until(fmt.Sprintf("%q in FRR", line), func() bool { return strings.Contains(w.frr.Running(w.t), text+"\n") != absent })
}

// condition waits for the condition frrInSync.
func (w *world) condition(status metav1.ConditionStatus, reason, part string) {
	w.t.Helper()
	w.until(fmt.Sprintf("frrInSync %s %s with %q", status, reason, part), func() bool {
		var o v1beta1.ConfigurationState
		if err := w.api.Get(w.t.Context(), client.ObjectKey{Namespace: testNamespace, Name: "speaker-n1"}, &o); err != nil {
			return false
		}
		c := meta.FindStatusCondition(o.Status.Conditions, v1beta1.ConditionFRRInSync)
		return c != nil && c.Status == status && c.Reason == reason && strings.Contains(c.Message, part) && !strings.Contains(c.Message, "sesame")
	})
}

// event waits for an event about the speaker's own object.
func (w *world) event(reason, part string) {
	w.t.Helper()
	w.until(fmt.Sprintf("an event %s with %q", reason, part), func() bool {
		var list corev1.EventList
		if err := w.api.List(w.t.Context(), &list, client.InNamespace(testNamespace)); err != nil {
			w.t.Fatal(err)
		}
		for _, e := range list.Items {
			if e.InvolvedObject.Name == "speaker-n1" && e.Reason == reason && strings.Contains(e.Message, part) && !strings.Contains(e.Message, "sesame") {
				return true
			}
		}
		return false
	})
}

// metric returns the value of a series, with label values where it has labels.
func (w *world) metric(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if f.GetName() == name && slices.Equal(values, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

func (w *world) pauseUntil(value string) {
	w.t.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"`+v1beta1.AnnotationPauseRepairs+`":`+value+`}}}`))
	if err := w.api.Patch(w.t.Context(), n, patch); err != nil {
		w.t.Fatal(err)
	}
}

const (
	remoteAS = " neighbor 192.0.2.2 remote-as 65000"
	password = " neighbor 192.0.2.2 password sesame"
)

// What others do to FRR is set right and reported, without passwords; paused, it
// is only reported, until the deadline.
func TestDriftIsRepairedAndReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.running(remoteAS)
	w.condition(metav1.ConditionTrue, "InSync", "")

	w.frr.Load(t, "router bgp 65100\n no neighbor 192.0.2.2 password\n")
	t.Logf("a line removed was repaired after %v", w.running(password))
	w.event("ConfigurationDrift", "password [redacted]")
	w.until("the count", func() bool { return w.metric("metallb_speaker_frr_drift_repairs_total") == 1 })
	if !w.log.has("FRR's configuration was changed by somebody else") || w.log.has("sesame") {
		t.Errorf("the log does not tell of the change, or tells the password")
	}

	w.pauseUntil(`"tomorrow"`)
	w.event("InvalidPause", "tomorrow")
	w.condition(metav1.ConditionTrue, "InvalidPause", "write a time such as")
	w.pauseUntil(fmt.Sprintf("%q", time.Now().Add(25*time.Hour).Format(time.RFC3339)))
	w.condition(metav1.ConditionTrue, "InvalidPause", "24h")

	deadline := time.Now().Add(2*checkEvery + 5*time.Second).Truncate(time.Second)
	w.pauseUntil(fmt.Sprintf("%q", deadline.Format(time.RFC3339)))
	w.condition(metav1.ConditionFalse, "RepairsPaused", "")
	w.frr.Load(t, "router bgp 65100\n neighbor 192.0.2.2 timers 5 15\n")
	w.condition(metav1.ConditionFalse, "RepairsPaused", "no neighbor 192.0.2.2 timers 5 15")
	if got := w.metric("metallb_speaker_frr_repairs_paused"); got != 1 {
		t.Errorf("the gauge of the pause is %v, want 1", got)
	}
	w.create(&v1beta2.BGPPeer{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "tor2"},
		Spec: v1beta2.BGPPeerSpec{MyASN: 65100, PeerASN: 65000, PeerAddress: "192.0.2.3"}})
	w.running(" neighbor 192.0.2.3 remote-as 65000") // changes go out
	if early := time.Until(deadline); early > 0 && !strings.Contains(w.frr.Running(t), " timers 5 15\n") {
		t.Errorf("what the operator typed is gone %v before the deadline", early)
	}
	w.running("- neighbor 192.0.2.2 timers 5 15")
	if late := time.Since(deadline); late < 0 || late > checkEvery/2 { // by chance it would be anything up to checkEvery
		t.Errorf("repaired %v after the deadline", late)
	}
	w.condition(metav1.ConditionTrue, "InSync", "")
	if got := w.metric("metallb_speaker_frr_repairs_paused"); got != 0 {
		t.Errorf("the gauge of the pause is %v after it, want 0", got)
	}
}

// The end of a daemon is noticed and reported at once, and all is loaded again
// when it is back; but not while the container leaves.
func TestDaemonsComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.running(remoteAS)
	for _, daemon := range frrtest.Daemons {
		w.frr.KillDaemon(t, daemon)
		w.event("FRRDaemonLost", daemon)
		w.frr.StartDaemon(t, daemon)
		t.Logf("%s is back: all in force after %v", daemon, w.running(password))
		w.until("word of its return", func() bool { return w.log.has(`"msg"="FRR daemon is back" "node"="n1" "daemon"="` + daemon + `"`) })
		w.condition(metav1.ConditionTrue, "InSync", "")
	}
	marker := filepath.Join(w.frr.Path("/run/frr"), "draining")
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.frr.Load(t, "router bgp 65100\n bgp graceful-shutdown\n")
	w.create(&v1beta2.BGPPeer{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "tor2"},
		Spec: v1beta2.BGPPeerSpec{MyASN: 65100, PeerASN: 65000, PeerAddress: "192.0.2.3"}})
	w.condition(metav1.ConditionFalse, "Draining", "")
	if text := w.frr.Running(t); !strings.Contains(text, "graceful-shutdown") || strings.Contains(text, "192.0.2.3") {
		t.Errorf("something was loaded while the container leaves:\n%s", text)
	}
	for _, daemon := range frrtest.Daemons {
		w.frr.KillDaemon(t, daemon)
	}
	losses := w.metric("metallb_speaker_frr_daemon_losses_total", "zebra")
	if err := os.Remove(marker); err != nil {
		t.Fatal(err)
	}
	for _, daemon := range frrtest.Daemons {
		w.frr.StartDaemon(t, daemon)
	}
	w.running(" neighbor 192.0.2.3 remote-as 65000")
	w.running("- bgp graceful-shutdown")
	w.condition(metav1.ConditionTrue, "InSync", "")
	if losses != 1 {
		t.Errorf("%v losses of zebra were counted, want only the one that was no orderly end", losses)
	}
}

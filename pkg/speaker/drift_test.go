// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
	"metallb.io/metallb-frr/pkg/frr/vtysh"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// A pause that cannot be read is told once, although the time that the message
// proposes moves on; and again when it is another one.
func TestAnInvalidPauseIsToldOnce(t *testing.T) {
	w := newStatusWorld(t)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Annotations: map[string]string{v1beta1.AnnotationPauseRepairs: "tomorrow"}}}
	w.make(node)
	lines := 0
	log := funcr.New(func(_, args string) {
		if strings.Contains(args, "repairs are not paused") {
			lines++
		}
	}, funcr.Options{})
	metrics, err := telemetry.NewSpeaker(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Node: "n1", Cluster: w.cluster(t.Context(), cluster.Options{Node: "n1"}), FRR: vtysh.New(vtysh.Options{}), Log: log, Metrics: metrics})
	now := time.Now()
	for i := range 5 {
		s.pause(now.Add(time.Duration(i) * checkEvery))
	}
	first := s.drift.sync.InvalidPause
	if lines != 1 || !strings.Contains(first, "tomorrow") {
		t.Errorf("told %d times, last %q; want once", lines, first)
	}
	node.Annotations[v1beta1.AnnotationPauseRepairs] = "soon"
	if err := w.Update(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	w.until("another value is told", func() bool {
		s.pause(now.Add(time.Minute))
		return strings.Contains(s.drift.sync.InvalidPause, "soon")
	})
	if lines != 2 {
		t.Errorf("told %d times, want twice", lines)
	}
}

// A repair keeps what is known of the user's own templates.
func TestRepairKeepsWhatIsNotRendered(t *testing.T) {
	w := newStatusWorld(t)
	f := frrtest.Start(t, frrtest.Options{})
	driver := vtysh.New(vtysh.Options{Command: f.Vtysh()})
	t.Cleanup(func() { driver.Close() })
	metrics, err := telemetry.NewSpeaker(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Node: "n1", Cluster: w.cluster(t.Context(), cluster.Options{Node: "n1"}), FRR: driver, Metrics: metrics})
	s.document = frr.ParseConf("route-map web permit 1\n set tag 7\nexit\n")
	s.document.Unrendered = []frr.Refusal{{Line: frr.Line{Text: "class.tmpl"}, Message: "your own template fails here"}}
	applied, err := driver.Apply(t.Context(), s.document)
	if err != nil {
		t.Fatal(err)
	}
	s.took(applied)
	s.passed = true
	f.Load(t, "no route-map web\n")
	found, err := driver.Drift(t.Context())
	if err != nil || len(found) == 0 {
		t.Fatalf("found %v, %v; want a difference", found, err)
	}
	s.drifted(t.Context(), found)
	if !strings.Contains(f.Running(t), "route-map web permit 1\n") {
		t.Error("nothing was repaired")
	}
	if r := s.latest.Load(); r == nil || len(r.refused) != 1 || r.refused[0].Line.Text != "class.tmpl" {
		t.Errorf("reported %+v, want what the template's failure is", r)
	}
}

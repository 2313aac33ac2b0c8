// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/controller"
	"metallb.io/metallb-frr/pkg/frr/bmp"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/status"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// flapped is what was written while the sessions of many nodes flapped.
type flapped struct {
	took    time.Duration
	flaps   int
	speaker map[string]int // writes by object
	peer    map[string]int
	passes  float64 // of the controller
	cpu     time.Duration
}

var flapPeers = []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}

// flap lets every session of many nodes come and go five times a second, for some
// seconds: each node's own publishing, a controller, and a real API server.
func flap(t testing.TB, nodes, seconds int) flapped {
	w := newStatusWorld(t)
	for i := range nodes {
		w.make(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n%03d", i)}, Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		}})
	}
	for _, addr := range flapPeers {
		p := &v1beta2.BGPPeer{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "peer-" + addr}}
		p.Spec = v1beta2.BGPPeerSpec{MyASN: 1, PeerASN: 2, PeerAddress: addr}
		w.make(p)
	}
	var mu sync.Mutex
	writes := map[string]int{}
	count := func(p string) {
		if object, ok := strings.CutSuffix(p, "/status"); ok {
			mu.Lock()
			defer mu.Unlock()
			writes[path.Base(path.Dir(object))+"/"+path.Base(object)]++
		}
	}
	w.seen = count
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer func() { cancel(); running.Wait() }()
	passes := runController(t, ctx, &running, w)
	speakers := runPublishers(t, ctx, &running, w.cluster(ctx, cluster.Options{}), nodes)

	// All are up and told so; from there on it is flapping.
	w.until("all sessions are up", func() bool {
		p := &v1beta2.BGPPeerList{}
		if err := w.List(ctx, p); err != nil {
			t.Fatal(err)
		}
		return !slices.ContainsFunc(p.Items, func(p v1beta2.BGPPeer) bool {
			return p.Status.Sessions == nil || int(p.Status.Sessions.Established) != nodes
		})
	})
	mu.Lock()
	clear(writes)
	mu.Unlock()
	f := flapped{speaker: map[string]int{}, peer: map[string]int{}}
	before, began, cpu := passes(), time.Now(), processTime()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for i := 0; time.Since(began) < time.Duration(seconds)*time.Second; i++ {
		for _, s := range speakers {
			for _, addr := range flapPeers {
				e := bmp.Event{Kind: bmp.Up, Peer: netip.MustParseAddr(addr), At: time.Now()}
				if i%2 == 0 {
					e.Kind, e.Reason = bmp.Down, fmt.Sprintf("flap %d", i)
				}
				s.heard(e)
				f.flaps++
			}
		}
		<-tick.C
	}
	f.took, f.passes, f.cpu = time.Since(began), passes()-before, processTime()-cpu
	mu.Lock()
	defer mu.Unlock()
	for object, n := range writes {
		if strings.HasPrefix(object, "bgppeers/") {
			f.peer[object] = n
		} else if strings.HasPrefix(object, "configurationstates/speaker-") {
			f.speaker[object] = n
		}
	}
	return f
}

func processTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// until waits for ok.
func (w *statusWorld) until(what string, ok func() bool) {
	w.t.Helper()
	end := time.After(3 * testLimit)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			w.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// runController returns what counts its passes.
func runController(t testing.TB, ctx context.Context, running *sync.WaitGroup, w *statusWorld) func() float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	o := controller.Options{Log: logr.Discard()}
	var err error
	if o.Client, err = telemetry.NewClient(registry); err != nil {
		t.Fatal(err)
	}
	if o.Allocator, err = telemetry.NewAllocator(registry); err != nil {
		t.Fatal(err)
	}
	c, err := cluster.New(w.counted(), cluster.Options{Namespace: testNamespace, FieldOwner: "metallb-controller", StatusWriter: true, Endpoints: true})
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() { _ = controller.New(c, o).Start(ctx) })
	return func() float64 {
		all, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range all {
			if family.GetName() == "metallb_k8s_client_updates_total" {
				return family.GetMetric()[0].GetCounter().GetValue()
			}
		}
		return 0
	}
}

// runPublishers runs the publishing part of a speaker for each node; they share
// one connection.
func runPublishers(t testing.TB, ctx context.Context, running *sync.WaitGroup, c *cluster.Cluster, nodes int) []*Speaker {
	t.Helper()
	var all []*Speaker
	for i := range nodes {
		metrics, err := telemetry.NewSpeaker(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		passes, err := telemetry.NewClient(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		s := New(Options{Node: fmt.Sprintf("n%03d", i), Cluster: c, Log: logr.Discard(), Metrics: metrics, Passes: passes})
		s.intent, s.passed = &intent.Intent{Config: &intent.Config{}}, true
		s.step = status.Step{In: true, Reason: status.ReasonInService, Message: "in service"}
		s.sessions.plan(planWith(flapPeers...))
		for _, addr := range flapPeers {
			s.heard(bmp.Event{Kind: bmp.Up, Peer: netip.MustParseAddr(addr), At: time.Now()})
		}
		running.Go(func() { s.publish(ctx) })
		all = append(all, s)
	}
	return all
}

// Sessions that flap are written at most once a second per speaker and per
// BGPPeer, and make the controller decide nothing anew. Of 200 nodes that is what
// a cluster of that size gets; with few, the API server keeps up with anything and
// only our own limits hold the rate down.
func TestFlappingIsFolded(t *testing.T) {
	const seconds = 5
	for _, nodes := range []int{3, 200} {
		t.Run(fmt.Sprintf("nodes=%d", nodes), func(t *testing.T) {
			f := flap(t, nodes, seconds)
			most := int(f.took/time.Second) + 1
			for object, n := range f.speaker {
				if n > most {
					t.Errorf("%s was written %d times in %v", object, n, f.took)
				}
			}
			for object, n := range f.peer {
				if n > most {
					t.Errorf("%s was written %d times in %v", object, n, f.took)
				}
			}
			if len(f.speaker) == 0 || len(f.peer) == 0 {
				t.Errorf("%d ConfigurationStates and %d BGPPeers were written; want some of %d nodes and %d peers", len(f.speaker), len(f.peer), nodes, len(flapPeers))
			}
			if f.passes != 0 {
				t.Errorf("the controller made %v passes because sessions flapped, want none", f.passes)
			}
			f.log(t)
		})
	}
}

func (f flapped) log(t testing.TB) (speaker, peer float64) {
	speaker, peer = perSecond(f.speaker, f.took), perSecond(f.peer, f.took)
	t.Logf("%d flaps of %d nodes in %v: %.2f writes a second per speaker, %.2f per BGPPeer; %.0f passes of the controller; %v CPU of all speakers and the controller together",
		f.flaps, len(f.speaker), f.took.Round(time.Millisecond), speaker, peer, f.passes, f.cpu.Round(time.Millisecond))
	return speaker, peer
}

// perSecond is the mean rate of one object's writes.
func perSecond(writes map[string]int, took time.Duration) float64 {
	sum := 0
	for _, n := range writes {
		sum += n
	}
	return float64(sum) / float64(max(len(writes), 1)) / took.Seconds()
}

// BenchmarkFlapping measures the same at any time: the rates are its figures, not
// its ns/op.
func BenchmarkFlapping(b *testing.B) {
	for b.Loop() {
		f := flap(b, 200, 10)
		speaker, peer := f.log(b)
		b.ReportMetric(speaker, "writes/speaker/s")
		b.ReportMetric(peer, "writes/bgppeer/s")
		b.ReportMetric(f.passes, "controller-passes")
		b.ReportMetric(float64(f.flaps)/f.took.Seconds(), "flaps/s")
	}
}

// What the speakers of other nodes report of their sessions does not reach a
// speaker, and its own does not make it plan anew.
func TestReportsOfOthersWakeNobody(t *testing.T) {
	w := newStatusWorld(t)
	c := w.cluster(t.Context(), cluster.Options{Node: "n1"})
	c.Read()
	for drained := false; !drained; {
		select {
		case <-c.Changed():
			c.Read()
		case <-c.StatesChanged():
		case <-time.After(time.Second): // what the start brought with it is over
			drained = true
		}
	}
	for _, node := range []string{"n2", "n1"} {
		o := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: v1beta1.SpeakerStatePrefix + node}}
		w.make(o)
		o.Status.Sessions = []v1beta1.SessionStatus{{Peer: "tor", State: v1beta1.SessionDown}}
		if err := w.Status().Update(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		select {
		case <-c.StatesChanged():
			if node == "n2" {
				t.Error("another node's report is heard")
			}
		case <-time.After(time.Second):
			if node == "n1" {
				t.Error("the own report is not heard")
			}
		}
	}
	w.until("the Snapshot has sessions in the own report", func() bool {
		states := c.Read().States
		return len(states) == 2 && len(states[0].Status.Sessions) == 1
	})
	if n := len(c.Read().States[1].Status.Sessions); n != 0 {
		t.Errorf("the Snapshot has %d sessions of another node", n)
	}
	select {
	case <-c.Changed():
		t.Error("a report makes a pass")
	default:
	}
}

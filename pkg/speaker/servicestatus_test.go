// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/e2e/apiserver"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// statusWorld is an API server and what a speaker of node n1 writes to it.
type statusWorld struct {
	t      testing.TB
	config *rest.Config
	client.WithWatch
	writes atomic.Int64      // of the speakers
	seen   func(path string) // if set, gets each write's path
}

func newStatusWorld(t testing.TB) *statusWorld {
	t.Helper()
	config := apiserver.Start(t)
	apiserver.InstallCRDs(t, config)
	api, err := client.NewWithWatch(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	w := &statusWorld{t: t, config: config, WithWatch: api}
	w.make(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace}})
	return w
}

func (w *statusWorld) make(o client.Object) {
	w.t.Helper()
	if err := w.Create(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// counted is how to reach the API server so that writes are counted.
func (w *statusWorld) counted() *rest.Config {
	config := rest.CopyConfig(w.config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodGet {
				w.writes.Add(1)
				if w.seen != nil {
					w.seen(r.URL.Path)
				}
			}
			return next.RoundTrip(r)
		})
	})
	return config
}

// cluster starts a Cluster as a speaker has it.
func (w *statusWorld) cluster(ctx context.Context, o cluster.Options) *cluster.Cluster {
	w.t.Helper()
	o.Namespace, o.FieldOwner, o.Log = testNamespace, "metallb-speaker", testr.NewWithInterface(w.t, testr.Options{})
	c, err := cluster.New(w.counted(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	go func() { _ = c.Start(ctx) }()
	limit, stop := context.WithTimeout(ctx, testLimit)
	defer stop()
	if err := c.WaitSynced(limit); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// beside runs what writes objects of node n1 until stop.
func (w *statusWorld) beside(owner string, mode ServiceStatus, start func(Options) *serviceWriter) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	passes, err := telemetry.NewClient(prometheus.NewRegistry())
	if err != nil {
		w.t.Fatal(err)
	}
	o := Options{Node: "n1", Log: testr.NewWithInterface(w.t, testr.Options{}), Passes: passes, Owner: Owner{"speaker-" + owner, owner}, ServiceStatus: mode}
	o.Cluster = w.cluster(ctx, cluster.Options{Node: "n1"})
	s := start(o)
	ended := make(chan struct{})
	go func() { defer close(ended); s.run(ctx) }()
	stop = func() { cancel(); <-ended }
	w.t.Cleanup(stop)
	return stop
}

// speaker runs what writes the ServiceBGPStatuses of node n1 until stop.
func (w *statusWorld) speaker(owner string, mode ServiceStatus, limit int) (s *serviceStatuses, stop func()) {
	w.t.Helper()
	stop = w.beside(owner, mode, func(o Options) *serviceWriter {
		s = newServiceStatuses(o, func() {})
		s.limit = limit
		return s.serviceWriter
	})
	return s, stop
}

// announce hands over a pass of n1 in which these Services are announced.
func (s *serviceStatuses) announce(t *testing.T, peers string, services ...string) {
	t.Helper()
	manifests := ""
	for _, n := range []string{"n1", "n2"} {
		manifests += "---\napiVersion: v1\nkind: Node\nmetadata: {name: " + n + "}\n"
	}
	for i, p := range strings.Fields(peers) {
		manifests += fmt.Sprintf("---\napiVersion: metallb.io/v1beta2\nkind: BGPPeer\nmetadata: {name: %s}\nspec: {myASN: 1, peerASN: 2, peerAddress: 172.16.0.%d}\n", p, i+1)
	}
	manifests += "---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: a}\nspec: {addresses: [10.0.0.0/16]}\n" +
		"---\napiVersion: metallb.io/v1beta1\nkind: BGPAdvertisement\nmetadata: {name: a}\n"
	for i, name := range services {
		manifests += fmt.Sprintf("---\napiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: default}\nspec: {type: LoadBalancer, clusterIPs: [10.96.0.1]}\nstatus: {loadBalancer: {ingress: [{ip: 10.0.%d.%d}]}}\n", name, i/250, 1+i%250) +
			fmt.Sprintf("---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: %s, namespace: default, labels: {kubernetes.io/service-name: %s}}\nendpoints: [{addresses: [10.244.0.1], nodeName: n1}]\n", name, name)
	}
	snapshot, err := intent.ReadYAML(strings.NewReader(manifests), testNamespace)
	if err != nil {
		t.Fatal(err)
	}
	in := intent.Resolve(nil, snapshot)
	s.offer(in, plan.ForNode(nil, in, plan.NodeFacts{Name: "n1", Forwarding: true}))
}

// await waits until the ServiceBGPStatuses of all nodes are these: node, Service,
// peers and owner of each.
func (w *statusWorld) await(situation string, want ...string) []client.Object {
	w.t.Helper()
	return w.awaitList(situation, &v1beta1.ServiceBGPStatusList{}, func(o client.Object) (string, [3]string) {
		s := &o.(*v1beta1.ServiceBGPStatus).Status
		return strings.Join(s.Peers, ","), [3]string{s.Node, s.ServiceNamespace, s.ServiceName}
	}, want...)
}

// awaitList waits until the objects of list's kind are these: node, Service, what
// say makes of the status, and owner of each.
func (w *statusWorld) awaitList(situation string, list client.ObjectList, say func(client.Object) (text string, about [3]string), want ...string) []client.Object {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), testLimit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	slices.Sort(want)
	for {
		if err := w.List(w.t.Context(), list, client.InNamespace(testNamespace)); err != nil {
			w.t.Fatal(err)
		}
		items, err := meta.ExtractList(list)
		if err != nil {
			w.t.Fatal(err)
		}
		var have []string
		var objects []client.Object
		for _, item := range items {
			o := item.(client.Object)
			objects = append(objects, o)
			text, about := say(o)
			labels := o.GetLabels()
			for _, r := range o.GetOwnerReferences() {
				text += " " + string(r.UID)
			}
			have = append(have, labels[v1beta1.LabelNode]+" "+cluster.ServiceOf(o).String()+" "+text)
			if about != [3]string{labels[v1beta1.LabelNode], labels[v1beta1.LabelServiceNamespace], labels[v1beta1.LabelServiceName]} {
				have[len(have)-1] += " status not whole"
			}
		}
		if slices.Sort(have); slices.Equal(have, want) {
			return objects
		}
		select {
		case <-ctx.Done():
			w.t.Fatalf("%s: the objects are\n%s\nwant\n%s", situation, strings.Join(have, "\n"), strings.Join(want, "\n"))
		case <-tick.C:
		}
	}
}

func TestServiceStatusesFollowWhatIsAnnounced(t *testing.T) {
	w := newStatusWorld(t)
	s, stop := w.speaker("u1", ServiceStatusAlways, statusLimit)
	s.announce(t, "tor1 tor2", "web", "db")
	made := w.await("two Services", "n1 default/web tor1,tor2 u1", "n1 default/db tor1,tor2 u1")
	if name := made[0].GetName(); !strings.HasPrefix(name, "bgp-") {
		t.Errorf("an object's name is %s, want one that begins with bgp-", name)
	}

	s.announce(t, "tor1", "web")
	w.await("fewer peers and one Service less", "n1 default/web tor1 u1")

	// Edits by hand are put back, in each part of the object.
	web := made[slices.IndexFunc(made, func(o client.Object) bool { return cluster.ServiceOf(o).Name == "web" })].(*v1beta1.ServiceBGPStatus)
	for what, patch := range map[string]client.Patch{
		"peers":     client.RawPatch(types.MergePatchType, []byte(`{"status":{"peers":["other"]}}`)),
		"no status": client.RawPatch(types.MergePatchType, []byte(`{"status":null}`)),
	} {
		if err := w.Status().Patch(t.Context(), web.DeepCopy(), patch); err != nil {
			t.Fatal(what, err)
		}
		w.await("after an edit of its "+what, "n1 default/web tor1 u1")
	}
	for what, patch := range map[string]string{
		"node label":    `{"metadata":{"labels":{"metallb.io/node":"n9"}}}`,
		"service label": `{"metadata":{"labels":{"metallb.io/service-name":"n9"}}}`,
		"owner":         `{"metadata":{"ownerReferences":null}}`,
	} {
		if err := w.Patch(t.Context(), web.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
			t.Fatal(what, err)
		}
		w.await("after an edit of its "+what, "n1 default/web tor1 u1")
	}
	if err := w.Delete(t.Context(), web.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	w.await("after it was deleted", "n1 default/web tor1 u1")

	s.announce(t, "tor1")
	w.await("nothing announced")
	stop()
}

func TestServiceStatusesAreTakenOver(t *testing.T) {
	w := newStatusWorld(t)
	// What MetalLB's speaker, or a former life of ours, left behind.
	var foreign *v1beta1.ServiceBGPStatus
	for _, left := range []string{"n1 web", "n1 gone", "n2 web", "n1 twice", "n1 twice"} {
		node, name, _ := strings.Cut(left, " ")
		o := &v1beta1.ServiceBGPStatus{ObjectMeta: metav1.ObjectMeta{
			Namespace: testNamespace, GenerateName: "bgp-",
			Labels:          map[string]string{v1beta1.LabelNode: node, v1beta1.LabelServiceName: name, v1beta1.LabelServiceNamespace: "default"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "old", UID: "old"}},
		}}
		w.make(o)
		o.Status = v1beta1.ServiceBGPStatusStatus{Node: node, ServiceName: name, ServiceNamespace: "default", Peers: []string{"tor1"}}
		if err := w.Status().Update(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if left == "n1 web" {
			foreign = o
		}
	}
	s, stop := w.speaker("u1", "", statusLimit)
	s.announce(t, "tor1", "web", "twice")
	want := []string{"n1 default/web tor1 u1", "n1 default/twice tor1 u1", "n2 default/web tor1 old"}
	w.await("taken over", want...)
	kept := &v1beta1.ServiceBGPStatus{}
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(foreign), kept); err != nil || kept.UID != foreign.UID {
		t.Errorf("the object that was there is not the one that stays: %v", err)
	}
	stop()

	// The same Pod again: nothing to write. Another Pod: the owner alone.
	before := w.writes.Load()
	s, stop = w.speaker("u1", "", statusLimit)
	s.announce(t, "tor1", "web", "twice")
	time.Sleep(2 * statusPause) // nothing is what is waited for
	stop()
	if n := w.writes.Load() - before; n != 0 {
		t.Errorf("a restarted speaker writes %d times, want nothing", n)
	}
	s, stop = w.speaker("u2", "", statusLimit)
	s.announce(t, "tor1", "web", "twice")
	w.await("owned by the new Pod", "n1 default/web tor1 u2", "n1 default/twice tor1 u2", "n2 default/web tor1 old")
	stop()
	if n := w.writes.Load() - before; n != 2 {
		t.Errorf("a new Pod writes %d times, want one for each of the two objects", n)
	}

	s, stop = w.speaker("u2", ServiceStatusNever, statusLimit)
	s.announce(t, "tor1", "web", "twice")
	w.await("never", "n2 default/web tor1 old")
	stop()
}

// auto counts what all nodes together would write; here two nodes announce each
// Service.
func TestServiceStatusesStopAtTheLimit(t *testing.T) {
	w := newStatusWorld(t)
	s, _ := w.speaker("u1", ServiceStatusAuto, 10)
	services := []string{"a", "b", "c", "d", "e", "f"}
	s.announce(t, "tor1", services[:5]...)
	w.await("at the limit", "n1 default/a tor1 u1", "n1 default/b tor1 u1", "n1 default/c tor1 u1", "n1 default/d tor1 u1", "n1 default/e tor1 u1")
	if c := s.conditions(nil, time.Now()); len(c) != 0 {
		t.Errorf("at the limit the condition is %v, want none", c)
	}
	s.announce(t, "tor1", services...)
	w.await("above the limit")
	c := s.conditions(nil, time.Now())
	if len(c) != 1 || c[0].Status != metav1.ConditionFalse || c[0].Reason != "TooManyServiceStatuses" || !strings.Contains(c[0].Message, "more than 10 ServiceBGPStatus") {
		t.Errorf("above the limit the condition is %v", c)
	}
	// Below the limit, but not by much: it would go on and off with each Service.
	near := newServiceStatuses(s.Options, func() {})
	near.limit = 11
	near.volume.Store(tooMany)
	near.announce(t, "tor1", services[:5]...)
	if near.writes(near.latest.Load().intent) {
		t.Error("10 objects with a limit of 11 are written again; want that only at 9")
	}
	s.announce(t, "tor1", services[:4]...)
	w.await("well below the limit", "n1 default/a tor1 u1", "n1 default/b tor1 u1", "n1 default/c tor1 u1", "n1 default/d tor1 u1")
}

// A burst is written at no more than statusWrites a second.
func TestServiceStatusesArePaced(t *testing.T) {
	w := newStatusWorld(t)
	s, _ := w.speaker("u1", ServiceStatusAlways, statusLimit)
	var services, want []string
	for i := range 2*statusWrites + 1 {
		services = append(services, fmt.Sprintf("s%03d", i))
		want = append(want, "n1 default/"+services[i]+" tor1 u1")
	}
	began := time.Now()
	s.announce(t, "tor1", services...)
	w.await("a burst", want...)
	took := time.Since(began)
	if least := 2 * statusPause; took < least {
		t.Errorf("%d objects were written in %v; want at least %v", len(want), took, least)
	}
	// Two requests make an object: its metadata and its status.
	t.Logf("%d objects in %v: %.1f objects, %.1f requests a second", len(want), took.Round(time.Millisecond), float64(len(want))/took.Seconds(), float64(w.writes.Load())/took.Seconds())
}

func TestServiceStatusValues(t *testing.T) {
	for text, ok := range map[string]bool{"auto": true, "always": true, "never": true, "": false, "Auto": false, "sometimes": false} {
		if _, err := ParseServiceStatus(text); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "auto, always or never") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

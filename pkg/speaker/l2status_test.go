// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
)

// layer2 runs what writes the ServiceL2Statuses of node n1 until stop.
func (w *statusWorld) layer2(owner string) (s *l2Statuses, stop func()) {
	w.t.Helper()
	stop = w.beside(owner, "", func(o Options) *serviceWriter {
		s = newL2Statuses(o)
		return s.serviceWriter
	})
	return s, stop
}

// says hands over what is announced: the Service's name, its addresses and, after
// an @, the interfaces, if not all.
func (s *l2Statuses) says(services ...string) {
	var all []answered
	for _, text := range services {
		text, links, named := strings.Cut(text, "@")
		words := strings.Fields(text)
		a := answered{service: intent.Key{Namespace: "default", Name: words[0]}}
		for _, addr := range words[1:] {
			a.addrs = append(a.addrs, netip.MustParseAddr(addr))
		}
		if named {
			a.links = strings.Fields(links)
		}
		all = append(all, a)
	}
	s.offer(all)
}

// awaitL2 waits until the ServiceL2Statuses of all nodes are these: node, Service,
// addresses, interfaces and owner of each.
func (w *statusWorld) awaitL2(situation string, want ...string) []client.Object {
	w.t.Helper()
	return w.awaitList(situation, &v1beta1.ServiceL2StatusList{}, func(o client.Object) (string, [3]string) {
		s := &o.(*v1beta1.ServiceL2Status).Status
		text := strings.Join(s.Addresses, ",") + "@"
		for _, i := range s.Interfaces {
			text += i.Name
		}
		return text, [3]string{s.Node, s.ServiceNamespace, s.ServiceName}
	}, want...)
}

// left makes an object that another speaker has left behind.
func (w *statusWorld) left(node, service string, addresses ...string) *v1beta1.ServiceL2Status {
	w.t.Helper()
	o := &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{
		Namespace: testNamespace, GenerateName: "l2-",
		Labels:          map[string]string{v1beta1.LabelNode: node, v1beta1.LabelServiceName: service, v1beta1.LabelServiceNamespace: "default"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "old", UID: "old"}},
	}}
	w.make(o)
	o.Status = v1beta1.ServiceL2StatusStatus{Node: node, ServiceName: service, ServiceNamespace: "default", Addresses: addresses}
	if err := w.Status().Update(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
	return o
}

func TestServiceL2StatusesFollowWhatIsAnnounced(t *testing.T) {
	w := newStatusWorld(t)
	s, stop := w.layer2("u1")
	s.says("db 10.0.0.2@eth0 eth1", "web 10.0.0.1 2001:db8::1")
	web := "n1 default/web 10.0.0.1,2001:db8::1@ u1"
	made := w.awaitL2("two Services", "n1 default/db 10.0.0.2@eth0eth1 u1", web)
	for _, o := range made {
		if !strings.HasPrefix(o.GetName(), "l2-") || len(o.GetName()) != len("l2-0123456789abcdef") {
			t.Errorf("an object's name is %s", o.GetName())
		}
	}
	db := made[slices.IndexFunc(made, func(o client.Object) bool { return cluster.ServiceOf(o).Name == "db" })].(*v1beta1.ServiceL2Status)

	// What is the same is not written again, whoever asks and how often.
	same := func(what string, s *l2Statuses, times int) {
		t.Helper()
		before := w.writes.Load()
		for range times {
			s.says("db 10.0.0.2@eth0 eth1", "web 10.0.0.1 2001:db8::1")
			time.Sleep(statusPause) // nothing is what is waited for
		}
		if n := w.writes.Load() - before; n != 0 {
			t.Errorf("%s: %d writes, want none", what, n)
		}
	}
	same("the same again", s, 3)
	stop()
	s, stop = w.layer2("u1")
	time.Sleep(statusPause)
	w.awaitL2("started, and not told yet what is announced", "n1 default/db 10.0.0.2@eth0eth1 u1", web)
	same("after a restart", s, 2)

	for what, patch := range map[string]string{
		"addresses":           `{"status":{"addresses":["10.0.0.9"]}}`,
		"order of interfaces": `{"status":{"interfaces":[{"name":"eth1"},{"name":"eth0"}]}}`,
		"no status":           `{"status":null}`,
	} {
		if err := w.Status().Patch(t.Context(), db.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
			t.Fatal(what, err)
		}
		w.awaitL2("after an edit of its "+what, "n1 default/db 10.0.0.2@eth0eth1 u1", web)
	}
	s.says("db 10.0.0.2", "web 2001:db8::1")
	w.awaitL2("all interfaces, and an address less", "n1 default/db 10.0.0.2@ u1", "n1 default/web 2001:db8::1@ u1")
	s.says()
	w.awaitL2("nothing announced")
	stop()
}

// Of other nodes' objects those go that are untrue since the addresses are
// announced here.
func TestServiceL2StatusesOfDeadNodes(t *testing.T) {
	w := newStatusWorld(t)
	w.left("n2", "web", "10.0.0.1")                                                                               // dead
	w.left("n3", "web")                                                                                           // of MetalLB
	w.left("n4", "web", "10.0.0.1", "10.0.0.7")                                                                   // announces another address too
	w.left("n5", "elsewhere", "10.0.0.5")                                                                         // of a Service that is not announced here
	w.left("n1", "gone", "10.0.0.6")                                                                              // of this node, before
	w.left("n2", "dual", "10.0.0.3", "10.0.0.13")                                                                 // the node of both addresses, of which one is here now
	unsaid := &v1beta1.ServiceL2Status{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "l2-unsaid", // being made
		Labels: map[string]string{v1beta1.LabelNode: "n8", v1beta1.LabelServiceName: "web", v1beta1.LabelServiceNamespace: "default"}}}
	w.make(unsaid)
	s, stop := w.layer2("u1")
	s.says("dual 10.0.0.3", "web 10.0.0.1")
	rest := []string{"n8 default/web @ status not whole", "n1 default/dual 10.0.0.3@ u1", "n2 default/dual 10.0.0.3,10.0.0.13@ old", "n4 default/web 10.0.0.1,10.0.0.7@ old", "n5 default/elsewhere 10.0.0.5@ old"}
	w.awaitL2("announced here", append(slices.Clone(rest), "n1 default/web 10.0.0.1@ u1")...)

	// Once nothing is announced, others' objects are not ours to judge.
	s.says("dual 10.0.0.3")
	w.awaitL2("no longer announced", rest...)
	w.left("n3", "web")
	time.Sleep(2 * statusPause)
	w.awaitL2("announced by another", append(slices.Clone(rest), "n3 default/web @ old")...)

	// Where two do not hear one another, neither undoes the other's work as fast
	// as it may.
	s.says("dual 10.0.0.3", "web 10.0.0.1")
	w.awaitL2("announced here again", append(slices.Clone(rest), "n1 default/web 10.0.0.1@ u1")...)
	again := w.left("n6", "web", "10.0.0.1")
	w.awaitL2("a rival", append(slices.Clone(rest), "n1 default/web 10.0.0.1@ u1")...)
	again.ResourceVersion, again.UID = "", ""
	w.make(again)
	time.Sleep(3 * statusPause)
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(again), again); err != nil {
		t.Errorf("the rival's object is removed again at once: %v", err)
	}
	stop()
}

// A node of both addresses of Services died, and they are not all announced here.
func TestServiceL2StatusOfADeadNodeWhoseAddressesWentApart(t *testing.T) {
	w := newStatusWorld(t)
	w.left("n2", "apart", "10.0.0.1", "2001:db8::1") // dead
	w.left("n3", "apart", "2001:db8::1")
	w.left("n2", "elsewhere", "10.0.0.2", "2001:db8::2") // dead, and nothing of it is announced here
	w.left("n3", "elsewhere", "2001:db8::2")
	w.left("n4", "elsewhere", "10.0.0.2")
	w.left("n2", "twice", "10.0.0.3", "2001:db8::3") // the same node says it once more
	w.left("n2", "twice", "2001:db8::3")
	first := w.left("n2", "nobody", "10.0.0.4", "2001:db8::4") // two dead nodes, and nobody has the other address
	second := w.left("n3", "nobody", "10.0.0.4", "2001:db8::4")
	s, stop := w.layer2("u1")
	s.says("apart 10.0.0.1", "elsewhere 10.0.0.12", "nobody 10.0.0.4", "twice 10.0.0.3")
	want := []string{
		"n1 default/apart 10.0.0.1@ u1", "n3 default/apart 2001:db8::1@ old",
		"n1 default/elsewhere 10.0.0.12@ u1", "n2 default/elsewhere 10.0.0.2,2001:db8::2@ old", "n3 default/elsewhere 2001:db8::2@ old", "n4 default/elsewhere 10.0.0.2@ old",
		"n1 default/twice 10.0.0.3@ u1", "n2 default/twice 10.0.0.3,2001:db8::3@ old", "n2 default/twice 2001:db8::3@ old",
		"n1 default/nobody 10.0.0.4@ u1", "n2 default/nobody 10.0.0.4,2001:db8::4@ old",
	}
	if first.Name < second.Name { // one of them stays, so that it is known that somebody had it
		want[len(want)-1] = "n3 default/nobody 10.0.0.4,2001:db8::4@ old"
	}
	w.awaitL2("each announces one of two", want...)
	time.Sleep(2 * statusPause)
	w.awaitL2("some time later", want...)
	stop()
}

// Another node's object stays until one of our own says who announces.
func TestServiceL2StatusIsWrittenBeforeOthersAreRemoved(t *testing.T) {
	w := newStatusWorld(t)
	var paths []string
	w.seen = func(path string) { paths = append(paths, path[strings.LastIndex(path, "/servicel2statuses/")+1:]) }
	theirs := w.left("n2", "web", "10.0.0.1")
	s, stop := w.layer2("u1")
	s.says("web 10.0.0.1")
	made := w.awaitL2("moved", "n1 default/web 10.0.0.1@ u1")
	stop()
	own := "servicel2statuses/" + made[0].GetName()
	if want := []string{own, own + "/status", "servicel2statuses/" + theirs.Name}; !slices.Equal(paths, want) {
		t.Errorf("written %q, want %q", paths, want)
	}
}

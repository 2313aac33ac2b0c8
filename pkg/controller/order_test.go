// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/status"
)

// writes is a writer whose writes the test makes.
type writes struct {
	t *testing.T
	*writer
	now      time.Time
	services map[string]*corev1.Service
}

func newWriting(t *testing.T) *writes {
	return &writes{t, newWriter(nil, Options{}), time.Now(), map[string]*corev1.Service{}}
}

// shows makes a Service, or a new version of it, whose status has addresses.
func (w *writes) shows(name, addrs string) {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	for _, a := range strings.Fields(addrs) {
		s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: a})
	}
	w.services[name] = s
}

// decides makes a pass that wants "name=addresses" and returns what is written then,
// in the same form.
func (w *writes) decides(wants ...string) (written string) {
	w.t.Helper()
	w.forget()
	w.has()
	w.begin(w.now)
	for _, want := range wants {
		name, text, _ := strings.Cut(want, "=")
		var addrs []netip.Addr
		for _, a := range strings.Fields(text) {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		key := intent.Key{Namespace: "default", Name: name}
		w.offer(job{key: key, svc: w.services[name], want: status.Service{Addresses: addrs}, outcome: ipam.Outcome{Service: key, Addresses: addrs}, urgent: true})
	}
	w.end(w.now)
	var all []string
	for w.queued() {
		j := w.take(true)
		all = append(all, fmt.Sprintf("%s=%s", j.key.Name, strings.Trim(fmt.Sprint(j.want.Addresses), "[]")))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// queued reports whether take would not wait.
func (w *writes) queued() bool {
	return slices.ContainsFunc(w.queues[true], func(k intent.Key) bool { j := w.jobs[k]; return j != nil && j.state == queued })
}

// has returns what Services are assumed to have.
func (w *writes) has() string {
	var all []string
	seen := slices.Collect(maps.Values(w.services))
	slices.SortFunc(seen, func(a, b *corev1.Service) int { return strings.Compare(a.Name, b.Name) })
	for key, addrs := range w.assumed(seen, w.now) {
		all = append(all, fmt.Sprintf("%s=%s", key.Name, strings.Trim(fmt.Sprint(addrs), "[]")))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (w *writes) ends(name string, err error) {
	w.done(intent.Key{Namespace: "default", Name: name}, err == nil, err)
	w.now = w.now.Add(lastRetry)
}

func (w *writes) want(got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("got %q, want %q", got, want)
	}
}

const addrA, addrB = "192.0.2.1", "192.0.2.2"

// An address goes to the next Service once the one before has left it, however often
// that write fails.
func TestAddressIsGivenOnOnceItIsLeft(t *testing.T) {
	w := newWriting(t)
	w.shows("old", addrA)
	w.shows("new", "")
	w.want(w.decides("old="+addrB, "new="+addrA), "old="+addrB)
	w.want(w.decides("old="+addrB, "new="+addrA), "")
	w.ends("old", errors.New("no answer"))
	w.want(w.decides("old="+addrB, "new="+addrA), "old="+addrB)
	w.ends("old", nil)
	w.shows("old", addrB)
	w.want(w.decides("new="+addrA), "new="+addrA)
}

// The same where it is not to have one any more, and where the next one is not the
// only one that waits.
func TestAddressIsGivenOnInTurn(t *testing.T) {
	w := newWriting(t)
	w.shows("first", addrA)
	w.shows("second", addrB)
	w.shows("third", "")
	w.want(w.decides("first=", "second="+addrA, "third="+addrB), "first=")
	w.ends("first", nil)
	w.shows("first", "")
	w.want(w.decides("second="+addrA, "third="+addrB), "second="+addrA)
	w.ends("second", nil)
	w.shows("second", addrA)
	w.want(w.decides("third="+addrB), "third="+addrB)
}

// Of two Services that change places one leaves first.
func TestServicesChangePlaces(t *testing.T) {
	w := newWriting(t)
	w.shows("one", addrA)
	w.shows("two", addrB)
	w.want(w.decides("one="+addrB, "two="+addrA), "two=")
	w.want(w.decides("one="+addrB, "two="+addrA), "") // it is being written
	w.ends("two", nil)
	w.shows("two", "")
	w.want(w.decides("one="+addrB, "two="+addrA), "one="+addrB)
	w.ends("one", nil)
	w.shows("one", addrB)
	w.want(w.decides("two="+addrA), "two="+addrA)
}

// Who waits for one that waits itself, for somebody else, does without nothing.
func TestServicesInARowKeepWhatTheyHave(t *testing.T) {
	w := newWriting(t)
	const addrC, addrD = "192.0.2.3", "192.0.2.4"
	w.shows("a", addrA)
	w.shows("b", addrB)
	w.shows("c", addrC)
	w.shows("d", addrD)
	row := []string{"a=" + addrB, "b=" + addrC, "c=" + addrD, "d="}
	w.want(w.decides(row...), "d=")
	w.ends("d", nil)
	w.shows("d", "")
	w.want(w.decides(row[:3]...), "c="+addrD)

	// Two rings of which one hangs on the other.
	w = newWriting(t)
	w.shows("a", addrA)
	w.shows("b", addrB)
	w.shows("c", addrC)
	w.want(w.decides("a="+addrB+" "+addrC, "b="+addrA, "c="+addrA), "b=, c=")
}

// What a write without an answer may have given counts until the Service is seen to
// have changed: also where the next attempt is refused, since that is what comes of
// one that was made.
func TestWriteWithoutAnswer(t *testing.T) {
	conflict := fmt.Errorf("%w: %w", cluster.ErrOutdated, apierrors.NewConflict(schema.GroupResource{Resource: "services"}, "one", nil))
	w := newWriting(t)
	w.shows("one", "")
	w.shows("two", "")
	w.want(w.decides("one="+addrA), "one="+addrA)
	w.want(w.has(), "one="+addrA)
	w.ends("one", errors.New("connection reset"))
	w.want(w.has(), "one="+addrA)
	w.want(w.decides("one="+addrA), "one="+addrA)
	w.ends("one", conflict)
	w.want(w.has(), "one="+addrA)
	w.want(w.decides("two="+addrA), "") // a pass that does not want it any more
	w.want(w.has(), "one="+addrA)
	w.shows("one", "") // another version, so the write was not made
	w.want(w.has(), "")
	w.want(w.decides("two="+addrA), "two="+addrA)
}

// What was decided before a Service was seen to have got an address, as by the write of a
// controller that was killed, which lands late, takes nothing from it.
func TestWhatIsShownOutweighsWhatIsDecided(t *testing.T) {
	w := newWriting(t)
	w.shows("late", "")
	w.shows("writing", "")
	w.want(w.decides("writing="+addrB), "writing="+addrB)
	w.begin(w.now)
	for name, a := range map[string]string{"late": "192.0.2.3", "writing": addrB} {
		key := intent.Key{Namespace: "default", Name: name}
		w.offer(job{key: key, svc: w.services[name], want: status.Service{Addresses: []netip.Addr{netip.MustParseAddr(a)}}, urgent: true})
	}
	w.end(w.now)
	w.want(w.has(), "late=192.0.2.3, writing="+addrB)
	w.shows("late", "192.0.2.5")
	w.shows("writing", "192.0.2.6")
	w.want(w.has(), "")

	// It is to leave what it shows: until then nobody else gets that.
	w.shows("new", "")
	w.want(w.decides("writing="+addrB, "new=192.0.2.6"), "")
}

// What is never heard of again does not keep its address for ever.
func TestWriteWithoutAnswerIsForgotten(t *testing.T) {
	w := newWriting(t)
	w.shows("one", "")
	w.shows("two", "")
	w.decides("one=" + addrA)
	w.ends("one", errors.New("connection reset"))
	w.want(w.decides("two="+addrA), "")
	w.now = time.Now().Add(requestLimit + time.Minute)
	w.want(w.decides("two="+addrA), "two="+addrA)
}

// An API server that says that it failed may have written.
func TestRefused(t *testing.T) {
	gr := schema.GroupResource{Resource: "services"}
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"conflict":       {apierrors.NewConflict(gr, "a", nil), true},
		"forbidden":      {apierrors.NewForbidden(gr, "a", nil), true},
		"too many":       {apierrors.NewTooManyRequests("later", 1), true},
		"decided anew":   {cluster.ErrOutdated, true},
		"not the leader": {&url.Error{Op: "Patch", URL: "https://192.0.2.1", Err: cluster.ErrNotLeader}, true},
		"timeout":        {apierrors.NewTimeoutError("request did not complete within the allotted timeout", 0), false},
		"server timeout": {apierrors.NewServerTimeout(gr, "patch", 0), false},
		"internal error": {apierrors.NewInternalError(errors.New("etcdserver: request timed out")), false},
		"no connection":  {errors.New("connection reset"), false},
	} {
		if got := refused(fmt.Errorf("write status of Service default/a: %w", test.err)); got != test.want {
			t.Errorf("%s: refused is %t, want %t", name, got, test.want)
		}
	}
}

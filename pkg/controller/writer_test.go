// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"net/netip"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/status"
)

// pends makes a pass that gives the Service no address and wants it to say so; where
// says reports whether it does already.
func (w *writes) pends(name string, says bool) {
	key := intent.Key{Namespace: "default", Name: name}
	c := &metav1.Condition{Type: v1beta1.ConditionAddressAssigned, Status: metav1.ConditionFalse, Reason: "NoPool"}
	if says {
		w.services[name].Status.Conditions = []metav1.Condition{*c}
	}
	w.forget()
	w.begin(w.now)
	w.offer(job{key: key, svc: w.services[name], want: status.Service{Condition: c}, outcome: ipam.Outcome{Service: key, Reason: "NoPool"}})
	w.end(w.now)
}

// conditions returns how many writes of conditions are in line.
func (w *writes) conditions() int { return len(w.queues[false]) }

// A write that ends during a pass is in no Snapshot of that pass, and what the pass
// decided knows of it all the same.
func TestWriteThatEndsDuringAPassCounts(t *testing.T) {
	w := newWriting(t)
	w.shows("old", "")
	w.shows("new", "")
	w.want(w.decides("old="+addrA), "old="+addrA)

	w.forget() // then the pass reads what there is
	w.done(intent.Key{Namespace: "default", Name: "old"}, true, nil)
	w.want(w.has(), "old="+addrA)

	// The next one takes the address from it; its status has it by now.
	w.begin(w.now)
	for name, addrs := range map[string][]netip.Addr{"old": nil, "new": {netip.MustParseAddr(addrA)}} {
		key := intent.Key{Namespace: "default", Name: name}
		w.offer(job{key: key, svc: w.services[name], want: status.Service{Addresses: addrs, Condition: &metav1.Condition{Type: v1beta1.ConditionAddressAssigned}}, outcome: ipam.Outcome{Service: key, Addresses: addrs}, urgent: true})
	}
	w.end(w.now)
	if w.queued() {
		t.Error("an address is given on while the status of another Service shows it")
	}
	w.shows("old", addrA)
	w.want(w.decides("old=", "new="+addrA), "old=")
}

// What was to get an address and is not any more says why.
func TestWriteThatIsNotUrgentAnyMore(t *testing.T) {
	w := newWriting(t)
	w.shows("one", "")
	w.begin(w.now)
	key := intent.Key{Namespace: "default", Name: "one"}
	w.offer(job{key: key, svc: w.services["one"], want: status.Service{Addresses: []netip.Addr{netip.MustParseAddr(addrA)}}, urgent: true})
	w.end(w.now)
	w.pends("one", false)
	if w.conditions() == 0 {
		t.Error("it waits in no line")
	}
	if j := w.take(false); j.want.Condition.Reason != "NoPool" {
		t.Errorf("it writes %+v", j.want)
	}
}

// What is as it is to be is not written, and who was offered while another write
// turned out to change nothing is decided anew.
func TestWriteThatChangesNothing(t *testing.T) {
	w := newWriting(t)
	w.shows("one", "")
	w.pends("one", true)
	if n := len(w.jobs); n > 0 {
		t.Errorf("%d writes of what is there", n)
	}

	w.shows("one", "")
	w.pends("one", false)
	j := w.take(false)
	w.want(w.decides("one="+addrA), "")
	if !w.done(j.key, false, nil) {
		t.Error("the end of the write makes no pass")
	}
	w.want(w.decides("one="+addrA), "one="+addrA)
}

// A write that turns out to change nothing says nothing of one before whose answer
// never came.
func TestUnknownWriteOutlivesOneThatChangesNothing(t *testing.T) {
	w := newWriting(t)
	w.shows("one", "")
	w.shows("two", "")
	w.decides("one=" + addrA)
	w.ends("one", errors.New("connection reset"))
	w.pends("one", true)
	if w.conditions() > 0 {
		w.done(w.take(false).key, false, nil)
	}
	w.want(w.has(), "")
	w.want(w.decides("two="+addrA), "")
}

// A Service that leaves one of its addresses for another keeps the age of its claim to
// the one that it keeps.
func TestLeavingKeepsTheConditions(t *testing.T) {
	w := newWriting(t)
	w.shows("one", addrA+" 2001:db8::1")
	claim := metav1.Condition{Type: v1beta1.ConditionAddressAssigned, Status: metav1.ConditionTrue, LastTransitionTime: metav1.Now()}
	w.services["one"].Status.Conditions = []metav1.Condition{claim}
	j := job{svc: w.services["one"], want: status.Service{Addresses: []netip.Addr{netip.MustParseAddr(addrB), netip.MustParseAddr("2001:db8::1")}}}
	if !j.leave() || len(j.want.Addresses) != 1 || !status.SameCondition(j.want.Condition, &claim) {
		t.Errorf("it writes %+v", j.want)
	}
}

// Who waits for an address hears of the write that leaves it, however many conditions
// are in line.
func TestFoldHearsOfWhatOthersWaitFor(t *testing.T) {
	w := newWriting(t)
	w.shows("old", addrA)
	w.shows("new", "")
	w.want(w.decides("old="+addrB, "new="+addrA), "old="+addrB)
	w.queues[false] = make([]intent.Key, 2*otherWrites)
	if _, written := w.fold().let(nil, w.wake); written == nil {
		t.Error("the ends of writes are held back")
	}
	w.blocked = false
	if _, written := w.fold().let(nil, w.wake); written != nil {
		t.Error("they are not held back where nobody waits for them")
	}
}

// Two that wait for each other, for what writes without an answer may have given, are
// tried again once no request can be under way any more.
func TestTwoThatMayHaveWhatTheOtherIsToHave(t *testing.T) {
	w := newWriting(t)
	w.shows("one", "")
	w.shows("two", "")
	w.want(w.decides("one="+addrA, "two="+addrB), "one="+addrA+", two="+addrB)
	w.ends("one", errors.New("no answer"))
	w.ends("two", errors.New("no answer"))
	w.want(w.decides("one="+addrB, "two="+addrA), "")
	w.begin(w.now)
	for name, a := range map[string]string{"one": addrB, "two": addrA} {
		key := intent.Key{Namespace: "default", Name: name}
		w.offer(job{key: key, svc: w.services[name], want: status.Service{Addresses: []netip.Addr{netip.MustParseAddr(a)}}, urgent: true})
	}
	if next := w.end(w.now); next.IsZero() {
		t.Error("no pass is due, and nothing is being written: they wait for ever")
	}
}

// That a write failed twice makes no second address of the one it gives.
func TestTwoWritesWithoutAnswerGiveOneAddress(t *testing.T) {
	w := newWriting(t)
	w.shows("one", "")
	for range 3 {
		w.want(w.decides("one="+addrA), "one="+addrA)
		w.ends("one", errors.New("connection refused"))
	}
	w.want(w.has(), "one="+addrA)
}

// A write that fails between the beginning of a pass and its offer, of a Service that
// the pass sees changed, gives nothing.
func TestAFailureDuringAPassThatSeesAChange(t *testing.T) {
	w := newWriting(t)
	w.shows("one", "")
	w.want(w.decides("one="+addrA), "one="+addrA)
	w.shows("one", "192.0.2.9") // of another controller: the write will be refused
	w.forget()
	w.want(w.has(), "")
	w.begin(w.now)
	w.ends("one", errors.New("connection reset"))
	key := intent.Key{Namespace: "default", Name: "one"}
	w.offer(job{key: key, svc: w.services["one"], want: status.Service{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.9")}, SharedAs: "k"}, urgent: true})
	w.end(w.now)
	w.take(true)
	w.ends("one", errors.New("connection reset"))
	w.want(w.has(), "one=192.0.2.9")
}

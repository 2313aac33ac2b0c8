// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/status"
)

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

// A decision in line of which nothing was sent yet counts for nothing beside what the
// Service shows: the edit that it came of may be undone.
func TestADecisionInLineIsUndone(t *testing.T) {
	w := newWriting(t)
	w.shows("one", addrA)
	key := intent.Key{Namespace: "default", Name: "one"}
	w.begin(time.Now())
	w.offer(job{key: key, svc: w.services["one"], want: status.Service{Addresses: []netip.Addr{netip.MustParseAddr(addrB)}}, urgent: true})
	w.end(time.Now())
	w.want(w.has(), "")
}

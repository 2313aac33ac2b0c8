// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
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

// An address that was decided on for a Service, and never written, is none that it had.
func TestWhatWasInLineIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{r: rand.New(rand.NewPCG(1, 1)), api: map[string]*corev1.Service{}, had: map[string]*history{}}
		pool := func(addrs string) {
			m.version++
			m.pools = []*v1beta1.IPAddressPool{{ObjectMeta: metav1.ObjectMeta{Name: "p", Generation: int64(m.version)}, Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{addrs}}}}
			m.log = append(m.log, news{pools: m.pools})
		}
		pool("192.0.2.0/30")
		m.start()
		for len(m.api) == 0 {
			m.user()
		}
		m.deliver(9)
		m.pass() // decides, and nothing is sent
		pool("192.0.2.4/30")
		m.deliver(9)
		m.pass()
		for _, j := range m.ctl.writer.jobs {
			if len(j.want.Remember) > 0 {
				t.Errorf("%s, which shows %v, is to remember %v", j.key.Name, shown(j.svc), j.want.Remember)
			}
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/status"
)

// TestRandomHistories runs passes and writes against a model of an API server: with
// watches that are late, answers that are lost, requests that land late, controllers
// that are killed, and users who edit all the while.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(2000) {
		synctest.Test(t, func(t *testing.T) {
			m := &model{r: rand.New(rand.NewPCG(seed, 0)), api: map[string]*corev1.Service{}, had: map[string]*history{}}
			m.editPool()
			m.start()
			for range 30 + m.r.IntN(150) {
				m.step()
			}
			m.settle()
			if len(m.wrong) > 0 {
				t.Fatalf("seed %d: %s\n%s", seed, strings.Join(m.wrong, "\n"), strings.Join(m.trace, "\n"))
			}
		})
		if t.Failed() {
			return
		}
	}
}

// model is the API server, its users and the controller that runs.
type model struct {
	r        *rand.Rand
	version  int
	api      map[string]*corev1.Service
	pools    []*v1beta1.IPAddressPool
	log      []news
	requests []*sent // that may still land, or whose answer is to come
	ctl      *replica
	had      map[string]*history
	trace    []string
	wrong    []string
}

// news is a change; svc is nil for a deletion, and of pools.
type news struct {
	name  string
	svc   *corev1.Service
	pools []*v1beta1.IPAddressPool
}

// replica is a controller and what its watches have told it.
type replica struct {
	*Controller
	seen  map[string]known
	pools []*v1beta1.IPAddressPool
	at    int // in the log
	saw   int // at, of the last pass
	due   bool
	timer time.Time
}

type known struct{ shown, latest *corev1.Service }

type sent struct {
	by              *replica
	j               job
	version         string
	at              int // in the log, where it was decided
	landed, replied bool
	answer          *corev1.Service // nil: refused
}

func (m *model) tell(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf(format, args...))
}
func (m *model) blame(format string, args ...any) {
	m.wrong = append(m.wrong, fmt.Sprintf(format, args...))
	m.tell("WRONG: "+format, args...)
}

// change makes a new version of a Service.
func (m *model) change(name string, edit func(*corev1.Service)) *corev1.Service {
	s := m.api[name].DeepCopy()
	edit(s)
	m.version++
	s.ResourceVersion = strconv.Itoa(m.version)
	m.api[name] = s
	m.log = append(m.log, news{name: name, svc: s})
	return s
}

func (m *model) step() {
	switch n := m.r.IntN(100); {
	case n < 14:
		m.user()
	case n < 17:
		m.editPool()
	case n < 35:
		m.deliver(1 + m.r.IntN(4))
	case n < 52:
		m.pass()
	case n < 70:
		m.send()
	case n < 92:
		if len(m.requests) > 0 {
			m.move(m.requests[m.r.IntN(len(m.requests))])
		}
	case n < 97:
		time.Sleep(time.Duration(m.r.IntN(1500)) * time.Millisecond)
	case n < 98:
		m.expire()
	default:
		m.start()
	}
}

// user creates, edits or deletes a Service.
func (m *model) user() {
	name := string(rune('a' + m.r.IntN(7)))
	s := m.api[name]
	if s == nil {
		m.version++
		s = &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(strconv.Itoa(m.version)), CreationTimestamp: metav1.Now().Rfc3339Copy(), Annotations: map[string]string{}}}
		s.Spec.Type, s.Spec.ClusterIPs = corev1.ServiceTypeLoadBalancer, []string{"10.96.0." + strconv.Itoa(1+m.version%250)}
		s.Spec.Ports = []corev1.ServicePort{{Protocol: "TCP", Port: int32(80 + m.r.IntN(3))}}
		if m.r.IntN(3) == 0 {
			policy := []corev1.IPFamilyPolicy{corev1.IPFamilyPolicyPreferDualStack, corev1.IPFamilyPolicyRequireDualStack}[m.r.IntN(2)]
			s.Spec.ClusterIPs, s.Spec.IPFamilyPolicy = append(s.Spec.ClusterIPs, "fd00::"+strconv.Itoa(1+m.version%250)), &policy
		}
		if m.r.IntN(2) == 0 {
			s.Annotations[v1beta1.AnnotationAllowSharedIP] = "k"
		}
		m.api[name], m.had[name] = s, &history{}
		m.change(name, func(*corev1.Service) {})
		m.tell("user creates %s %v %v", name, s.Spec.ClusterIPs, s.Annotations)
		return
	}
	n := m.r.IntN(7)
	m.tell("user edits %s: %d", name, n)
	switch n {
	case 0:
		delete(m.api, name)
		m.version++
		m.log = append(m.log, news{name: name})
		return
	case 1:
		m.change(name, func(s *corev1.Service) { s.Finalizers = append(s.Finalizers, "x") }) // nothing that counts
		return
	case 2:
		m.change(name, func(s *corev1.Service) { s.Labels = map[string]string{"v": s.ResourceVersion} })
		return
	}
	for other, h := range m.had { // those with whom it shares, if it is not to any more
		h.excused = h.excused || other == name || n == 5 && m.api[other] != nil && slices.ContainsFunc(shown(m.api[other]), func(a netip.Addr) bool { return slices.Contains(shown(s), a) })
	}
	m.had[name].rekeyed = m.had[name].rekeyed || n == 5
	m.change(name, func(s *corev1.Service) {
		switch n {
		case 3:
			s.Annotations[v1beta1.AnnotationLoadBalancerIPs] = "192.0.2." + strconv.Itoa(m.r.IntN(8))
		case 4:
			delete(s.Annotations, v1beta1.AnnotationLoadBalancerIPs)
		case 5:
			s.Annotations[v1beta1.AnnotationAllowSharedIP] = []string{"", "k", "l"}[m.r.IntN(3)]
		case 6:
			s.Status.LoadBalancer.Ingress = nil
			s.Spec.Type = map[corev1.ServiceType]corev1.ServiceType{"LoadBalancer": "ClusterIP", "ClusterIP": "LoadBalancer"}[s.Spec.Type]
		}
	})
}

func (m *model) editPool() {
	m.version++
	addrs := [][]string{{"192.0.2.0/30", "2001:db8::/127"}, {"192.0.2.4/30", "2001:db8::2/127"}, {"192.0.2.0/29", "2001:db8::/126"}}[m.r.IntN(3)]
	m.pools = []*v1beta1.IPAddressPool{{ObjectMeta: metav1.ObjectMeta{Name: "p", Generation: int64(m.version)}, Spec: v1beta1.IPAddressPoolSpec{Addresses: addrs}}}
	m.log = append(m.log, news{pools: m.pools})
	m.tell("pool %v", addrs)
	for name, s := range m.api {
		m.had[name].excused = m.had[name].excused || !m.allowed(s)
	}
}

// start kills the controller, if any, and starts another one, which lists.
func (m *model) start() {
	m.tell("start")
	m.requests = slices.DeleteFunc(m.requests, func(q *sent) bool { return q.landed })
	c := &Controller{log: logr.Discard(), writer: newWriter(nil, Options{}), announced: &announced{gate: newGate()}}
	m.ctl = &replica{Controller: c, seen: map[string]known{}, pools: m.pools, at: len(m.log), due: true}
	for name, s := range m.api {
		m.ctl.seen[name] = known{s, s}
	}
}

// put is collection.put.
func (c *replica) put(s *corev1.Service) {
	old, ok := c.seen[s.Name]
	number := func(s *corev1.Service) int { n, _ := strconv.Atoi(s.ResourceVersion); return n }
	if ok && old.latest.UID == s.UID && number(s) <= number(old.latest) {
		return
	}
	bare := func(s *corev1.Service) *corev1.Service {
		s = s.DeepCopy()
		s.ResourceVersion, s.Finalizers = "", nil
		return s
	}
	if ok && reflect.DeepEqual(bare(old.shown), bare(s)) {
		c.seen[s.Name] = known{old.shown, s}
		return
	}
	c.seen[s.Name] = known{s, s}
}

func (m *model) deliver(n int) {
	c := m.ctl
	for ; n > 0 && c.at < len(m.log); n-- {
		e := m.log[c.at]
		c.at++
		c.due = true
		switch {
		case e.pools != nil:
			c.pools = e.pools
		case e.svc == nil:
			delete(c.seen, e.name)
		default:
			c.put(e.svc)
		}
	}
}

// pass is Controller.pass, where one is due.
func (m *model) pass() {
	c, now := m.ctl, time.Now()
	if !c.due && (c.timer.IsZero() || now.Before(c.timer)) {
		return
	}
	c.due, c.saw = false, c.at
	c.writer.forget()
	s := &intent.Snapshot{Pools: c.pools}
	for _, name := range slices.Sorted(maps.Keys(c.seen)) {
		s.Services = append(s.Services, c.seen[name].shown)
	}
	c.snapshot = s
	if m.r.IntN(4) == 0 && len(m.requests) > 0 { // meanwhile
		m.move(m.requests[m.r.IntN(len(m.requests))])
	}
	c.intent = intent.Resolve(c.intent, s)
	assumed := c.writer.assumed(s.Services, now)
	outcomes, _ := ipam.Assign(c.intent, assumed, now)
	switch m.r.IntN(8) { // meanwhile
	case 0:
		m.send()
	case 1:
		if len(m.requests) > 0 {
			m.move(m.requests[m.r.IntN(len(m.requests))])
		}
	}
	c.writer.begin(now)
	c.offer(outcomes, now)
	c.timer = c.writer.end(now)
	m.tell("pass at %d of %d, assumed %v", c.at, len(m.log), assumed)
}

// hasWork reports whether take would not wait.
func (c *replica) hasWork(urgent bool) bool {
	return slices.ContainsFunc(c.writer.queues[urgent], func(k intent.Key) bool {
		j := c.writer.jobs[k]
		return j != nil && j.state == queued && j.urgent == urgent
	})
}

// send lets a writer take a job, and ask the API server, or not.
func (m *model) send() {
	c := m.ctl
	for _, urgent := range []bool{true, false} {
		if !c.hasWork(urgent) {
			continue
		}
		j := c.writer.take(urgent)
		switch now, ok := c.seen[j.key.Name]; {
		case !ok || now.shown != j.svc:
			m.done(c, j.key, false, cluster.ErrOutdated)
		case j.want.Same(now.latest):
			m.done(c, j.key, false, nil)
		default:
			m.tell("send %s %v on %s", j.key.Name, j.want.Addresses, now.latest.ResourceVersion)
			m.requests = append(m.requests, &sent{by: c, j: *j, version: now.latest.ResourceVersion, at: c.saw})
		}
		return
	}
}

func (m *model) done(c *replica, key intent.Key, wrote bool, err error) {
	c.due = c.writer.done(key, wrote, err) || c.due
}

// move lets a request land, its answer arrive, or either be lost.
func (m *model) move(q *sent) {
	n, alive := m.r.IntN(10), q.by == m.ctl
	switch {
	case !q.landed && n < 7:
		m.land(q)
	case alive && !q.replied && (n == 9 || !q.landed): // no answer, and it may land yet
		q.replied = true
		m.tell("no answer for %s %v", q.j.key.Name, q.j.want.Addresses)
		m.done(q.by, q.j.key, false, errors.New("no answer"))
	case alive && !q.replied:
		q.replied = true
		if q.answer == nil {
			m.done(q.by, q.j.key, false, fmt.Errorf("conflict: %w", cluster.ErrOutdated))
			break
		}
		if old, ok := q.by.seen[q.answer.Name]; ok && old.latest.UID == q.answer.UID {
			q.by.put(q.answer)
		}
		m.done(q.by, q.j.key, true, nil)
	}
	m.requests = slices.DeleteFunc(m.requests, func(q *sent) bool { return q.landed && (q.replied || q.by != m.ctl) })
}

func apply(s *corev1.Service, want status.Service) {
	s.Status.LoadBalancer.Ingress, s.Status.Conditions = nil, nil
	for _, a := range want.Addresses {
		s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: a.String()})
	}
	for key, value := range want.Annotations() {
		if s.Annotations[key] = value; value == "" {
			delete(s.Annotations, key)
		}
	}
	for _, c := range []*metav1.Condition{want.Condition, want.Conflict, want.Announced} {
		if c != nil {
			s.Status.Conditions = append(s.Status.Conditions, *c)
		}
	}
}

// expire lets so much time go by that no request is under way any more.
func (m *model) expire() {
	m.requests = slices.DeleteFunc(m.requests, func(q *sent) bool { return q.replied || q.by != m.ctl })
	m.deliver(len(m.log)) // no watch is that late
	time.Sleep(requestLimit + time.Second)
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

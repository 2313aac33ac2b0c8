// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// load is what users do: they make many Services of all kinds, change and delete
// some, and edit pools meanwhile. Nobody changes with whom a Service shares, so a
// double is never a user's doing.
type load struct {
	w      *world
	random *rand.Rand
	made   int
	alive  []*corev1.Service
	shrunk bool
}

const (
	sharers = 8   // sharing keys
	asked   = 250 // addresses that Services ask for
	tiny    = 8   // addresses of pool tiny
)

func newLoad(w *world, random *rand.Rand) *load {
	w.create(
		pool("web", false, "10.1.0.0/20"),
		pool("dual", true, "10.2.0.0/21", "fd00:2::/64"),
		pool("shared", true, "10.3.0.0/26"),
		pool("asked", true, "10.4.0.0/24"),
		pool("edited", true, "10.5.0.0/22", "10.5.4.0/22"),
		pool("tiny", true, fmt.Sprintf("10.6.0.0-10.6.0.%d", tiny-1)),
	)
	return &load{w: w, random: random}
}

// next returns a Service of one of all kinds.
func (l *load) next() *corev1.Service {
	i := l.made
	l.made++
	s := service(fmt.Sprintf("s%05d", i))
	in := func(pool string) { s.Annotations[v1beta1.AnnotationAddressPool] = pool }
	switch i % 20 {
	case 0, 1, 2:
		in("dual")
		s.Spec.IPFamilyPolicy = new([]corev1.IPFamilyPolicy{corev1.IPFamilyPolicyRequireDualStack, corev1.IPFamilyPolicyPreferDualStack}[l.random.IntN(2)])
	case 3, 4:
		in("shared")
		s.Annotations[v1beta1.AnnotationAllowSharedIP] = fmt.Sprint("key", l.random.IntN(sharers))
		s.Spec.Ports[0].Port = int32(1000 + i)
	case 5, 6:
		l.ask(s)
	case 7, 8, 9, 10, 11:
		in("edited")
	case 12:
		if i < 20*20 {
			in("tiny")
		}
	}
	return s
}

func (l *load) ask(s *corev1.Service) {
	s.Annotations[v1beta1.AnnotationLoadBalancerIPs] = fmt.Sprintf("10.4.0.%d", l.random.IntN(asked))
}

// round makes n Services and some other changes, in random order, several at a time.
func (l *load) round(n int) {
	var todo []func() error
	for range n {
		s := l.next()
		todo = append(todo, func() error { return l.w.add(s) })
		l.alive = append(l.alive, s)
	}
	changes := 5 + n/8
	for range changes {
		i := l.random.IntN(len(l.alive))
		s := l.alive[i]
		if _, asks := s.Annotations[v1beta1.AnnotationLoadBalancerIPs]; asks {
			l.ask(s)
			want := s.Annotations[v1beta1.AnnotationLoadBalancerIPs]
			todo = append(todo, func() error { return l.reask(s.Name, want) })
			continue
		}
		l.alive[i] = l.alive[len(l.alive)-1]
		l.alive = l.alive[:len(l.alive)-1]
		fresh := l.next()
		l.alive = append(l.alive, fresh)
		todo = append(todo, func() error { return errors.Join(l.remove(s.Name), l.w.add(fresh)) })
	}
	l.shrunk = !l.shrunk
	shrunk := l.shrunk
	l.do(slices.Insert(todo, l.random.IntN(len(todo)), func() error { return l.editPool(shrunk) }))
}

// do performs what is to be done, several things at a time.
func (l *load) do(todo []func() error) {
	work := make(chan func() error)
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			for f := range work {
				if err := f(); err != nil {
					l.w.t.Error(err)
				}
			}
		})
	}
	for _, f := range todo {
		work <- f
	}
	close(work)
	g.Wait()
}

// A change may come before the creation: then there is nothing to change.
func (l *load) reask(name, want string) error {
	return client.IgnoreNotFound(edit(l.w, service(name), func(s *corev1.Service) { s.Annotations[v1beta1.AnnotationLoadBalancerIPs] = want }))
}

func (l *load) remove(name string) error {
	return client.IgnoreNotFound(l.w.Delete(l.w.t.Context(), service(name)))
}

func (l *load) edit(shrunk bool) {
	l.w.t.Helper()
	if err := l.editPool(shrunk); err != nil {
		l.w.t.Fatal(err)
	}
	l.shrunk = shrunk
}

// editPool takes half of pool edited away, or gives it back.
func (l *load) editPool(shrunk bool) error {
	return edit(l.w, pool("edited", true), func(p *v1beta1.IPAddressPool) {
		p.Spec.Addresses = []string{"10.5.4.0/22"}
		if !shrunk {
			p.Spec.Addresses = []string{"10.5.0.0/22", "10.5.4.0/22"}
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"math/rand"
	"slices"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func testCollection(writes bool) *collection[*corev1.Service] {
	return &collection[*corev1.Service]{compare: byNamespace[*corev1.Service], same: sameService, writes: writes}
}

func testService(name, uid string, version int, label string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: name, UID: types.UID(uid), ResourceVersion: strconv.Itoa(version),
		Labels: map[string]string{"v": label},
	}}
}

func TestCollectionTellsWhatMatters(t *testing.T) {
	c := testCollection(true)
	first := testService("a", "u1", 5, "x")
	steps := []struct {
		name string
		do   func() change
		want change
	}{
		{"new object", func() change { return c.put(first) }, visible},
		{"same version again", func() change { return c.put(testService("a", "u1", 5, "x")) }, nothing},
		{"older version", func() change { return c.put(testService("a", "u1", 4, "y")) }, nothing},
		{"new version without a visible difference", func() change { return c.put(testService("a", "u1", 6, "x")) }, internal},
	}
	for _, s := range steps {
		if got := s.do(); got != s.want {
			t.Fatalf("%s: %d, want %d", s.name, got, s.want)
		}
	}
	key := keyOf(first)
	if c.all()[0] != first || c.entries[key].latest.ResourceVersion != "6" {
		t.Error("an invisible change must leave the shown pointer and renew the latest version")
	}
	steps = append(steps[:0], []struct {
		name string
		do   func() change
		want change
	}{
		{"visible difference", func() change { return c.put(testService("a", "u1", 10, "y")) }, visible},
		{"made again with a lower version", func() change { return c.put(testService("a", "u2", 7, "y")) }, visible},
		{"answer to a write on the one before", func() change { return c.putWritten(testService("a", "u1", 11, "z")) }, nothing},
		{"answer to a write", func() change { return c.putWritten(testService("a", "u2", 12, "z")) }, visible},
		{"relist that is older than the write", func() change { return c.replace([]*corev1.Service{testService("a", "u2", 8, "y")}) }, nothing},
		{"removal", func() change { return c.remove(key) }, visible},
		{"second removal", func() change { return c.remove(key) }, nothing},
		{"answer to a write on a removed one", func() change { return c.putWritten(testService("a", "u2", 13, "z")) }, nothing},
	}...)
	for _, s := range steps {
		if got := s.do(); got != s.want {
			t.Fatalf("%s: %d, want %d", s.name, got, s.want)
		}
	}
	if len(c.all()) != 0 {
		t.Errorf("%d objects left", len(c.all()))
	}
}

// Whatever happens, the shown objects are sorted and complete, and what was
// handed out before does not change.
func TestCollectionStaysSortedAndOldSlicesUntouched(t *testing.T) {
	for seed := range int64(30) {
		r := rand.New(rand.NewSource(seed))
		c := testCollection(false)
		model := map[string]*corev1.Service{}
		version := 0
		var old, copied []*corev1.Service
		for step := range 300 {
			version++
			name := fmt.Sprintf("s%02d", r.Intn(40))
			switch r.Intn(10) {
			case 0:
				var all []*corev1.Service
				model = map[string]*corev1.Service{}
				for i := range r.Intn(40) {
					s := testService(fmt.Sprintf("s%02d", i), "u", version, strconv.Itoa(version))
					all = append(all, s)
					model[s.Name] = s
				}
				r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
				c.replace(all)
			case 1, 2, 3:
				c.remove(types.NamespacedName{Namespace: "default", Name: name})
				delete(model, name)
			default:
				s := testService(name, "u", version, strconv.Itoa(version))
				c.put(s)
				model[name] = s
			}
			if r.Intn(5) == 0 {
				old = c.all()
				copied = slices.Clone(old)
			}
			if !slices.Equal(old, copied) {
				t.Fatalf("seed %d step %d: a slice that was handed out has changed", seed, step)
			}
			if !slices.IsSortedFunc(c.shown, c.compare) || len(c.shown) != len(model) || len(c.entries) != len(model) {
				t.Fatalf("seed %d step %d: not sorted, or %d shown and %d entries of %d", seed, step, len(c.shown), len(c.entries), len(model))
			}
			for _, s := range c.shown {
				if model[s.Name] != s {
					t.Fatalf("seed %d step %d: %s is not the newest", seed, step, s.Name)
				}
			}
		}
	}
}

func BenchmarkCollection(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			c := testCollection(false)
			for i := range n {
				c.put(testService(fmt.Sprintf("s%06d", i), "u", 1, "x"))
			}
			for i := 0; b.Loop(); i++ {
				c.put(testService(fmt.Sprintf("s%06d", i%n), "u", i+2, strconv.Itoa(i)))
				c.all()
			}
		})
	}
}

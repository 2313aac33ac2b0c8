// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"testing"

	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

// BenchmarkLoad is the first load of 10,000 networks and their removal.
func BenchmarkLoad(b *testing.B) {
	f := frrtest.Start(b, frrtest.Options{})
	d := New(Options{Command: f.Vtysh()})
	defer d.Close()
	none, all := document(0), document(10000)
	for b.Loop() {
		if _, err := d.Apply(b.Context(), all); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if _, err := d.Apply(b.Context(), none); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkDrift is one look at an FRR with 10,000 networks: unchanged since the
// last, and after a change of ours.
func BenchmarkDrift(b *testing.B) {
	f := frrtest.Start(b, frrtest.Options{})
	d := New(Options{Command: f.Vtysh()})
	defer d.Close()
	check := func() {
		if found, err := d.Drift(b.Context()); err != nil || len(found) > 0 {
			b.Fatal(found, err)
		}
	}
	if _, err := d.Apply(b.Context(), document(10000)); err != nil {
		b.Fatal(err)
	}
	check()
	b.Run("unchanged", func(b *testing.B) {
		for b.Loop() {
			check()
		}
	})
	b.Run("changed", func(b *testing.B) {
		for b.Loop() {
			d.watched.text = "" // not the same text
			check()
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

func TestDoubtful(t *testing.T) {
	for _, c := range []struct {
		name string
		said []string
		want []int
	}{
		{"nothing said", []string{""}, nil},
		{"two lines", []string{"line 4: % Unknown command[28]: network 1", "% Malformed", "line 6: Failure to communicate[13] to bgpd, line: network 3"}, []int{1, 3}},
		{"the node itself", []string{"line 1: % Unknown command[28]: router"}, []int{0, 1, 2, 3}},
		{"something else", []string{"what is this"}, []int{0, 1, 2, 3}},
	} {
		if got := doubtful(c.said, 2, 4); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Networks that FRR refuses among many cost themselves alone: one that vtysh does
// not understand, and one that bgpd does not want.
func TestRefusedNetworksAmongMany(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	clean(t, apply(t, d, document(0)))
	bad := func(networks int, end map[int]string) *frr.Document {
		doc := document(networks)
		for k, frag := range doc.Networks {
			for n, text := range end {
				if k.Prefix.Addr().As4()[3] == byte(n) && k.Prefix.Addr().As4()[2] == 0 {
					frag.Lines[0].Text += text
				}
			}
		}
		return doc
	}
	f.Load(t, "router bgp 65100\n address-family ipv4 unicast\n  network 10.0.0.77/32 label-index 7\n")
	d.Forget()
	a := apply(t, d, bad(1000, map[int]string{13: " colour red", 77: " label-index 8"}))
	if len(a.Refused) == 0 || a.Commands < 1000 {
		t.Fatalf("typed %d, refused %+v", a.Commands, a.Refused)
	}
	for _, r := range a.Refused {
		if name := r.Origins[0].Name; name != "10.0.0.13/32" && name != "10.0.0.77/32" || r.Message == "" {
			t.Errorf("refused %+v, want networks 13 and 77 only", r)
		}
		t.Logf("%q: %s", r.Line.Text, r.Message)
	}
	has(t, f, "-  network 10.0.0.13/32 route-map web.v4", "  network 10.0.0.12/32 route-map web.v4", "  network 10.0.3.231/32 route-map web.v4")
	if b := apply(t, d, bad(1000, map[int]string{13: " colour red", 77: " label-index 8"})); b.Commands != 0 || len(b.Refused) != len(a.Refused) {
		t.Errorf("again: typed %d, refused %+v", b.Commands, b.Refused)
	}
	drift(t, d, 0)
	clean(t, apply(t, d, document(0)))
	has(t, f, "-  network 10.0.0.12/32 route-map web.v4", "-  network 10.0.0.77/32 route-map web.v4")
}

// A bgpd that hangs while it gets many networks is noticed in seconds, and gets them
// once it answers.
func TestHangingDaemonAmongManyNetworks(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{Timeout: time.Second})
	clean(t, apply(t, d, document(1)))
	f.Signal(t, "bgpd", "STOP")
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if _, err := d.Apply(ctx, document(2000)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("while bgpd hangs: %v, want the end of the time limit", err)
	}
	f.Signal(t, "bgpd", "CONT")
	ctx, again := context.WithTimeout(t.Context(), 30*time.Second)
	defer again()
	for {
		_, err := d.Apply(ctx, document(2000))
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	has(t, f, "  network 10.0.7.207/32 route-map web.v4")
}

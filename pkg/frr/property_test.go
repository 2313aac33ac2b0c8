// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

// For any two Documents, the difference applied to the one gives the other, and
// nothing on the way is refused or left open.
func TestDiffLeadsFromAnyToAny(t *testing.T) {
	commands, clears := 0, 0
	for seed := range uint64(40) {
		r := newRandom(seed)
		was := &frr.Document{}
		m := model{}
		var prev *frr.Document
		for step := range 12 {
			doc, fresh := r.document(t, prev)
			if d := cmp.Diff(fresh.Text(), doc.Text()); d != "" {
				t.Fatalf("seed %d, step %d: Build with a previous Document differs:\n%s", seed, step, d)
			}
			delta := frr.Diff(prev, doc)
			for i, c := range delta.Commands {
				if err := m.apply(c); err != nil {
					t.Fatalf("seed %d, step %d: command %d, %q in %q: %v; all:\n%s\nbefore:\n%s", seed, step, i, c.Text, c.Node, err, script(delta.Commands), was.Text())
				}
				if len(c.Origins) == 0 && !strings.HasPrefix(strings.Join(append(slices.Clip(c.Node), c.Text), " "), "router bgp") && !global(c) {
					t.Errorf("command %q knows no object that it comes from", c.Text)
				}
			}
			want := modelOf(doc)
			if bfd := (modelLine{"", "bfd"}); m[bfd] {
				want[bfd] = true // stays, empty; FRR does not print it then
			}
			if d := cmp.Diff(want, m); d != "" {
				t.Fatalf("seed %d, step %d: the difference does not lead there (-want +got):\n%s\ncommands:\n%s", seed, step, d, script(delta.Commands))
			}
			checkClears(t, was, doc, delta.SoftOut)
			if more := frr.Diff(doc, doc); len(more.Commands)+len(more.SoftOut) > 0 {
				t.Fatalf("a Document differs from itself:\n%s", script(more.Commands))
			}
			commands, clears = commands+len(delta.Commands), clears+len(delta.SoftOut)
			was, prev = doc, doc
		}
	}
	if commands < 1000 || clears < 20 {
		t.Errorf("%d commands and %d clears in all: the clusters are too much alike", commands, clears)
	}
}

// global reports whether a command is of the node itself, not of an object.
func global(c frr.Command) bool {
	return len(c.Node) == 0 && !strings.HasPrefix(strings.TrimPrefix(c.Text, "no "), "route-map ") && c.Text != "bfd"
}

// checkClears: a soft clear for exactly those neighbours that stayed, in the same
// router and family, and whose out map is not what it was.
func checkClears(t *testing.T, old, doc *frr.Document, got []frr.SoftClear) {
	t.Helper()
	want := map[frr.SoftClear]bool{}
	before, after := outMaps(old), outMaps(doc)
	for who, outMap := range after {
		if was, stayed := before[who]; stayed && was != outMap {
			want[who.clear] = true
		}
	}
	have := map[frr.SoftClear]bool{}
	for _, c := range got {
		have[c] = true
	}
	if !maps.Equal(want, have) || len(got) != len(have) {
		t.Errorf("soft clears %v, want %v", got, want)
	}
}

type activated struct {
	router string
	clear  frr.SoftClear
}

// outMaps returns the text of each active neighbour's out map.
func outMaps(doc *frr.Document) map[activated]string {
	all := map[activated]string{}
	for l := range doc.Lines() {
		words := strings.Fields(l.Text)
		if words[0] != "neighbor" || len(words) != 5 || words[4] != "out" {
			continue
		}
		_, vrf, _ := strings.Cut(l.Node[0], " vrf ")
		who := activated{l.Node[0], frr.SoftClear{VRF: vrf, Family: strings.Fields(l.Node[1])[1], Neighbor: words[1]}}
		var lines []string
		for m := range doc.Lines() {
			if strings.HasPrefix(strings.Join(append(slices.Clip(m.Node), m.Text), "\n"), "route-map "+words[3]+" ") {
				lines = append(lines, fmt.Sprint(m.Node, m.Text))
			}
		}
		slices.Sort(lines)
		all[who] = strings.Join(lines, "\n")
	}
	return all
}

// What Text writes is read back as the same configuration.
func TestTextIsReadBack(t *testing.T) {
	docs := goldenDocuments(t)
	for seed := range uint64(30) {
		_, fresh := newRandom(seed).document(t, nil)
		docs = append(docs, document{fmt.Sprint("random ", seed), fresh})
	}
	for _, d := range docs {
		for name, parse := range map[string]func(string) *frr.Document{"ParseConf": frr.ParseConf, "ParseRunning": frr.ParseRunning} {
			if delta := frr.Diff(parse(d.doc.Text()), d.doc); len(delta.Commands)+len(delta.SoftOut) > 0 {
				t.Errorf("%s, %s: differs by:\n%s", d.name, name, script(delta.Commands))
			}
		}
		if delta := frr.Diff(d.doc, frr.ParseConf(d.doc.Text())); len(delta.Commands) > 0 {
			t.Errorf("%s: what is read differs by:\n%s", d.name, script(delta.Commands))
		}
	}
}

// Real FRR goes the same ways.
func TestRealFRRFromAnyToAny(t *testing.T) {
	f := frrtest.Start(t, frrtest.Options{})
	for seed := range uint64(4) {
		r := newRandom(seed + 100)
		var prev *frr.Document
		for step := range 6 {
			doc, _ := r.document(t, prev)
			commands := script(frr.Diff(prev, doc).Commands)
			f.Load(t, commands)
			running := f.Running(t)
			if delta := frr.Diff(frr.ParseRunning(running), doc); len(delta.Commands) > 0 {
				t.Fatalf("seed %d, step %d: the running configuration differs by:\n%s\nafter:\n%s\nit is:\n%s", seed, step, script(delta.Commands), commands, running)
			}
			prev = doc
		}
		f.Load(t, script(frr.Diff(prev, &frr.Document{}).Commands))
	}
}

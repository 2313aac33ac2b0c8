// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/l2"
	"metallb.io/metallb-frr/pkg/links"
	"metallb.io/metallb-frr/pkg/members"
	"metallb.io/metallb-frr/pkg/plan"
)

// speakerPart is the argument that makes a process of this program a speaker.
const speakerPart = "l2-speaker"

// speakerConf is what a speaker is told, as the first thing on its standard input.
type speakerConf struct {
	Node string
	// Manifests are the cluster as the API server would have it.
	Manifests string
	// Bind is where it is a member; not valid: it knows of nobody else. Its peers
	// are in the first speakerWord.
	Bind netip.AddrPort
	// Held: as some ServiceL2Status would say, all addresses are announced.
	Held bool
}

// speakerWord is what it is told afterwards, one at a time.
type speakerWord struct {
	Peers []netip.Addr `json:",omitempty"` // all who may be members
	Stats bool         `json:",omitempty"` // say them
}

// speakerSays is what a speaker says on its standard output, one at a time.
type speakerSays struct {
	Alive int           // as many are alive, since something changed
	Owns  int           // as many addresses it owns, since that changed
	Stats *speakerStats // as it was asked for
}

// speakerStats is what a speaker has done, and what that costs it.
type speakerStats struct {
	Requests, Responses uint64 // for all addresses
	Heap                uint64 // in use after a collection, in bytes
	HeapPeak            uint64 // taken from the system for the heap, in bytes
	Allocations         uint64 // so far
}

// speaker is the layer 2 part of a speaker, alone in its network namespace, without
// Kubernetes: who is alive, who announces and the answering are the product's.
type speaker struct {
	intent *intent.Intent
	facts  plan.NodeFacts
	engine *l2.Engine
	links  []l2.Link
	result *plan.Result
	says   *json.Encoder
	said   speakerSays
}

// speak is the whole life of a speaker. It ends with its standard input.
func speak(in io.Reader, out io.Writer) error {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	dec := json.NewDecoder(in)
	var conf speakerConf
	if err := dec.Decode(&conf); err != nil {
		return fmt.Errorf("reading what to do: %w", err)
	}
	s, err := newSpeaker(conf, out)
	if err != nil {
		return err
	}
	defer s.engine.Close()
	words := make(chan speakerWord)
	go func() {
		defer end()
		for {
			var w speakerWord
			if dec.Decode(&w) != nil {
				return
			}
			words <- w
		}
	}()
	found := make(chan []links.Link)
	go func() {
		err := links.Watch(ctx, links.Options{}, func(l []links.Link) {
			select {
			case found <- l:
			case <-ctx.Done():
			}
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return s.run(ctx, conf, found, words)
}

func newSpeaker(conf speakerConf, out io.Writer) (*speaker, error) {
	snapshot, err := intent.ReadYAML(strings.NewReader(conf.Manifests), "metallb-system")
	if err != nil {
		return nil, err
	}
	s := &speaker{intent: intent.Resolve(nil, snapshot), says: json.NewEncoder(out)}
	s.facts = plan.NodeFacts{Name: conf.Node, Forwarding: true}
	if conf.Held {
		var all []netip.Addr
		for _, service := range s.intent.Services {
			all = append(all, service.Addresses...)
		}
		s.facts.Held = s.facts.Held.With(all, nil)
	}
	s.engine, err = l2.New(l2.Options{Node: conf.Node, Period: l2.DefaultPeriod})
	return s, err
}

// run is the speaker's loop.
func (s *speaker) run(ctx context.Context, conf speakerConf, found <-chan []links.Link, words <-chan speakerWord) error {
	m, err := s.join(ctx, conf, words)
	if err != nil {
		return err
	}
	var changed <-chan struct{}
	if m != nil {
		changed = m.Changed()
	}
	for {
		said := speakerSays{}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			s.facts.Alive = m.Alive()
			s.apply()
		case l := <-found:
			s.links = answering(l)
			s.apply()
		case <-s.engine.Events():
		case w := <-words:
			if w.Stats {
				said.Stats = s.stats()
			} else {
				m.Join(w.Peers)
			}
		}
		said.Alive, said.Owns = len(s.facts.Alive.Names()), s.owned()
		if said != s.said {
			s.said = said
			_ = s.says.Encode(said)
		}
	}
}

// join begins the membership, and waits until it can be believed; nil: there is
// none.
func (s *speaker) join(ctx context.Context, conf speakerConf, words <-chan speakerWord) (*members.Members, error) {
	if !conf.Bind.IsValid() {
		return nil, nil
	}
	m, err := members.Start(members.Options{Node: conf.Node, Bind: conf.Bind, Secret: []byte("a secret of the bench's")})
	if err != nil {
		return nil, err
	}
	for {
		select {
		case w := <-words:
			m.Join(w.Peers)
			continue
		case <-m.Joined():
		case <-ctx.Done():
		}
		s.facts.Alive = m.Alive()
		return m, nil
	}
}

// apply plans, and makes it so.
func (s *speaker) apply() {
	s.result = plan.ForNode(s.result, s.intent, s.facts)
	err := s.engine.Apply(l2.Desired{Announcements: s.result.Plan.Announcements, Speakers: s.stations(), Links: s.links})
	if err != nil {
		fmt.Fprintln(os.Stderr, s.facts.Name, err)
	}
}

// stations are all nodes by the MACs that they have published.
func (s *speaker) stations() map[l2.MAC]string {
	out := map[l2.MAC]string{}
	for _, n := range s.intent.Nodes {
		for _, l := range n.Links {
			if mac, err := net.ParseMAC(l.MAC); err == nil && len(mac) == len(l2.MAC{}) {
				out[l2.MAC(mac)] = n.Name
			}
		}
	}
	return out
}

// answering returns the interfaces that answer.
func answering(all []links.Link) []l2.Link {
	var out []l2.Link
	for _, l := range all {
		if a := l.Answers(nil); a.Any() {
			out = append(out, l2.Link{Name: l.Name, Index: l.Index, MAC: l2.MAC(l.MAC), ARP: a.ARP.Reason == "", NDP: a.NDP.Reason == ""})
		}
	}
	return out
}

func (s *speaker) owned() int {
	n := 0
	for _, a := range s.engine.All() {
		if a.State == l2.Owner {
			n++
		}
	}
	return n
}

func (s *speaker) stats() *speakerStats {
	out := &speakerStats{}
	s.engine.Each(func(_ netip.Addr, c *l2.Counts) bool {
		out.Requests += c.Requests.Load()
		out.Responses += c.Responses.Load()
		return true
	})
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	out.HeapPeak, out.Allocations = m.HeapSys, m.Mallocs
	runtime.GC()
	runtime.ReadMemStats(&m)
	out.Heap = m.HeapAlloc
	return out
}

// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/l2"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// hearing is a speaker that hears of layer 2, and what it tells.
type hearing struct {
	*Speaker
	registry *prometheus.Registry

	mu           sync.Mutex
	lines, debug []string
	events       []string // object: type reason message
}

func newHearing(t *testing.T, services ...string) *hearing {
	t.Helper()
	h := &hearing{registry: prometheus.NewRegistry()}
	metrics, err := telemetry.NewSpeaker(h.registry)
	if err != nil {
		t.Fatal(err)
	}
	log := funcr.New(func(_, args string) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if rest, usual := strings.CutPrefix(args, `"level"=0 `); usual {
			h.lines = append(h.lines, rest)
		} else {
			h.debug = append(h.debug, args)
		}
	}, funcr.Options{Verbosity: 1})
	h.Speaker = New(Options{Node: "n1", Log: log, Metrics: metrics})
	snapshot := &intent.Snapshot{}
	for _, name := range []string{"n1", "n2"} {
		snapshot.Nodes = append(snapshot.Nodes, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	slices.Sort(services)
	for _, name := range services {
		snapshot.Services = append(snapshot.Services, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}})
	}
	h.news.read = func() *intent.Snapshot { return snapshot }
	h.news.event = func(obj eventObject, kind, reason, message string) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.events = append(h.events, fmt.Sprintf("%s: %s %s %s", obj.GetName(), kind, reason, message))
	}
	return h
}

// runs has what gathers be told as in the running speaker.
func (h *hearing) runs(t *testing.T) { go h.news.run(t.Context()) }

// told waits, and returns the events since it was called before.
func (h *hearing) told(wait time.Duration) []string {
	time.Sleep(wait)
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	events := h.events
	h.events = nil
	return events
}

func named(names ...string) []*intent.Service {
	var services []*intent.Service
	for _, n := range names {
		services = append(services, &intent.Service{Key: intent.Key{Namespace: "default", Name: n}})
	}
	return services
}

var (
	addr4  = netip.MustParseAddr("192.0.2.1")
	addr6  = netip.MustParseAddr("2001:db8::1")
	mac2   = l2.MAC{2, 0, 0, 0, 0, 2}
	assign = `web: Normal nodeAssigned announcing from node "n1" with protocol "layer2"`
)

// Each thing that happens to an address has a line that says why the node
// announces it or not, and the Services know.
func TestLayer2LinesAndEvents(t *testing.T) {
	for _, row := range []struct {
		ev    l2.Event
		line  string   // all of it, but node and service
		event []string // parts; nil: none
	}{
		{l2.Event{Kind: l2.Claimed, Addr: addr4}, `"address announced" "node"="n1" "reason"="Claimed" "why"="nobody had it" "addr"="192.0.2.1" "service"="default/web"`, []string{assign}},
		{l2.Event{Kind: l2.TakenOver, Addr: addr6, Took: 640 * time.Millisecond}, `"address taken over" "node"="n1" "reason"="TakenOver" "why"="another node announced it" "addr"="2001:db8::1" "service"="default/web" "took"="640ms"`, []string{assign}},
		{l2.Event{Kind: l2.TakenBack, Addr: addr4, Node: "n2", MAC: mac2}, `"address taken back" "node"="n1" "reason"="TakenBack" "why"="the node that it was left to is silent" "addr"="192.0.2.1" "service"="default/web" "other"="n2" "mac"="02:00:00:00:00:02"`, []string{assign}},
		{l2.Event{Kind: l2.ForeignGone, Addr: addr4}, `"address announced" "node"="n1" "reason"="ForeignGone"`, []string{assign}},
		{l2.Event{Kind: l2.YieldedTo, Addr: addr4, Node: "n2", MAC: mac2, Link: "eth0"}, `"address left to another node" "node"="n1" "reason"="Yielded" "why"="that node comes first for it and announces it" "addr"="192.0.2.1" "service"="default/web" "other"="n2" "mac"="02:00:00:00:00:02" "link"="eth0"`, nil},
		{l2.Event{Kind: l2.Contested, Addr: addr4, MAC: mac2, Link: "eth0"}, `"address contested" "node"="n1" "reason"="Contested" "why"="another station claims it too; this node defends it" "addr"="192.0.2.1" "service"="default/web" "mac"="02:00:00:00:00:02" "link"="eth0"`, nil},
		{l2.Event{Kind: l2.ForeignOwner, Addr: addr4, MAC: mac2, Link: "eth0"}, `"address not announced" "node"="n1" "reason"="ForeignOwner" "why"="a station that is no speaker has it; it is asked for again, and announced when nobody answers" "addr"="192.0.2.1" "service"="default/web" "mac"="02:00:00:00:00:02" "link"="eth0"`,
			[]string{"web: Warning ForeignOwner", `node "n1" does not announce 192.0.2.1`, "02:00:00:00:00:02 on interface eth0", "give that machine another address"}},
		{l2.Event{Kind: l2.IPVSWithoutStrictARP, Addr: addr4, Node: "n2", MAC: mac2, Link: "eth0"}, `"kernel of a node answers for addresses that its speaker does not announce" "node"="n1" "reason"="IPVSWithoutStrictARP"`,
			[]string{"n2: Warning IPVSWithoutStrictARP", `the kernel of node "n2" answers ARP for 192.0.2.1`, "strictARP: true in the ConfigMap kube-proxy"}},
		{l2.Event{Kind: l2.LinkFailed, Link: "eth0", Err: errors.New("opening link eth0: no such device")}, `"interface not usable for layer 2" "node"="n1" "reason"="LinkFailed" "why"="it is tried again" "link"="eth0" "error"="opening link eth0: no such device"`, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHearing(t, "web")
			h.runs(t)
			var services []*intent.Service
			if row.ev.Addr.IsValid() {
				services = named("web")
			}
			h.heardLayer2(row.ev, services)
			events := h.told(2 * burstTime)
			if len(h.lines) != 1 || !strings.Contains(h.lines[0], row.line) || len(h.debug) > 0 {
				t.Errorf("%s: logged %q and %q, want %q", row.ev.Kind, h.lines, h.debug, row.line)
			}
			if row.event == nil && len(events) > 0 || row.event != nil && len(events) != 1 {
				t.Fatalf("%s: events %q", row.ev.Kind, events)
			}
			for _, part := range row.event {
				if !strings.Contains(events[0], part) {
					t.Errorf("%s: event %q does not say %q", row.ev.Kind, events[0], part)
				}
			}
		})
	}
}

// That links came back, and the addresses on them with them, is no news to anybody.
func TestResumedAddressesAreNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHearing(t, "web")
		h.runs(t)
		for range linesAtOnce + 1 {
			h.heardLayer2(l2.Event{Kind: l2.Resumed, Addr: addr4, Link: "eth0"}, named("web"))
		}
		if events := h.told(2 * burstTime); len(events)+len(h.lines) > 0 {
			t.Errorf("events %q, logged %q; want neither", events, h.lines)
		}
		if len(h.debug) != linesAtOnce+1 || !strings.Contains(h.debug[0], `"address announced again" "node"="n1" "reason"="Resumed"`) {
			t.Errorf("logged %q at the debug level", h.debug)
		}
	})
}

// The log has words for whatever can happen.
func TestLayer2Words(t *testing.T) {
	for kind := l2.Claimed; !strings.HasPrefix(kind.String(), "EventKind("); kind++ {
		if words := layer2Words[kind]; words.message == "" || words.why == "" {
			t.Errorf("no words for %s", kind)
		}
	}
}

// The loss of a node with very many addresses is some lines at the usual level,
// and its Services are told at a bounded pace, the newest if they are too many.
// Hearing of it waits for nobody: here nothing is told before all was heard.
func TestManyTakeOversAtOnce(t *testing.T) {
	const many = 10_000
	synctest.Test(t, func(t *testing.T) {
		names := make([]string, many)
		for i := range names {
			names[i] = fmt.Sprintf("s%05d", i)
		}
		h := newHearing(t, names...)
		addr := addr4
		for i, name := range names {
			h.heardLayer2(l2.Event{Kind: l2.TakenOver, Addr: addr, Took: time.Duration(i) * time.Microsecond}, named(name))
			addr = addr.Next()
		}
		h.heardLayer2(l2.Event{Kind: l2.ForeignOwner, Addr: addr4, MAC: mac2, Link: "eth0"}, named(names[0]))
		h.runs(t)
		first := h.told(burstTime)
		if len(first) != noticesPerRound || !strings.Contains(first[0], "ForeignOwner") {
			t.Errorf("in the first second %d events, the first of them %q; want %d, warnings first", len(first), first[0], noticesPerRound)
		}
		if len(h.lines) != linesAtOnce+2 || len(h.debug) != many-linesAtOnce {
			t.Fatalf("%d lines, and %d for debugging: %q", len(h.lines), len(h.debug), h.lines)
		}
		want := fmt.Sprintf(`"more of the same in layer 2" "node"="n1" "reason"="TakenOver" "count"=%d "addr"="[192.0.2.11 192.0.2.12`, many-linesAtOnce)
		if last := h.lines[linesAtOnce+1]; !strings.Contains(last, want) || !strings.Contains(last, `"took"="9.999ms"`) {
			t.Errorf("last line %q, want %q", last, want)
		}
		all := slices.Concat(first, h.told(time.Minute))
		if len(all) != noticesKept+1 || !strings.HasPrefix(all[noticesKept], names[many-1]+":") || !strings.HasPrefix(all[1], names[many-noticesKept]+":") {
			t.Errorf("%d events, from %q to %q; want the newest %d", len(all), all[1], all[len(all)-1], noticesKept)
		}
	})
}

// A Service with an address of each family is told once that the node has taken
// both, and again when the node takes one again.
func TestOneEventForBothFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHearing(t, "web", "other")
		h.runs(t)
		h.heardLayer2(l2.Event{Kind: l2.Claimed, Addr: addr4}, named("web"))
		time.Sleep(100 * time.Millisecond)
		h.heardLayer2(l2.Event{Kind: l2.TakenOver, Addr: addr6}, named("web", "other", "deleted"))
		want := []string{assign, strings.Replace(assign, "web", "other", 1)}
		if got := h.told(2 * burstTime); !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		h.heardLayer2(l2.Event{Kind: l2.TakenBack, Addr: addr4}, named("web"))
		if got := h.told(2 * burstTime); !slices.Equal(got, want[:1]) {
			t.Errorf("taken again: told %q, want %q", got, want[:1])
		}
	})
}

// A node whose kernel answers is told of once an hour, and of many only some.
func TestKernelsThatAnswerAreToldOfOnceAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHearing(t)
		h.runs(t)
		for _, c := range []struct {
			situation string
			nodes     []string
			after     time.Duration
			want      int // events; of the nodes here only n1 and n2 are in the cluster
			told      int // nodes that are held to have been told of
		}{
			{"first", []string{"n2"}, 0, 1, 1},
			{"again", []string{"n2"}, 50 * time.Minute, 0, 1},
			{"an hour later", []string{"n2"}, 15 * time.Minute, 1, 1},
			{"all of many", []string{"a", "b", "c", "d", "e", "f", "n1"}, 0, 0, ipvsMost},
		} {
			time.Sleep(c.after)
			for _, n := range c.nodes {
				h.heardLayer2(l2.Event{Kind: l2.IPVSWithoutStrictARP, Addr: addr4, Node: n, MAC: mac2, Link: "eth0"}, nil)
			}
			if got := h.told(2 * burstTime); len(got) != c.want || len(h.news.ipvs) != c.told {
				t.Errorf("%s: told %q, of %v", c.situation, got, slices.Sorted(maps.Keys(h.news.ipvs)))
			}
		}
	})
}

// A node without an interface for an address says so, in MetalLB's words where
// interfaces were asked for, once as long as nothing changes.
func TestAnnounceFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHearing(t, "web")
		h.runs(t)
		for _, c := range []struct {
			situation string
			after     time.Duration
			addr      netip.Addr
			wanted    []string
			want      string
		}{
			{"interfaces that are not there", 0, addr4, []string{"eth7", "eth8"}, `web: Warning announceFailed the interfaces requested for LB IP "192.0.2.1" do not exist on the assigned node "n1", or cannot announce: eth7, eth8`},
			{"the next pass", 0, addr4, []string{"eth7", "eth8"}, ""},
			{"others", 0, addr4, []string{"eth9"}, "eth9"},
			{"the other address", 0, addr6, []string{"eth9"}, `"2001:db8::1"`},
			{"none asked for", 0, addr4, nil, `the assigned node "n1" has no interface that can announce LB IP "192.0.2.1"`},
			{"still so", sayAgain, addr4, []string{"eth9"}, "eth9"},
		} {
			time.Sleep(c.after)
			before := len(h.lines)
			h.announceFailed(named("web")[0], c.addr, c.wanted)
			got := h.told(2 * burstTime)
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("%s: told %q, want %q", c.situation, got, c.want)
			}
			if len(h.lines)-before != len(got) || len(got) > 0 && !strings.Contains(h.lines[before], `"reason"="announceFailed"`) {
				t.Errorf("%s: logged %q", c.situation, h.lines[before:])
			}
		}
	})
}

// A link that goes on failing has a line now and then, not one for each try.
func TestLinkThatGoesOnFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHearing(t)
		h.runs(t)
		for range 60 {
			h.heardLayer2(l2.Event{Kind: l2.LinkFailed, Link: "eth0", Err: errors.New("no buffer")}, nil)
			time.Sleep(15 * time.Second)
		}
		h.heardLayer2(l2.Event{Kind: l2.LinkFailed, Link: "eth0", Err: errors.New("no device")}, nil)
		if len(h.lines) != 3 || len(h.debug) != 58 {
			t.Errorf("in 15 minutes %d lines, and %d for debugging; want 3 and 58: %q", len(h.lines), len(h.debug), h.lines)
		}
	})
}

// What the engine counts, and how long a take-over took, is in the metrics.
func TestLayer2Metrics(t *testing.T) {
	h := newHearing(t)
	e, err := l2.New(l2.Options{Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Apply(l2.Desired{Announcements: []plan.Announcement{{Addr: addr4, Order: []string{"n1"}}, {Addr: addr6, Order: []string{"n1"}}}}); err != nil {
		t.Fatal(err)
	}
	h.Metrics.Layer2.Count(countsOf(e))
	e.Each(func(addr netip.Addr, c *l2.Counts) bool {
		if addr == addr4 {
			c.Requests.Add(1)
			c.Responses.Add(2)
			c.Gratuitous.Add(3)
			c.TakeOvers.Add(4)
			c.TakeBacks.Add(5)
			c.Conflicts.Add(6)
		}
		return true
	})
	h.heardLayer2(l2.Event{Kind: l2.TakenOver, Addr: addr4, Took: 640 * time.Millisecond}, nil)
	h.heardLayer2(l2.Event{Kind: l2.Claimed, Addr: addr4}, nil)
	families, err := h.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch name, is := strings.CutPrefix(f.GetName(), "metallb_layer2_"); {
			case is && m.GetHistogram() != nil:
				got[name], got["count"] = m.GetHistogram().GetSampleSum(), float64(m.GetHistogram().GetSampleCount())
			case is:
				got[name+" "+m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	want := map[string]float64{"requests_received 192.0.2.1": 1, "responses_sent 192.0.2.1": 2, "gratuitous_sent 192.0.2.1": 3, "take_overs 192.0.2.1": 9, "conflicts 192.0.2.1": 6,
		"loss_to_first_gratuitous_seconds": .64, "count": 1}
	if !maps.Equal(got, want) {
		t.Errorf("metrics %v, want %v", got, want)
	}
}

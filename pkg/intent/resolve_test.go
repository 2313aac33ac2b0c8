// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go4.org/netipx"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// With every kind invalid now and valid before, what was accepted is in force.
func TestLastAcceptedStaysInForce(t *testing.T) {
	broken := func(kind, name, now, before string) string {
		return own(kind, name, "spec: "+now+"\nstatus: {lastAccepted: {generation: 3, spec: "+before+"}}")
	}
	manifests := broken("IPAddressPool", "a", "{addresses: [nonsense]}", "{addresses: [192.0.2.0/24]}") +
		broken("BFDProfile", "b", "{detectMultiplier: 1}", "{detectMultiplier: 7}") +
		broken("BGPPeer", "p", "{myASN: 0}", "{myASN: 64512, peerASN: 65000, peerAddress: 10.0.0.1, bfdProfile: b}") +
		broken("Community", "c", "{communities: [{name: x}]}", `{communities: [{name: x, value: "1:2"}]}`) +
		broken("BGPAdvertisement", "d", "{aggregationLength: 99}", "{aggregationLength: 25, communities: [x], ipAddressPools: [a], peers: [p]}") +
		broken("L2Advertisement", "e", "{ipAddressPools: [a, a]}", "{interfaces: [eth7]}")
	in := resolve(t, manifests)
	if len(in.Pools) != 1 || len(in.BFDProfiles) != 1 || len(in.Peers) != 1 || len(in.BGPAds) != 1 || len(in.L2Ads) != 1 {
		t.Fatalf("not everything stayed in force: %+v", in.Config)
	}
	d := in.BGPAds[0]
	if in.Pools[0].Ranges[0].String() != "192.0.2.0-192.0.2.255" || *in.BFDProfiles[0].DetectMultiplier != 7 ||
		in.Peers[0].MyASN != 64512 || in.Peers[0].BFD != in.BFDProfiles[0] || d.Aggregation != 25 ||
		len(d.Communities) != 1 || d.Communities[0].String() != "1:2" || !d.Pools["a"] || !d.Peers["p"] || in.L2Ads[0].Interfaces[0] != "eth7" {
		t.Errorf("in force is not what was accepted: %+v", in.Config)
	}
	objects := map[string]bool{}
	for _, f := range in.Findings {
		if f.Severity != intent.Invalid {
			t.Errorf("%s finding: %s", f.Severity, f)
		}
		objects[f.Object.Name] = true
	}
	if len(objects) != 6 {
		t.Errorf("the present specs make Findings of %v, want of all six objects", objects)
	}
}

// A password added to a peer that has a passwordSecret is not valid; the peer
// goes on with its secret.
func TestLastAcceptedWithSecret(t *testing.T) {
	in := resolve(t, secret("s", secretType, "{password: old}")+
		own("BGPPeer", "p", "spec: "+with("password: new, passwordSecret: {name: s}")+"\nstatus: {lastAccepted: {spec: "+with("passwordSecret: {name: s}")+"}}"))
	if len(in.Peers) != 1 || in.Peers[0].Password.Reveal() != "old" {
		t.Errorf("peers in force: %+v", in.Peers)
	}
}

// A valid spec is in force whatever was accepted before, and an invalid one with
// nothing before costs the object alone.
func TestLastAcceptedOfValidObject(t *testing.T) {
	in := resolve(t, own("IPAddressPool", "a", "spec: {addresses: [192.0.2.0/24]}\nstatus: {lastAccepted: {spec: {addresses: [10.0.0.0/8]}}}")+
		pool("b", "{addresses: [nonsense]}"))
	if len(in.Pools) != 1 || in.Pools[0].Ranges[0].String() != "192.0.2.0-192.0.2.255" {
		t.Errorf("pools: %+v", in.Pools)
	}
}

// everything is a cluster in which things contradict each other.
func everything() string {
	all := bfd("fast", "{receiveInterval: 100}") + secret("s", secretType, "{password: a}") +
		community("c", `{communities: [{name: a, value: "1:2"}]}`) + community("d", `{communities: [{name: a, value: "3:4"}, {name: b, value: "5:6"}]}`)
	for i := range 12 {
		all += pool(fmt.Sprintf("pool%02d", i), fmt.Sprintf("{addresses: [10.0.0.%d-10.0.0.%d, 'fd00::%x/124']}", 5*i, 5*i+9, 8*i))
		all += peer(fmt.Sprintf("peer%02d", i), fmt.Sprintf("{myASN: 64512, peerASN: %d, peerAddress: 192.0.2.%d, bfdProfile: fast, passwordSecret: {name: %s}}", i%3, i/2, []string{"s", "gone"}[i%2]))
		all += ad(fmt.Sprintf("ad%02d", i), fmt.Sprintf("{communities: [a, b, '%d:1'], ipAddressPools: [pool%02d, gone], peers: [peer%02d]}", 65530+i, i, i))
		name := fmt.Sprintf("svc%02d", i)
		all += service(name, "", fmt.Sprintf(", loadBalancerIP: 10.0.0.%d", i*25)) + endpoints(name+"-a", name, "{addresses: [1.2.3.4], nodeName: n1}") + endpoints(name+"-b", name, "{addresses: [1.2.3.4], nodeName: n2, conditions: {ready: false}}")
		all += fmt.Sprintf("---\napiVersion: v1\nkind: Node\nmetadata: {name: n%02d}\n", i)
	}
	return all
}

// The order in which objects are read does not change what they mean.
func TestOrderDoesNotMatter(t *testing.T) {
	want := resolve(t, everything())
	if len(want.Findings) < 20 || len(want.Pools) != 12 {
		t.Fatalf("the cluster is not what the test needs: %d findings, %d pools", len(want.Findings), len(want.Pools))
	}
	docs := strings.Split(everything(), "---\n")
	for seed := range uint64(20) {
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
		got := resolve(t, strings.Join(docs, "\n---\n"))
		if d := cmp.Diff(texts(want), texts(got)); d != "" {
			t.Fatalf("seed %d: findings differ (-first +shuffled):\n%s", seed, d)
		}
		if a, b := fmt.Sprintf("%+v", deref(want)), fmt.Sprintf("%+v", deref(got)); a != b {
			t.Fatalf("seed %d: the intent differs:\n%s\n%s", seed, a, b)
		}
	}
}

// deref returns the Intent without the pointers, which differ.
func deref(in *intent.Intent) []any {
	var all []any
	for _, p := range in.Pools {
		all = append(all, *p)
	}
	for _, p := range in.Peers {
		peer := *p
		bfd := *peer.BFD
		peer.BFD = nil
		all = append(all, peer, bfd.Name, peer.Password.Reveal())
	}
	for _, a := range in.BGPAds {
		all = append(all, *a)
	}
	for _, s := range in.Services {
		all = append(all, s.Key, s.Requested, s.Blocked, s.ServingNodes)
	}
	return all
}

func texts(in *intent.Intent) []string {
	var all []string
	for _, f := range in.Findings {
		all = append(all, f.String())
	}
	return all
}

// Age decides before the name does.
func TestOlderPoolKeepsAddresses(t *testing.T) {
	s := read(t, pool("a", "{addresses: [192.0.2.0/24]}")+pool("b", "{addresses: [192.0.2.0/25]}"))
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	s.Pools[0].CreationTimestamp = metav1.NewTime(now)
	s.Pools[1].CreationTimestamp = metav1.NewTime(now.Add(-time.Second))
	in := intent.Resolve(nil, s)
	if got := fmt.Sprint(in.Pools[0].Ranges, in.Pools[1].Ranges); got != "[192.0.2.128-192.0.2.255] [192.0.2.0-192.0.2.127]" {
		t.Errorf("ranges %s", got)
	}
	if len(in.Findings) != 1 || in.Findings[0].Object.Name != "a" {
		t.Errorf("findings %v, want one of the younger pool", in.Findings)
	}
}

// No address is ever in two pools, whatever the entries.
func TestPoolsNeverOverlap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var manifests strings.Builder
		for i := range 1 + r.IntN(6) {
			var entries []string
			for range 1 + r.IntN(3) {
				from := r.IntN(200)
				entries = append(entries, fmt.Sprintf("10.0.0.%d-10.0.0.%d", from, from+r.IntN(56)))
			}
			manifests.WriteString(pool(fmt.Sprintf("p%d", i), "{addresses: ["+strings.Join(entries, ", ")+"]}"))
		}
		snapshot := read(t, manifests.String())
		in := intent.Resolve(nil, snapshot)
		var entries []netipx.IPRange
		for _, o := range snapshot.Pools {
			for _, text := range o.Spec.Addresses {
				rng, err := intent.ParseRange(text)
				if err != nil {
					t.Fatal(err)
				}
				entries = append(entries, rng)
			}
		}
		for i := range 256 {
			addr := parse(fmt.Sprintf("10.0.0.%d", i))
			holds := func(rng netipx.IPRange) bool { return rng.Contains(addr) }
			holders, wanted := 0, 0
			for _, p := range in.Pools {
				for _, rng := range p.Ranges {
					if holds(rng) {
						holders++
					}
				}
			}
			if slices.ContainsFunc(entries, holds) {
				wanted = 1
			}
			if holders != wanted {
				t.Fatalf("%s is in %d ranges, want %d; pools:\n%s", addr, holders, wanted, &manifests)
			}
		}
	}
}

// Nothing changed: everything is the same pointer.
func TestResolveReusesEverything(t *testing.T) {
	s := read(t, everything())
	first := intent.Resolve(nil, s)
	again := *s
	second := intent.Resolve(first, &again)
	if first.Config != second.Config || !slices.Equal(first.Services, second.Services) || !reflect.DeepEqual(first.Findings, second.Findings) {
		t.Error("an unchanged Snapshot made something new")
	}
}

// Changing one Service, or its endpoints, makes that one new and no other.
func TestResolveReusesOtherServices(t *testing.T) {
	s := read(t, everything())
	first := intent.Resolve(nil, s)
	changes := map[string]func(*intent.Snapshot){
		"the Service": func(s *intent.Snapshot) {
			s.Services = slices.Clone(s.Services)
			s.Services[4] = s.Services[4].DeepCopy()
		},
		"an endpoint": func(s *intent.Snapshot) {
			s.EndpointSlices = slices.Clone(s.EndpointSlices)
			s.EndpointSlices[9] = s.EndpointSlices[9].DeepCopy()
		},
		"an EndpointSlice less": func(s *intent.Snapshot) {
			s.EndpointSlices = slices.Delete(slices.Clone(s.EndpointSlices), 8, 9)
		},
	}
	for name, change := range changes {
		next := *s
		change(&next)
		second := intent.Resolve(first, &next)
		if first.Config != second.Config {
			t.Errorf("%s changed: Config is new", name)
		}
		for i := range first.Services {
			if same := first.Services[i] == second.Services[i]; same == (i == 4) {
				t.Errorf("%s changed: service %d is the same: %v", name, i, same)
			}
		}
	}
	gone := *s
	gone.Services = slices.Delete(slices.Clone(s.Services), 4, 5)
	second := intent.Resolve(first, &gone)
	if want := slices.Delete(slices.Clone(first.Services), 4, 5); !slices.Equal(second.Services, want) {
		t.Error("without one Service the others are not the same")
	}
	if second = intent.Resolve(second, s); second.Services[4] == first.Services[4] || second.Services[5] != first.Services[5] {
		t.Error("a Service that returns must be read, the others not")
	}
}

// A status that others write, or a heartbeat, changes nothing; what counts does.
func TestResolveKeepsConfig(t *testing.T) {
	base := func() *intent.Snapshot {
		s := read(t, somePool+peer("p", with("password: one"))+ad("x", "{}")+
			"---\napiVersion: v1\nkind: Node\nmetadata: {name: n1}\nstatus: {addresses: [{type: InternalIP, address: 10.0.0.1}], conditions: [{type: Ready, status: 'True'}]}\n"+
			"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n")
		s.Pools[0].Generation, s.Peers[0].Generation, s.BGPAds[0].Generation = 1, 1, 1
		s.Pools[0].UID = "1"
		s.States = read(t, state("speaker-n1", "{sessions: [{peer: p, state: Down}], links: [{name: eth0, mac: '02:00:5e:10:00:00', prefixes: [192.0.2.1/24, 'fd00::1/64']}]}")+state("controller", "{}")).States
		return s
	}
	accepted := func(text string) *v1beta1.AcceptedSpec {
		a := &v1beta1.AcceptedSpec{Generation: 1}
		if err := json.Unmarshal([]byte(text), &a.Spec); err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, row := range []struct {
		name   string
		same   bool
		change func(*intent.Snapshot)
	}{
		{"nothing but copies", true, func(*intent.Snapshot) {}},
		{"a pool's counters", true, func(s *intent.Snapshot) { s.Pools[0].Status.AssignedIPv4 = 7 }},
		{"a pool's annotation", true, func(s *intent.Snapshot) { s.Pools[0].Annotations = map[string]string{"a": "b"} }},
		{"a node's heartbeat", true, func(s *intent.Snapshot) { s.Nodes[0].Status.Conditions[0].LastHeartbeatTime = metav1.Now() }},
		{"a Service", true, func(s *intent.Snapshot) { s.Services = read(t, service("s", "", "")).Services }},
		{"a session", true, func(s *intent.Snapshot) { s.States[1].Status.Sessions[0].State = v1beta1.SessionEstablished }},
		{"a speaker's condition", true, func(s *intent.Snapshot) {
			s.States[1].Status.Conditions = []metav1.Condition{{Type: "a", Status: "True"}}
		}},
		{"a speaker that publishes no links", true, func(s *intent.Snapshot) { s.States = append(s.States, read(t, state("speaker-n2", "{}")).States...) }},
		{"what is no speaker's", true, func(s *intent.Snapshot) { s.States[0].Status.Links = []v1beta1.Link{} }},
		{"a link more", false, func(s *intent.Snapshot) {
			s.States[1].Status.Links = append(s.States[1].Status.Links, v1beta1.Link{Name: "eth1"})
		}},
		{"no link at all", false, func(s *intent.Snapshot) { s.States[1].Status.Links = []v1beta1.Link{} }},
		{"links not known any more", false, func(s *intent.Snapshot) { s.States[1].Status.Links = nil }},
		{"a speaker that is gone", false, func(s *intent.Snapshot) { s.States = s.States[:1] }},
		{"a link's address", false, func(s *intent.Snapshot) { s.States[1].Status.Links[0].Prefixes[1] = "fd00::2/64" }},
		{"a link's MAC", false, func(s *intent.Snapshot) { s.States[1].Status.Links[0].MAC = "02:00:5e:10:00:01" }},
		{"a node's weight", false, func(s *intent.Snapshot) {
			s.Nodes[0].Annotations = map[string]string{v1beta1.AnnotationL2Weight: "5"}
		}},
		{"a node's weight that is none", false, func(s *intent.Snapshot) {
			s.Nodes[0].Annotations = map[string]string{v1beta1.AnnotationL2Weight: "x"}
		}},
		{"a node's other annotation", true, func(s *intent.Snapshot) { s.Nodes[0].Annotations = map[string]string{"a": "5"} }},
		{"a pool's spec", false, func(s *intent.Snapshot) { s.Pools[0].Generation = 2 }},
		{"a pool of the same name", false, func(s *intent.Snapshot) { s.Pools[0].UID = types.UID("2") }},
		{"a pool's label", false, func(s *intent.Snapshot) { s.Pools[0].Labels = map[string]string{"a": "b"} }},
		{"a pool less", false, func(s *intent.Snapshot) { s.Pools = nil }},
		{"an accepted spec", false, func(s *intent.Snapshot) { s.Pools[0].Status.LastAccepted = accepted(`{"addresses":[]}`) }},
		{"a password", false, func(s *intent.Snapshot) {
			s.PeerPasswords = read(t, peer("p", with("password: two"))).PeerPasswords
		}},
		{"a secret", false, func(s *intent.Snapshot) { s.Secrets = map[string]intent.Secret{"s": {}} }},
		{"a node's label", false, func(s *intent.Snapshot) { s.Nodes[0].Labels = map[string]string{"a": "b"} }},
		{"a node's readiness", false, func(s *intent.Snapshot) { s.Nodes[0].Status.Conditions[0].Status = "False" }},
		{"a node's address", false, func(s *intent.Snapshot) { s.Nodes[0].Status.Addresses[0].Address = "10.0.0.2" }},
		{"a namespace's label", false, func(s *intent.Snapshot) { s.Namespaces[0].Labels = map[string]string{"a": "b"} }},
		{"the flag for excluded nodes", false, func(s *intent.Snapshot) { s.IgnoreExcludeLabel = true }},
		{"a node's cordon that nobody asked for", true, func(s *intent.Snapshot) { s.Nodes[0] = s.Nodes[0].DeepCopy(); s.Nodes[0].Spec.Unschedulable = true }},
		{"a condition that takes the node out", false, func(s *intent.Snapshot) { s.DrainOn, _ = intent.ParseDrainOn("condition/Ready") }},
	} {
		first := intent.Resolve(nil, base())
		next := base()
		row.change(next)
		second := intent.Resolve(first, next)
		if same := first.Config == second.Config; same != row.same {
			t.Errorf("%s: Config is the same: %v, want %v", row.name, same, row.same)
		}
		if d := cmp.Diff(texts(intent.Resolve(nil, next)), texts(second)); d != "" {
			t.Errorf("%s: findings differ from those without a previous Intent:\n%s", row.name, d)
		}
	}
}

// A pool that overlaps others at every turn is told so a bounded number of times, and
// everybody else keeps what is theirs.
func TestOverlapsAreBounded(t *testing.T) {
	s := &intent.Snapshot{Pools: []*v1beta1.IPAddressPool{{ObjectMeta: metav1.ObjectMeta{Name: "z"}}}}
	for i := range 50 {
		s.Pools = append(s.Pools, &v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("a%02d", i)}, Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{fmt.Sprintf("10.0.%d.0/25", i)}}})
	}
	for range 500 {
		s.Pools[0].Spec.Addresses = append(s.Pools[0].Spec.Addresses, "10.0.0.0/16")
	}
	s.Sort()
	in := intent.Resolve(nil, s)
	if n := len(in.Findings); n != 1001 || !strings.HasPrefix(in.Findings[n-1].Message, "overlaps with 48950 more ranges") {
		t.Errorf("%d findings, the last one: %s", n, in.Findings[n-1])
	}
	if len(in.Pools) != 51 || len(in.Pools[0].Ranges) != 1 || len(in.Pools[50].Ranges) != 50 {
		t.Errorf("%d pools, the first with %d ranges, the last with %d", len(in.Pools), len(in.Pools[0].Ranges), len(in.Pools[50].Ranges))
	}
}

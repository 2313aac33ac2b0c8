// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/plan"
)

const (
	ready    = "status: {conditions: [{type: Ready, status: 'True'}]}\n"
	three    = "---\nkind: Node\nmetadata: {name: n1, labels: {at: n1}}\n" + ready + "---\nkind: Node\nmetadata: {name: n2, labels: {at: n2}}\n" + ready + "---\nkind: Node\nmetadata: {name: n3, labels: {at: n3}}\n" + ready
	poolA    = "---\nkind: IPAddressPool\nmetadata: {name: a}\nspec: {addresses: [192.0.2.0/24, 'fd00::/64']}\n"
	tors     = "---\nkind: BGPPeer\nmetadata: {name: tor1}\nspec: {myASN: 64512, peerASN: 64513, peerAddress: 10.0.0.1}\n---\nkind: BGPPeer\nmetadata: {name: tor2}\nspec: {myASN: 64512, peerASN: 64513, peerAddress: 10.0.0.2}\n"
	overBGP  = "---\nkind: BGPAdvertisement\nmetadata: {name: x}\n"
	overL2   = "---\nkind: L2Advertisement\nmetadata: {name: x}\n"
	selector = "spec: {serviceSelectors: [{matchLabels: {app: other}}]}\n"
	onN2     = "spec: {nodeSelectors: [{matchLabels: {at: n2}}]}\n"
	upOnAll  = "tor1 n1 n2 n3, tor2 n1 n2 n3"
	local    = ", externalTrafficPolicy: Local"
)

// linked are the ConfigurationStates of nodes with an interface that has those
// addresses.
func linked(nodes ...string) string {
	var text string
	for _, n := range nodes {
		text += "---\nkind: ConfigurationState\nmetadata: {name: speaker-" + n + "}\nstatus: {links: [{name: eth0, prefixes: ['fe80::1/64']}]}\n"
	}
	return text
}

// webWith is a Service with those addresses and endpoints on those nodes.
func webWith(addresses, more string, nodes ...string) string {
	var ingress, endpoints []string
	for a := range strings.FieldsSeq(addresses) {
		ingress = append(ingress, "{ip: '"+a+"'}")
	}
	for _, n := range nodes {
		endpoints = append(endpoints, "{addresses: [10.244.0.1], nodeName: "+n+"}")
	}
	return "---\nkind: Service\nmetadata: {name: web, labels: {app: web}}\nspec: {type: LoadBalancer, clusterIPs: [10.96.0.1]" + more + "}\nstatus: {loadBalancer: {ingress: [" + strings.Join(ingress, ", ") + "]}}\n" +
		"---\nkind: EndpointSlice\nmetadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}\nendpoints: [" + strings.Join(endpoints, ", ") + "]\n"
}

var web = webWith("192.0.2.7", "", "n1")

// scene is what the controller sees.
type scene struct {
	manifests string
	// sessions says which peers report which nodes' sessions as Established; a
	// node behind a "-" as Down: "tor1 n1 -n2, tor2 n1".
	sessions string
	// layer2 says who announces which addresses of which Service on which
	// interfaces: "n1 web 192.0.2.7 eth0, n2 ...".
	layer2 string
	// foreign is an address that another station has.
	foreign string
}

func (s scene) sources(t *testing.T, in *intent.Intent, all *plan.Announcers) Sources {
	t.Helper()
	snapshot, err := intent.ReadYAML(strings.NewReader(s.manifests), "metallb-system")
	if err != nil {
		t.Fatal(err)
	}
	from := Sources{Intent: intent.Resolve(in, snapshot)}
	from.BGP = plan.ForNodes(all, from.Intent, func(n *intent.Node) plan.NodeFacts { return plan.NodeFacts{Name: n.Name, Forwarding: n.Ready} })
	sessions := map[string][]v1beta1.SessionStatus{}
	for part := range strings.SplitSeq(s.sessions, ", ") {
		words := strings.Fields(part)
		for i := 1; i < len(words); i++ {
			state := v1beta1.SessionEstablished
			node, down := strings.CutPrefix(words[i], "-")
			if down {
				state = v1beta1.SessionDown
			}
			sessions[node] = append(sessions[node], v1beta1.SessionStatus{Peer: words[0], State: state})
		}
	}
	var states []*v1beta1.ConfigurationState
	for node, all := range sessions {
		states = append(states, stateOf(node, all...))
	}
	from.Reports = NewReports(states)
	for part := range strings.SplitSeq(s.layer2, ", ") {
		if words := strings.Fields(part); len(words) > 0 {
			l2 := &v1beta1.ServiceL2Status{Status: v1beta1.ServiceL2StatusStatus{Node: words[0]}}
			l2.Labels = map[string]string{v1beta1.LabelServiceNamespace: "default", v1beta1.LabelServiceName: words[1]}
			for _, w := range words[2:] {
				if _, err := netip.ParseAddr(w); err == nil {
					l2.Status.Addresses = append(l2.Status.Addresses, w)
				} else {
					l2.Status.Interfaces = append(l2.Status.Interfaces, v1beta1.InterfaceInfo{Name: w})
				}
			}
			from.Layer2 = append(from.Layer2, l2)
		}
	}
	slices.SortStableFunc(from.Layer2, func(a, b *v1beta1.ServiceL2Status) int { return serviceOf(a).Compare(serviceOf(b)) })
	if s.foreign != "" {
		from.Conflicts = NewConflicts([]*v1beta1.ConfigurationState{hearing("n1", s.foreign+" 02:00:00:00:00:01 eth0")}, readyNodes("n1"))
	}
	return from
}

// say is what the condition of the Service web comes to say; empty: there is none.
func (s scene) say(t *testing.T) string {
	t.Helper()
	from := s.sources(t, nil, nil)
	for i, a := range NewAnnouncements(nil, from).Each {
		if from.Intent.Services[i].Key.Name == "web" && a != nil {
			return fmt.Sprintf("%s %s %s", a.Status, a.Reason, a.Message)
		}
	}
	return ""
}

var announcedRows = []struct {
	name  string
	scene scene
	want  string
}{
	{"no address", scene{manifests: three + poolA + tors + overBGP + webWith("", "", "n1"), sessions: upOnAll}, ""},
	{"over BGP", scene{manifests: three + poolA + tors + overBGP + web, sessions: upOnAll},
		"True Announced 192.0.2.7 from n1, n2, n3 over bgp (peers tor1, tor2)"},
	{"by nodes with an endpoint", scene{manifests: three + poolA + tors + overBGP + webWith("192.0.2.7", local, "n1", "n3"), sessions: upOnAll},
		"True Announced 192.0.2.7 from n1, n3 over bgp (peers tor1, tor2)"},
	{"by nodes with a session", scene{manifests: three + poolA + tors + overBGP + web, sessions: "tor1 n1 -n2 -n3, tor2 -n1 n2"},
		"True Announced 192.0.2.7 from n1, n2 over bgp (peers tor1, tor2)"},
	{"to some of the peers", scene{manifests: three + poolA + tors + overBGP + "spec: {peers: [tor2]}\n" + web, sessions: upOnAll},
		"True Announced 192.0.2.7 from n1, n2, n3 over bgp (peers tor2)"},
	{"by a node that is not ready", scene{manifests: strings.Replace(three, "'True'", "Unknown", 1) + poolA + tors + overBGP + web, sessions: upOnAll},
		"True Announced 192.0.2.7 from n2, n3 over bgp (peers tor1, tor2)"},
	{"by none that is ready", scene{manifests: strings.ReplaceAll(three, "'True'", "Unknown") + poolA + tors + overBGP + web, sessions: upOnAll},
		"False NodeNotForwarding 192.0.2.7 not announced over bgp: nodes n1, n2, n3 are not ready, or kube-proxy there is not; see the Nodes and kube-proxy there (healthz on port 10256)"},
	{"in layer 2", scene{manifests: three + linked("n1", "n2") + poolA + overL2 + web, layer2: "n1 web 192.0.2.7 eth0 eth1"},
		"True Announced 192.0.2.7 from n1 over layer2 (interfaces eth0, eth1)"},
	{"in layer 2 by MetalLB's speakers", scene{manifests: three + poolA + overL2 + web, layer2: "n1 web"},
		"True Announced 192.0.2.7 from n1 over layer2 (all interfaces)"},
	{"over both", scene{manifests: three + linked("n1") + poolA + tors + overBGP + overL2 + web, sessions: upOnAll, layer2: "n1 web 192.0.2.7 eth0"},
		"True Announced 192.0.2.7 from n1, n2, n3 over bgp (peers tor1, tor2); from n1 over layer2 (interfaces eth0)"},
	{"over one of both", scene{manifests: three + linked("n1") + poolA + tors + overBGP + overL2 + web, sessions: "tor1 -n1 -n2 -n3", layer2: "n1 web 192.0.2.7 eth0"},
		"True PartlyAnnounced 192.0.2.7 from n1 over layer2 (interfaces eth0); not over bgp: no BGP session is Established: tor1 (down on n1, n2, n3), tor2 (unknown on n1, n2, n3); see the BGPPeers"},
	{"over the other one", scene{manifests: three + linked("n1") + poolA + tors + overBGP + overL2 + web, sessions: upOnAll},
		"True PartlyAnnounced 192.0.2.7 from n1, n2, n3 over bgp (peers tor1, tor2); not over layer2: n1 could, and no speaker says that it does; see the speakers' logs"},
	{"two addresses alike", scene{manifests: three + linked("n1") + poolA + overL2 + webWith("192.0.2.7 fd00::7", "", "n1"), layer2: "n1 web 192.0.2.7 fd00::7 eth0"},
		"True Announced 192.0.2.7 and fd00::7 from n1 over layer2 (interfaces eth0)"},
	{"two addresses by two nodes", scene{manifests: three + linked("n1") + poolA + overL2 + webWith("192.0.2.7 fd00::7", "", "n1"), layer2: "n1 web 192.0.2.7 eth0, n2 web fd00::7 eth0"},
		"True Announced 192.0.2.7 from n1 over layer2 (interfaces eth0); fd00::7 from n2 over layer2 (interfaces eth0)"},
	{"one of two families", scene{manifests: three + poolA + tors + overBGP + webWith("192.0.2.7 fd00::7", "", "n1"), sessions: upOnAll},
		"True PartlyAnnounced 192.0.2.7 from n1, n2, n3 over bgp (peers tor1, tor2); fd00::7 not announced over bgp: nodes n1, n2, n3 have no BGP session that carries IPv6: no BGPPeer selects a node, none has the address family, or the advertisements name other peers"},
	{"the object of a dead node", scene{manifests: strings.Replace(three, "'True'", "Unknown", 1) + linked("n1", "n2") + poolA + overL2 + web, layer2: "n1 web 192.0.2.7 eth0"},
		"False NotReported 192.0.2.7 not announced over layer2: n2 could, and no speaker says that it does; see the speakers' logs"},
	{"the object about another address", scene{manifests: three + linked("n1") + poolA + overL2 + web, layer2: "n1 web 192.0.2.8 eth0"},
		"False NotReported 192.0.2.7 not announced over layer2: n1 could, and no speaker says that it does; see the speakers' logs"},

	{"no pool", scene{manifests: three + tors + overBGP + web, sessions: upOnAll},
		"False AddressNotInPool 192.0.2.7 not announced: no IPAddressPool holds 192.0.2.7; see the condition metallb.io/AddressAssigned"},
	{"no advertisement", scene{manifests: three + poolA + tors + web, sessions: upOnAll},
		"False NoAdvertisement 192.0.2.7 not announced: no BGPAdvertisement covers IPAddressPool a; no L2Advertisement covers IPAddressPool a; write an advertisement that does"},
	{"advertisements for other Services", scene{manifests: three + poolA + tors + overBGP + selector + web, sessions: upOnAll},
		"False ServiceNotSelected 192.0.2.7 not announced: the BGPAdvertisements of IPAddressPool a select other Services; correct their serviceSelectors or the Service's labels"},
	{"layer 2 for other Services", scene{manifests: three + poolA + tors + overL2 + selector + web},
		"False ServiceNotSelected 192.0.2.7 not announced: the L2Advertisements of IPAddressPool a select other Services; correct their serviceSelectors or the Service's labels"},
	{"no node selected", scene{manifests: strings.ReplaceAll(three, "at: n2", "at: n9") + poolA + tors + overBGP + onN2 + web, sessions: upOnAll},
		"False NodeNotSelected 192.0.2.7 not announced over bgp: the BGPAdvertisements of IPAddressPool a select no node; correct their nodeSelectors"},
	{"no node selected in layer 2", scene{manifests: strings.ReplaceAll(three, "at: n2", "at: n9") + linked("n1") + poolA + overL2 + onN2 + web},
		"False NodeNotSelected 192.0.2.7 not announced over layer2: the L2Advertisements that cover the Service select no node; correct their nodeSelectors"},
	{"no endpoint", scene{manifests: three + linked("n1") + poolA + tors + overBGP + overL2 + webWith("192.0.2.7", ""), sessions: upOnAll},
		"False NoEndpoint 192.0.2.7 not announced over bgp and layer2: no endpoint can serve; see the Pods that the Service selects"},
	{"no local endpoint where it is announced", scene{manifests: three + poolA + tors + overBGP + onN2 + webWith("192.0.2.7", local, "n1"), sessions: upOnAll},
		"False NoLocalEndpoint 192.0.2.7 not announced over bgp: externalTrafficPolicy is Local, and no endpoint that can serve is on a node that could announce (node n2)"},
	{"a local endpoint where no session is", scene{manifests: three + poolA + strings.ReplaceAll(tors, "peerAddress", "nodeSelectors: [{matchLabels: {at: n3}}], peerAddress") + overBGP + webWith("192.0.2.7", local, "n1"), sessions: upOnAll},
		"False NoSession 192.0.2.7 not announced over bgp: node n1 has no BGP session that carries IPv4: no BGPPeer selects a node, none has the address family, or the advertisements name other peers"},
	{"no BGPPeer", scene{manifests: three + poolA + overBGP + web},
		"False NoSession 192.0.2.7 not announced over bgp: nodes n1, n2, n3 have no BGP session that carries IPv4: no BGPPeer selects a node, none has the address family, or the advertisements name other peers"},
	{"all nodes excluded", scene{manifests: strings.ReplaceAll(three, "{at:", "{node.kubernetes.io/exclude-from-external-load-balancers: '', at:") + poolA + tors + overBGP + web, sessions: upOnAll},
		"False NodeExcluded 192.0.2.7 not announced over bgp: node n1 has the label node.kubernetes.io/exclude-from-external-load-balancers; likewise nodes n2, n3; remove it to announce there"},
	{"no session Established", scene{manifests: three + poolA + tors + overBGP + web, sessions: "tor1 -n1 -n2 -n3, tor2 -n1 -n2"},
		"False NoSessionEstablished 192.0.2.7 not announced over bgp: no BGP session is Established: tor1 (down on n1, n2, n3), tor2 (down on n1, n2, unknown on n3); see the BGPPeers"},
	{"no session reported", scene{manifests: three + poolA + tors + overBGP + web},
		"False NotReported 192.0.2.7 not announced over bgp: no speaker has reported a BGP session: tor1 (unknown on n1, n2, n3), tor2 (unknown on n1, n2, n3); see the speakers' logs"},
	{"no speaker in layer 2", scene{manifests: three + poolA + overL2 + web},
		"False NodeNotAlive 192.0.2.7 not announced over layer2: nodes n1, n2, n3 are not ready, or the speaker there has not reported; see the Pods of DaemonSet speaker there"},
	{"no such interface", scene{manifests: three + linked("n1", "n2") + poolA + overL2 + "spec: {interfaces: [eth7]}\n" + web},
		"False NoMatchingLink 192.0.2.7 not announced over layer2: node n1 has none of the interfaces that the L2Advertisements name (eth7); it has eth0; likewise node n2"},
	{"another station has it", scene{manifests: three + linked("n1") + poolA + overL2 + web, foreign: "192.0.2.7"},
		"False ForeignOwner 192.0.2.7 not announced over layer2: another station has the address; see the condition metallb.io/AddressConflict"},
	{"the owner serves another Service", scene{manifests: three + linked("n1", "n2") + poolA + overL2 + strings.Replace(webWith("192.0.2.7", local, "n1"), "name: web,", "name: web, annotations: {metallb.io/allow-shared-ip: k},", 1), layer2: "n2 api 192.0.2.7 eth0"},
		"False OwnerServesOthers 192.0.2.7 not announced over layer2: node n2 announces it for Service default/api and cannot announce this one; give Services that share an address the same externalTrafficPolicy and L2Advertisements"},
}

func TestAnnounced(t *testing.T) {
	for _, row := range announcedRows {
		if got := row.scene.say(t); got != row.want {
			t.Errorf("%s:\n got %s\nwant %s", row.name, got, row.want)
		}
	}
}

// From one scene to the next it is as if worked out anew, and what says the same is
// the same pointer.
func TestAnnouncementsFollow(t *testing.T) {
	var all *Announcements
	for round := range 2 {
		for i := range announcedRows {
			at := i
			if round == 1 {
				at = len(announcedRows) - 1 - i
			}
			var in *intent.Intent
			var bgp *plan.Announcers
			if all != nil {
				in, bgp = all.from.Intent, all.from.BGP
			}
			for again := range 2 {
				from := announcedRows[at].scene.sources(t, in, bgp)
				next := NewAnnouncements(all, from)
				for j, want := range NewAnnouncements(nil, from).Each {
					if !next.Each[j].Equal(want) {
						t.Errorf("%s after others: %+v, want %+v", announcedRows[at].name, next.Each[j], want)
					}
					if again == 1 && next.Each[j] != all.Each[j] {
						t.Errorf("%s: without a change it is another object", announcedRows[at].name)
					}
				}
				all, in, bgp = next, from.Intent, from.BGP
			}
		}
	}
}

// The condition follows the addresses, and what is not known changes nothing.
func TestAnnouncedCondition(t *testing.T) {
	from := &Announced{Addresses: []netip.Addr{one}, Status: metav1.ConditionTrue, Reason: ReasonAnnounced, Message: "192.0.2.1 from n1"}
	said := holder("p", "192.0.2.1")
	said.Status.Conditions = append(said.Status.Conditions, metav1.Condition{
		Type: v1beta1.ConditionAnnounced, Status: metav1.ConditionTrue, Reason: "Announced", Message: "192.0.2.1 from n1", LastTransitionTime: metav1.NewTime(hourAgo),
	})
	other := *from
	other.Message = "192.0.2.1 from n2"
	moved := *from
	moved.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.9")}
	both := holder("p", "192.0.2.1", "2001:db8::1")
	both.Status.Conditions[0].Message = "192.0.2.1, 2001:db8::1 from pool p"
	both.Status.Conditions = append(both.Status.Conditions, said.Status.Conditions[1])
	for _, tt := range []struct {
		name      string
		svc       *corev1.Service
		announced *Announced
		want      string // empty: no condition
		settled   bool
	}{
		{"nothing known, nothing said", holder("p", "192.0.2.1"), nil, "", true},
		{"nothing known, something said", said, nil, "192.0.2.1 from n1", true},
		{"first", holder("p", "192.0.2.1"), from, "192.0.2.1 from n1", false},
		{"the same", said, from, "192.0.2.1 from n1", true},
		{"another text", said, &other, "192.0.2.1 from n2", false},
		{"an address more", both, from, "192.0.2.1 from n1", true},
		{"of another address", said, &moved, "", false},
		{"of another address, nothing said", holder("p", "192.0.2.1"), &moved, "", true},
	} {
		var out ipam.Outcome
		for _, in := range tt.svc.Status.LoadBalancer.Ingress {
			out.Addresses = append(out.Addresses, netip.MustParseAddr(in.IP))
		}
		out.Pool = "p"
		want := ForService(tt.svc, out, nil, tt.announced, now)
		message := ""
		if want.Announced != nil {
			message = want.Announced.Message
		}
		if got := Settled(tt.svc, &out, nil, tt.announced); message != tt.want || got != tt.settled || want.Same(tt.svc) != tt.settled {
			t.Errorf("%s: %q, settled %t, same %t; want %q, %t", tt.name, message, got, want.Same(tt.svc), tt.want, tt.settled)
		}
		if c := want.Announced; c != nil && tt.svc == said && !c.LastTransitionTime.Time.Equal(hourAgo) {
			t.Errorf("%s: since %v, want still %v", tt.name, c.LastTransitionTime, hourAgo)
		}
	}
	if lost := ForService(said, ipam.Outcome{Reason: ipam.NoPool, Message: "no pool"}, nil, from, now); lost.Announced != nil || lost.Same(said) {
		t.Error("a Service without an address keeps the condition")
	}
	alone := &corev1.Service{}
	alone.Status.Conditions = said.Status.Conditions[1:]
	if Cleared(alone) {
		t.Error("the condition alone is to be cleared too")
	}
	no := *from
	no.Status = metav1.ConditionFalse
	if c := ForService(said, ipam.Outcome{Addresses: from.Addresses, Pool: "p"}, nil, &no, now).Announced; !c.LastTransitionTime.Time.Equal(now.Truncate(time.Second)) {
		t.Errorf("False since %v, want now", c.LastTransitionTime)
	}
}

// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/yaml"

	"metallb.io/metallb-frr/hack/docs/row"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/intent"
)

const ownNamespace = "metallb-system"

// Operations of a request: what the manifest beside it does.
const (
	create = admissionv1.Create
	update = admissionv1.Update
	remove = admissionv1.Delete
)

// same: the product keeps the rule as MetalLB does.
const same = ""

func object(kind, name, spec string) string {
	version := "v1beta1"
	if kind == v1beta1.KindBGPPeer {
		version = "v1beta2"
	}
	return fmt.Sprintf("---\napiVersion: metallb.io/%s\nkind: %s\nmetadata: {name: %s, namespace: %s}\nspec: %s\n", version, kind, name, ownNamespace, spec)
}

func poolOf(name, addresses string) string {
	return object("IPAddressPool", name, "{addresses: ["+addresses+"]}")
}

func peerOf(name, more string) string {
	return object("BGPPeer", name, "{myASN: 64512, peerASN: 65000, "+more+"}")
}

func adOf(name, spec string) string  { return object("BGPAdvertisement", name, spec) }
func l2Of(name, spec string) string  { return object("L2Advertisement", name, spec) }
func bfdOf(name, spec string) string { return object("BFDProfile", name, spec) }
func aliasesOf(name, list string) string {
	return object("Community", name, "{communities: ["+list+"]}")
}

const oneNode = "---\nkind: Node\nmetadata: {name: n1, labels: {rack: a}}\nstatus: {addresses: [{type: InternalIP, address: 10.0.0.9}]}\n"

// with adds to the metadata of manifests.
func with(manifest, more string) string {
	return strings.ReplaceAll(manifest, "metadata: {", "metadata: {"+more+", ")
}

func readWorld(t testing.TB, manifests string) *world {
	t.Helper()
	s, err := intent.ReadYAML(strings.NewReader(manifests), ownNamespace)
	if err != nil {
		t.Fatal(err)
	}
	return judge(nil, s)
}

// request makes what the API server would ask. The object that is changed or removed
// is taken from the world, if it is there.
func request(t testing.TB, w *world, op admissionv1.Operation, manifest string) admission.Request {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(strings.TrimPrefix(manifest, "---\n")))
	if err != nil {
		t.Fatal(err)
	}
	var meta struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &meta); err != nil {
		t.Fatal(err)
	}
	gvk := meta.GroupVersionKind()
	req := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Operation: op, Kind: metav1.GroupVersionKind{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind},
		Namespace: meta.Namespace, Name: meta.Name,
	}}
	if op != remove {
		req.Object = runtime.RawExtension{Raw: raw}
	}
	if op == create {
		return req
	}
	req.OldObject = runtime.RawExtension{Raw: raw}
	if kind, ours := userKinds[meta.Kind]; ours && meta.Namespace == ownNamespace {
		if old := kind.find(w.snapshot, meta.Name); old != nil {
			if p, ok := old.(*v1beta2.BGPPeer); ok {
				full := p.DeepCopy()
				full.Spec.Password = w.snapshot.PeerPasswords[p.Name].Reveal()
				old = full
			}
			if req.OldObject.Raw, err = json.Marshal(old); err != nil {
				t.Fatal(err)
			}
		}
	}
	return req
}

// answerTo is what Handle does, on a world that is given.
func answerTo(w *world, req admission.Request) admission.Response {
	c, answer := readChange(req, ownNamespace)
	if answer != nil {
		return *answer
	}
	return c.review(w)
}

func denial(r admission.Response) string {
	if r.Allowed {
		return ""
	}
	return r.Result.Message
}

// admissionRows are changes and what is said to them: of each rule of MetalLB's
// about admission (section and rule are set) at least one.
var admissionRows = []struct {
	name          string // the situation, where it is no rule of MetalLB's
	rule, differs string
	world         string
	op            admissionv1.Operation
	change        string
	denied, warns string // parts of what is said; empty: nothing is
}{
	// The text of each row goes to deploy/docs/differences.md.
	{"", "An object is not created outside the product's namespace.", same, "", create,
		strings.Replace(poolOf("a", "192.0.2.0/24"), ownNamespace, "default", 1), "IPAddressPool default/a: resource must be created in metallb-system namespace", ""},
	{"", "An object outside the product's namespace can be changed and removed; what is written is looked at.", "It can, and nothing of it is looked at: it has no effect.", "", update,
		strings.Replace(poolOf("a", "nonsense"), ownNamespace, "default", 1), "", ""},
	{"", "An IPAddressPool is compared with the other ones.", same, poolOf("a", "192.0.2.0/24"), create,
		poolOf("b", "198.51.100.0/24, 192.0.2.128-192.0.2.130"), `IPAddressPool b: spec.addresses[1]: "192.0.2.128-192.0.2.130": overlaps with already defined CIDR 192.0.2.0/24 of IPAddressPool a`, ""},
	{"", "An IPAddressPool is not compared with the advertisements that announce it.", "It is, so that an aggregate never becomes larger than the pool.",
		adOf("x", "{aggregationLength: 26}"), create, poolOf("a", "1.1.1.0/28"), `with this change, BGPAdvertisement x: spec.aggregationLength: "26": invalid aggregation length 26: prefix 28 in this pool`, ""},
	{"", "A BGPPeer is compared with the other ones, where they meet on a node.", same, oneNode + peerOf("a", "peerAddress: 10.0.0.1"), create,
		peerOf("b", "peerAddress: 10.0.0.1"), `BGPPeer b: spec.peerAddress: "10.0.0.1": peer 10.0.0.1 already exists, FRR mode doesn't support duplicate BGPPeers selecting the same node`, ""},
	{"", "BGPPeers of a node with different routerIDs are refused.", "They are taken, with a warning: the oldest one's counts.", oneNode + peerOf("a", "peerAddress: 10.0.0.1, routerID: 1.1.1.1"), create,
		peerOf("b", "peerAddress: 10.0.0.2, routerID: 2.2.2.2"), "", `BGPPeer b: spec.routerID: "2.2.2.2": node n1 already has the router ID 1.1.1.1`},
	{"", "BGPPeers of a node and VRF with different myASN are refused.", "They are taken, unless FRR cannot be both towards the router (hack/adr/0009).", oneNode + peerOf("a", "peerAddress: 10.0.0.1"), create,
		object("BGPPeer", "b", "{myASN: 64513, peerASN: 65000, peerAddress: 10.0.0.2}"), "", ""},
	{"", "BGPPeers of a node and VRF of which one's myASN is the AS of the other one's router are refused.", same, oneNode + peerOf("a", "peerAddress: 10.0.0.1"), create,
		object("BGPPeer", "b", "{myASN: 64513, peerASN: 64512, peerAddress: 10.0.0.2}"), `BGPPeer b: spec.myASN: "64513": node n1 runs AS 64512`, ""},
	{"", "A BGPAdvertisement is compared with the pools.", same, poolOf("a", "1.1.1.0/28"), create, adOf("x", "{aggregationLength: 26}"),
		"invalid aggregation length 26: prefix 28 in this pool is more specific than the aggregation length for addresses 1.1.1.0/28", ""},
	{"", "Two BGPAdvertisements that make the same prefixes for the same peers with another localPref are refused.", "They are taken, with a warning: the highest counts, and the order in which one changes both does not matter.",
		oneNode + poolOf("a", "192.0.2.0/24") + object("BGPPeer", "rr", "{myASN: 64512, peerASN: 64512, peerAddress: 10.0.0.1}") + adOf("x", "{localPref: 200}"), create, adOf("z", "{localPref: 100}"), "", "BGPAdvertisement x makes the same prefixes of IPAddressPool a for BGPPeer rr with localPref 200"},
	{"", "Two equal BGPAdvertisements are refused.", "They are taken, with a warning: the second one adds nothing, and harms nothing.", adOf("x", "{}"), create, adOf("z", "{}"), "", "says exactly what BGPAdvertisement x does"},
	{"", "An IPv6 pool that goes to a peer whose BFDProfile has echo mode is refused.", "It is taken, and the peer gets a warning when it is created: between two FRR that works.",
		poolOf("a", "'2001:db8::/64'") + bfdOf("b", "{echoMode: true}") + adOf("x", "{}"), create, peerOf("p", "peerAddress: 'fd00::1', bfdProfile: b"), "", "echoMode"},
	{"", "An L2Advertisement lists a pool once.", same, "", create, l2Of("l", "{ipAddressPools: [a, a]}"), `L2Advertisement l: spec.ipAddressPools[1]: "a": is listed twice`, ""},
	{"", "A Community is compared with the other ones.", same, aliasesOf("c", "{name: a, value: '1:2'}"), create,
		aliasesOf("d", "{name: a, value: '1:3'}"), `Community d: spec.communities[0].name: "a": duplicate definition of community "a": Community c defines it`, ""},
	{"", "A BFDProfile is looked at when it is created, not when it is changed.", "It is looked at whenever it changes.", bfdOf("b", "{}"), update, bfdOf("b", "{detectMultiplier: 1}"), `BFDProfile b: spec.detectMultiplier: "1": write 2 to 255`, ""},
	{"", "A BFDProfile that a BGPPeer names is not removed.", same, bfdOf("b", "{}") + peerOf("p", "peerAddress: 10.0.0.1, bfdProfile: b"), remove, bfdOf("b", "{}"), "failed to delete BFDProfile b, used by BGPPeer p", ""},
	{"", "A BFDProfile that a BGPPeer names keeps the product's namespace from being removed, until the BGPPeer is gone.", "It goes with the namespace.", bfdOf("b", "{}") + peerOf("p", "peerAddress: 10.0.0.1, bfdProfile: b") +
		"---\nkind: Namespace\nmetadata: {name: metallb-system, deletionTimestamp: '2026-01-01T00:00:00Z'}\n", remove, bfdOf("b", "{}"), "", ""},
	{"", "The BFDProfile that a BGPPeer names may come later.", "It may, with a warning.", "", create, peerOf("p", "peerAddress: 10.0.0.1, bfdProfile: later"), "", "peer p referencing non existing bfd profile later"},
	{"", "The Secret that a BGPPeer names may come later.", same, "", create, peerOf("p", "peerAddress: 10.0.0.1, passwordSecret: {name: later}"), "", ""},
	{"", "Community aliases may come later.", "They may, with a warning.", "", create, adOf("x", "{communities: [later]}"), "", "no Community object defines this alias"},
	{"", "Names of pools and peers are not looked at.", "They may come later, with a warning.", "", create, adOf("x", "{ipAddressPools: [later], peers: [later]}"), "", "there is no such BGPPeer"},
	{"", "disableMP has no effect, with a warning; a BGPPeer that is created with it is not looked at any further.", "It is.", oneNode + peerOf("a", "peerAddress: 10.0.0.1"), create,
		peerOf("b", "peerAddress: 10.0.0.1, disableMP: true"), "duplicate BGPPeers", "has no effect; remove it"},
	{"", "A BGPPeer in v1beta1 is looked at as one in v1beta2.", same, oneNode + peerOf("a", "peerAddress: 10.0.0.1"), create,
		strings.Replace(peerOf("b", "peerAddress: 10.0.0.1, nodeSelectors: [{matchExpressions: [{key: rack, operator: In, values: [a]}]}]"), "v1beta2", "v1beta1", 1), "duplicate BGPPeers", ""},
	{"", "An object that is wrong cannot be changed in any way that leaves it wrong.", "What was wrong before does not keep a change out that makes nothing worse, so that nobody has to mend everything at once (hack/adr/0017).",
		poolOf("a", "192.0.2.0/24") + poolOf("b", "192.0.2.0/25, 198.51.100.0/24"), update, poolOf("b", "192.0.2.0/26, 203.0.113.0/24"), "", ""},
	{"", "What only shows when FRR refuses it, such as an IPv6 routerID, is taken.", "It is refused: it would be in force nowhere (hack/adr/0017).", "", create, peerOf("p", "peerAddress: 10.0.0.1, routerID: 'fd00::1'"), `BGPPeer p: spec.routerID: "fd00::1": write it as an IPv4 address`, ""},
	{"", "An IPAddressPool may hold addresses of nodes.", "It may, with a warning.", oneNode, create, poolOf("a", "10.0.0.0/24"), "", "holds 10.0.0.9, the address of Node n1"},

	{name: "address of a word", op: create, change: object("BGPPeer", "p", "{myASN: 1, peerASN: 2, peerAddress: tor1}"), denied: "invalid BGPPeer address"},
	{name: "community out of range", op: create, change: aliasesOf("c", "{name: a, value: '1:65536'}"), denied: "invalid community value: invalid section"},
	{name: "community of four parts", op: create, change: adOf("x", "{communities: ['1:2:3:4']}"), denied: "expected community to be of format large"},
	{name: "aggregation with serviceSelectors", op: create, change: adOf("x", "{aggregationLength: 24, serviceSelectors: [{}]}"), denied: "serviceSelectors and aggregationLength are mutually exclusive"},
	{name: "a pool that overlaps itself", op: create, change: poolOf("a", "192.0.2.0/24, 192.0.2.7/32"), denied: "overlaps with already defined CIDR 192.0.2.0/24 of this pool"},
	{name: "an older pool grows over a younger one", world: poolOf("a", "192.0.2.0/25") + poolOf("b", "192.0.2.128/25"), op: update, change: poolOf("a", "192.0.2.0/24"),
		denied: `with this change, IPAddressPool b: spec.addresses[0]: "192.0.2.128/25": overlaps with already defined CIDR 192.0.2.0/24 of IPAddressPool a`},
	{name: "an overlap that grows", world: poolOf("a", "192.0.2.0/24") + poolOf("b", "192.0.2.0/26"), op: update, change: poolOf("b", "192.0.2.0/25"), denied: "overlaps with already defined CIDR"},
	{name: "an overlap of the same addresses with one more pool", world: poolOf("a", "192.0.2.0/24") + poolOf("b", "192.0.2.0/25") + poolOf("c", "198.51.100.0/24"), op: update, change: poolOf("b", "192.0.2.0/25, 198.51.100.0/25"),
		denied: "with this change, IPAddressPool c: spec.addresses[0]"},
	{name: "a new pool is younger than all, whatever its name", world: poolOf("b", "192.0.2.0/24"), op: create, change: poolOf("a", "192.0.2.0/25"), denied: "IPAddressPool a: spec.addresses[0]"},
	{name: "wrong becomes wrong in another way", world: object("BGPPeer", "p", "{myASN: 1, peerASN: 2, peerAddress: tor1}"), op: update, change: object("BGPPeer", "p", "{myASN: 1, peerASN: 2, peerAddress: tor2}"), denied: `"tor2": invalid BGPPeer address`},
	{name: "wrong stays wrong, and another field changes", world: object("BGPPeer", "p", "{myASN: 1, peerASN: 2, peerAddress: tor1}"), op: update, change: object("BGPPeer", "p", "{myASN: 1, peerASN: 3, peerAddress: tor1}")},
	{name: "one of two wrong entries goes, and the other moves", world: poolOf("a", "x, 'y', 192.0.2.0/24"), op: update, change: poolOf("a", "'y', 192.0.2.0/24")},
	{name: "one of two wrong entries goes, and the other changes", world: poolOf("a", "x, 'y', 192.0.2.0/24"), op: update, change: poolOf("a", "z, 192.0.2.0/24")},
	{name: "metadata of an invalid object", world: poolOf("a", "x"), op: update, change: with(poolOf("a", "x"), "annotations: {a: b}")},
	{name: "labels that bring a pool into an aggregate", world: poolOf("a", "1.1.1.0/28") + adOf("x", "{aggregationLength: 26, ipAddressPoolSelectors: [{matchLabels: {a: b}}]}"), op: update,
		change: with(poolOf("a", "1.1.1.0/28"), "labels: {a: b}"), denied: "BGPAdvertisement x: spec.aggregationLength"},
	{name: "an object that is being removed", world: poolOf("a", "192.0.2.0/24"), op: update, change: with(poolOf("a", "x"), "deletionTimestamp: '2026-01-01T00:00:00Z'")},
	{name: "a removal", world: poolOf("a", "192.0.2.0/24"), op: remove, change: poolOf("a", "192.0.2.0/24")},
	{name: "a profile that nobody uses is removed", world: bfdOf("b", "{}") + peerOf("p", "peerAddress: 10.0.0.1"), op: remove, change: bfdOf("b", "{}")},
	{name: "a profile whose peer is being removed", world: bfdOf("b", "{}") + with(peerOf("p", "peerAddress: 10.0.0.1, bfdProfile: b"), "deletionTimestamp: '2026-01-01T00:00:00Z'"), op: remove, change: bfdOf("b", "{}")},
	{name: "a profile that only the last accepted spec of a peer names", world: bfdOf("b", "{}") + peerOf("p", "peerAddress: x") +
		"status: {lastAccepted: {generation: 1, spec: {myASN: 1, peerASN: 2, peerAddress: 10.0.0.1, bfdProfile: b}}}\n", op: remove, change: bfdOf("b", "{}"), denied: "used by BGPPeer p"},
	{name: "a profile is removed for the second time", world: with(bfdOf("b", "{}"), "deletionTimestamp: '2026-01-01T00:00:00Z'") + peerOf("p", "peerAddress: 10.0.0.1, bfdProfile: b"), op: remove, change: bfdOf("b", "{}")},
	{name: "a stray profile of a used one's name", world: bfdOf("b", "{}") + peerOf("p", "peerAddress: 10.0.0.1, bfdProfile: b"), op: remove, change: strings.Replace(bfdOf("b", "{}"), ownNamespace, "default", 1)},
	{name: "the profile comes for two peers that contradict each other already", world: oneNode + peerOf("a", "peerAddress: 10.0.0.1, bfdProfile: b") + peerOf("c", "peerAddress: 10.0.0.1, bfdProfile: b"), op: create, change: bfdOf("b", "{}")},
	{name: "such a peer comes before its profile", world: oneNode + peerOf("a", "peerAddress: 10.0.0.1, bfdProfile: b"), op: create, change: peerOf("c", "peerAddress: 10.0.0.1, bfdProfile: b, passwordSecret: {name: s}"), denied: "duplicate BGPPeers", warns: "bfd profile b"},
	{name: "a profile that is wrong is mended, and its peers contradict each other", world: oneNode + bfdOf("b", "{detectMultiplier: 1}") + peerOf("a", "peerAddress: 10.0.0.1, bfdProfile: b") + peerOf("c", "peerAddress: 10.0.0.1, bfdProfile: b"), op: update, change: bfdOf("b", "{}")},
	{name: "a change under a number that the object had before", world: with(poolOf("a", "192.0.2.0/24"), "generation: 3, uid: u"), op: update, change: with(poolOf("a", "x"), "generation: 3, uid: u"), denied: "is not a CIDR"},
	{name: "a secret in place of the password", world: peerOf("p", "peerAddress: 10.0.0.1, password: a"), op: update, change: peerOf("p", "peerAddress: 10.0.0.1, passwordSecret: {name: s}")},
	{name: "a status that comes with a new object", op: create, change: poolOf("a", "x") + "status: {lastAccepted: {generation: 1, spec: {addresses: [192.0.2.0/24]}}}\n", denied: "is not a CIDR"},
	{name: "a field of another type", op: create, change: object("IPAddressPool", "a", "{addresses: all}"), denied: "IPAddressPool a: cannot be read as IPAddressPool metallb.io/v1beta1: json: cannot unmarshal string into Go struct field"},
	{name: "a warning that was there before", world: oneNode + poolOf("a", "10.0.0.0/24"), op: update, change: object("IPAddressPool", "a", "{addresses: [10.0.0.0/24], autoAssign: false}")},
	{name: "peers on nodes that do not meet", world: oneNode + peerOf("a", "peerAddress: 10.0.0.1"), op: create, change: peerOf("b", "peerAddress: 10.0.0.1, nodeSelectors: [{matchLabels: {rack: b}}]")},
	{name: "another group's kind of that name", op: create, change: strings.Replace(poolOf("a", "x"), "metallb.io/", "example.org/", 1)},
	{name: "a kind that no user writes", op: create, change: object("ServiceL2Status", "a", "{}")},
}

func TestAdmission(t *testing.T) {
	var rules []row.Rule
	for _, r := range admissionRows {
		name := r.name + r.rule
		w := readWorld(t, r.world)
		response := answerTo(w, request(t, w, r.op, r.change))
		said, warned := denial(response), strings.Join(response.Warnings, "\n")
		if r.denied == "" != (said == "") || !strings.Contains(said, r.denied) {
			t.Errorf("%s: denied with %q, want %q", name, said, r.denied)
		}
		if r.warns == "" != (warned == "") || !strings.Contains(warned, r.warns) {
			t.Errorf("%s: warns %q, want %q", name, warned, r.warns)
		}
		if r.rule == "" {
			continue
		}
		rule := row.Rule{Section: "Admission", Rule: r.rule, Differs: r.differs}
		if said != "" {
			rule.Findings = append(rule.Findings, "Denied: "+said)
		}
		for _, text := range response.Warnings {
			rule.Findings = append(rule.Findings, "Warning: "+text)
		}
		rules = append(rules, rule)
	}
	row.Keep(t, row.AdmissionFile, rules)
}

// A request that is not about an object itself, or that nothing is compared for,
// is answered without the cluster.
func TestAdmissionOfStatus(t *testing.T) {
	w := readWorld(t, poolOf("a", "192.0.2.0/24"))
	req := request(t, w, update, poolOf("a", "x"))
	req.SubResource = "status"
	if r := answerTo(w, req); !r.Allowed || len(r.Warnings) > 0 {
		t.Errorf("a status: %+v", r)
	}
}

// An object without a name yet is named by its beginning.
func TestAdmissionOfGeneratedName(t *testing.T) {
	w := readWorld(t, poolOf("web-", "192.0.2.0/24"))
	req := request(t, w, create, strings.Replace(poolOf("web-", "192.0.2.0/25"), "name: web-", "generateName: web-", 1))
	if text := denial(answerTo(w, req)); !strings.HasPrefix(text, "IPAddressPool web-*: spec.addresses[0]") {
		t.Errorf("denied with %q", text)
	}
}

// Many things that are wrong make no endless answer.
func TestAdmissionSaysTen(t *testing.T) {
	w := readWorld(t, "")
	r := answerTo(w, request(t, w, create, poolOf("a", "a, b, c, d, e, f, g, h, i, j, k, l")))
	lines := strings.Split(denial(r), "\n")
	if len(lines) != 11 || lines[10] != "and 2 more" {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}

// No answer tells a password.
func TestAdmissionKeepsPasswords(t *testing.T) {
	const secret = "hunter2"
	w := readWorld(t, oneNode+peerOf("a", "peerAddress: 10.0.0.1, password: '"+secret+"'"))
	for _, change := range []struct {
		op       admissionv1.Operation
		manifest string
	}{
		{create, peerOf("b", "peerAddress: x, passwordSecret: {name: s}, password: '"+secret+"'")},
		{create, peerOf("b", "peerAddress: 10.0.0.1, holdTime: 5, password: '"+secret+"'")},
		{create, peerOf("b", "peerAddress: 10.0.0.1, password: {a: '"+secret+"'}")},
		{update, peerOf("a", "peerAddress: y, password: '"+secret+"'")},
		{update, peerOf("a", "peerAddress: 10.0.0.1, passwordSecret: {name: s}, password: '"+secret+" too'")},
	} {
		r := answerTo(w, request(t, w, change.op, change.manifest))
		if text := fmt.Sprintf("%+v", r); r.Allowed || strings.Contains(text, "hunter2") {
			t.Errorf("%s: %s", change.manifest, text)
		}
	}
	if w.snapshot.PeerPasswords["a"].Reveal() != secret || w.snapshot.Peers[0].Spec.Password != "" {
		t.Error("reviewing has changed what the Snapshot shares")
	}
}

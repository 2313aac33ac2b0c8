// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/e2e/apiserver"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
)

// admissionOn starts an Admission that goes by an API server, or by the lack of one.
func admissionOn(t *testing.T, cfg *rest.Config) *Admission {
	t.Helper()
	c, err := cluster.New(cfg, cluster.Options{Namespace: ownNamespace, FieldOwner: "metallb-controller", ConfigOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	a := NewAdmission(c)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return a
}

// Without an API server nothing can be compared: what needs that passes, with a
// warning, and the rest is answered.
func TestAdmissionWithoutCluster(t *testing.T) {
	t.Parallel()
	a := admissionOn(t, &rest.Config{Host: "127.0.0.1:1"})
	w := readWorld(t, "")
	r := a.Handle(t.Context(), request(t, w, create, poolOf("a", "x")))
	if !r.Allowed || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "IPAddressPool a: not validated: list ") {
		t.Errorf("a pool: %+v", r)
	}
	if r := a.Handle(t.Context(), request(t, w, create, strings.Replace(poolOf("a", "x"), ownNamespace, "default", 1))); r.Allowed {
		t.Errorf("a stray: %+v", r)
	}
	if r := a.Handle(t.Context(), request(t, w, create, object("IPAddressPool", "a", "{addresses: 5}"))); r.Allowed {
		t.Errorf("an unreadable one: %+v", r)
	}
}

// A request whose answer takes too long passes, and does not keep others waiting
// for more than it may.
func TestAdmissionInTime(t *testing.T) {
	t.Parallel()
	a := admissionOn(t, &rest.Config{Host: "127.0.0.1:1"})
	<-a.known // somebody judges, and does not end
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	w := readWorld(t, "")
	if r := a.Handle(ctx, request(t, w, create, poolOf("a", "x"))); !r.Allowed || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "not validated: ") {
		t.Errorf("%+v", r)
	}
}

// What goes wrong inside lets the change pass.
func TestAdmissionNeverPanics(t *testing.T) {
	a := NewAdmission(nil)
	r := a.answer(t.Context(), &change{ref: intent.Ref{Kind: "IPAddressPool", Name: "a"}})
	if !r.Allowed || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "not validated: internal error") {
		t.Errorf("%+v", r)
	}
}

// onCluster starts an Admission on a real API server that has an object of each kind
// that is compared, and returns a client of that too.
func onCluster(t *testing.T) (*Admission, client.Client) {
	t.Helper()
	t.Parallel()
	cfg := apiserver.Shared(t)
	c, err := client.New(cfg, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	objects := []client.Object{&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}}
	for _, manifest := range []string{
		poolOf("a", "192.0.2.0/24"), peerOf("p", "peerAddress: 10.0.0.1, bfdProfile: b, password: hunter2"), bfdOf("b", "{}"),
		aliasesOf("c", "{name: x, value: '1:2'}"), adOf("x", "{aggregationLength: 24}"), l2Of("l", "{}"),
	} {
		o, err := userKinds[kindIn(manifest)].read(jsonOf(t, manifest))
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
	for _, o := range objects {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	a := admissionOn(t, cfg)
	limit, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := a.cluster.WaitSynced(limit); err != nil {
		t.Fatal(err)
	}
	return a, c
}

// On a real API server: all kinds that are compared are watched, and nothing else is.
func TestAdmissionOnCluster(t *testing.T) {
	a, _ := onCluster(t)
	s := a.cluster.Read()
	if len(s.Nodes) != 1 || len(s.Namespaces) == 0 || s.Services != nil || s.Secrets != nil || s.States != nil {
		t.Errorf("the Snapshot has %d nodes, %d namespaces, %d Services, %d Secrets, %d states", len(s.Nodes), len(s.Namespaces), len(s.Services), len(s.Secrets), len(s.States))
	}
	w := judge(nil, s)
	for _, r := range []struct{ change, denied string }{
		{poolOf("b", "192.0.2.0/23"), "overlaps with already defined CIDR 192.0.2.0/24 of IPAddressPool a"},
		{poolOf("b", "1.1.1.0/28"), "invalid aggregation length 24"},
		{peerOf("q", "peerAddress: 10.0.0.1"), "duplicate BGPPeers"},
		{aliasesOf("d", "{name: x, value: '1:3'}"), "duplicate definition of community"},
		{poolOf("b", "198.51.100.0/24"), ""},
	} {
		if got := a.Handle(t.Context(), request(t, w, create, r.change)); r.denied == "" != got.Allowed || !strings.Contains(denial(got), r.denied) {
			t.Errorf("%s: %+v, want %q", r.change, got, r.denied)
		}
	}
	if r := a.Handle(t.Context(), request(t, w, remove, bfdOf("b", "{}"))); r.Allowed {
		t.Errorf("a profile in use is removed: %+v", r)
	}
}

// A denial does not rest on what is gone already. What the watch shows is held back
// here: the world stays as it was.
func TestDenialOfWhatIsGone(t *testing.T) {
	a, c := onCluster(t)
	w := judge(nil, a.cluster.Read())
	over := request(t, w, create, poolOf("b", "192.0.2.0/23"))
	if r := a.Handle(t.Context(), over); r.Allowed {
		t.Fatalf("an overlap is allowed: %+v", r)
	}
	known := <-a.known
	if err := c.Delete(t.Context(), &v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Namespace: ownNamespace, Name: "a"}}); err != nil {
		t.Fatal(err)
	}
	latest, err := a.cluster.ReadThrough(t.Context())
	if err != nil || len(latest.Pools) != 0 || len(latest.Peers) != 1 || latest.Peers[0].Spec.Password != "" || latest.PeerPasswords["p"].IsZero() {
		t.Fatalf("latest: %+v, %v", latest, err)
	}
	stale, _ := readChange(over, ownNamespace)
	if r := stale.review(known); r.Allowed {
		t.Fatal("the test does not show what it is for")
	}
	a.known <- known
	if r := a.confirmed(t.Context(), stale, known); !r.Allowed {
		t.Errorf("denied because of a pool that is gone: %+v", r)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if r := a.Handle(t.Context(), request(t, w, create, poolOf("b", "192.0.2.0/23"))); !r.Allowed {
				t.Errorf("many at a time: %+v", r)
			}
		})
	}
	all.Wait()
}

func jsonOf(t *testing.T, manifest string) []byte {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(strings.TrimPrefix(manifest, "---\n")))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// kindIn returns the kind that a manifest is of.
func kindIn(manifest string) string {
	_, rest, _ := strings.Cut(manifest, "kind: ")
	kind, _, _ := strings.Cut(rest, "\n")
	return kind
}

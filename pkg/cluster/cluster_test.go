// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/e2e/apiserver"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/status"
)

const (
	testNamespace = "metallb-system"
	testLimit     = 30 * time.Second
)

// testCluster is a started Cluster with a client of the same API server.
type testCluster struct {
	t *testing.T
	*Cluster
	api client.Client
}

func startCluster(t *testing.T, cfg *rest.Config, o Options) *testCluster {
	t.Helper()
	o.Namespace, o.FieldOwner = testNamespace, "metallb-test"
	c, err := New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(cfg, client.Options{Scheme: Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Start: %v", err)
			}
		case <-time.After(testLimit):
			t.Error("Start does not return when its context ends")
		}
	})
	synced, stop := context.WithTimeout(t.Context(), testLimit)
	defer stop()
	if err := c.WaitSynced(synced); err != nil {
		t.Fatal(err)
	}
	return &testCluster{t, c, api}
}

func (c *testCluster) create(o client.Object) {
	c.t.Helper()
	if err := c.api.Create(c.t.Context(), o); err != nil {
		c.t.Fatal(err)
	}
}

// await reads Snapshots, one per change, until ok.
func (c *testCluster) await(what string, ok func(*intent.Snapshot) bool) *intent.Snapshot {
	c.t.Helper()
	limit := time.After(testLimit)
	for {
		s := c.Read()
		if ok(s) {
			return s
		}
		select {
		case <-c.Changed():
		case <-c.StatesChanged():
		case <-c.ServicesChanged():
		case <-limit:
			c.t.Fatalf("no Snapshot with %s within %v", what, testLimit)
		}
	}
}

func find(s *intent.Snapshot, name string) *corev1.Service {
	for _, svc := range s.Services {
		if svc.Name == name {
			return svc
		}
	}
	return nil
}

func TestSnapshotFollowsTheCluster(t *testing.T) {
	cfg := apiserver.Start(t)
	apiserver.InstallCRDs(t, cfg)
	c := startCluster(t, cfg, Options{Endpoints: true})
	c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace}})
	tor := &v1beta2.BGPPeer{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "tor"}}
	tor.Spec = v1beta2.BGPPeerSpec{MyASN: 1, PeerASN: 2, PeerAddress: "192.0.2.1", Password: "first"}
	c.create(tor)
	elsewhere := tor.DeepCopy()
	elsewhere.ObjectMeta = metav1.ObjectMeta{Namespace: "default", Name: "elsewhere"}
	c.create(elsewhere)
	c.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "key"},
		Type:       corev1.SecretTypeBasicAuth, StringData: map[string]string{"username": "u", "password": "second"},
	})
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	c.create(node)
	s := c.await("peer, secret and node", func(s *intent.Snapshot) bool {
		return len(s.Peers) == 1 && len(s.Secrets) == 1 && len(s.Nodes) == 1 && len(s.Namespaces) > 1
	})
	if s.PeerPasswords["tor"].Reveal() != "first" || s.Secrets["key"].Password.Reveal() != "second" {
		t.Error("passwords are not where they belong")
	}
	if text := fmt.Sprintf("%+v %+v", *s.Peers[0], s.Secrets); strings.Contains(text, "first") || strings.Contains(text, "second") {
		t.Error("a Snapshot holds a password in clear")
	}
	if again := c.Read(); again != s {
		t.Error("without a change Read returns another Snapshot")
	}

	// A heartbeat and a condition that do not matter, then a change that does.
	beat := client.RawPatch(types.MergePatchType, []byte(`{"status":{"nodeInfo":{"kernelVersion":"1"}}}`))
	if err := c.api.Status().Patch(t.Context(), node.DeepCopy(), beat); err != nil {
		t.Fatal(err)
	}
	condition := client.RawPatch(types.MergePatchType, []byte(`{"status":{"conditions":[{"type":"X","status":"True","reason":"Y","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`))
	if err := c.api.Status().Patch(t.Context(), tor.DeepCopy(), condition); err != nil {
		t.Fatal(err)
	}
	label := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"rack":"1"}}}`))
	if err := c.api.Patch(t.Context(), node, label); err != nil {
		t.Fatal(err)
	}
	next := c.await("the label", func(s *intent.Snapshot) bool { return s.Nodes[0].Labels["rack"] == "1" })
	if next.Peers[0] != s.Peers[0] || &next.Peers[0] != &s.Peers[0] {
		t.Error("a condition on the peer made a new list of peers")
	}
}

func TestWritesAreRefusedWhenOutdated(t *testing.T) {
	cfg := apiserver.Start(t)
	apiserver.InstallCRDs(t, cfg)
	c := startCluster(t, cfg, Options{StatusWriter: true})
	web := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}}
	web.Spec.Type = corev1.ServiceTypeLoadBalancer
	web.Spec.Ports = []corev1.ServicePort{{Port: 80}}
	c.create(web)
	before := find(c.await("web", func(s *intent.Snapshot) bool { return find(s, "web") != nil }), "web")
	want := func(addr string) status.Service {
		return status.Service{Addresses: []netip.Addr{netip.MustParseAddr(addr)}, Pool: "p"}
	}
	wrote, err := c.WriteServiceStatus(t.Context(), before, want("192.0.2.1"))
	if err != nil || !wrote {
		t.Fatalf("first write: %v, %v", wrote, err)
	}
	// The answer is there without waiting for the watch.
	now := find(c.Read(), "web")
	if len(now.Status.LoadBalancer.Ingress) != 1 || now.Annotations[v1beta1.AnnotationAllocatedFromPool] != "p" {
		t.Fatalf("the next Snapshot has %+v", now)
	}
	if wrote, err := c.WriteServiceStatus(t.Context(), now, want("192.0.2.1")); err != nil || wrote {
		t.Errorf("same again: %v, %v; want nothing written", wrote, err)
	}
	if _, err := c.WriteServiceStatus(t.Context(), before, want("192.0.2.2")); !errors.Is(err, ErrOutdated) {
		t.Errorf("write decided on an old Snapshot: %v, want ErrOutdated", err)
	}
	// An edit that the write has not seen: the patch names the version before.
	edited := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"metallb.io/address-pool":"q"}}}`))
	stale := servicePatch(now, want("192.0.2.3"))
	if err := c.api.Patch(t.Context(), web.DeepCopy(), edited); err != nil {
		t.Fatal(err)
	}
	if err := c.patch(t.Context(), &corev1.Service{}, web, types.StrategicMergePatchType, stale); !errors.Is(err, ErrOutdated) {
		t.Errorf("write on top of an edit not seen: %v, want ErrOutdated", err)
	}
	if err := c.api.Delete(t.Context(), web); err != nil {
		t.Fatal(err)
	}
	c.await("nothing", func(s *intent.Snapshot) bool { return find(s, "web") == nil })
	if _, err := c.WriteServiceStatus(t.Context(), now, want("192.0.2.4")); !errors.Is(err, ErrOutdated) {
		t.Errorf("write on a deleted Service: %v, want ErrOutdated", err)
	}
}

func TestWaitSyncedNamesWhatIsMissing(t *testing.T) {
	cfg := apiserver.Start(t) // without the CRDs
	c, err := New(cfg, Options{Namespace: testNamespace, FieldOwner: "metallb-test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = c.Start(ctx) }()
	defer func() { cancel(); <-ended }()
	limit, stop := context.WithTimeout(t.Context(), 3*time.Second)
	defer stop()
	err = c.WaitSynced(limit)
	if err == nil || !strings.Contains(err.Error(), "BGPPeer") || strings.Contains(err.Error(), "Service,") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("WaitSynced without CRDs: %v", err)
	}
	// They come later, and it needs no restart.
	apiserver.InstallCRDs(t, cfg)
	limit, stop = context.WithTimeout(t.Context(), testLimit)
	defer stop()
	if err := c.WaitSynced(limit); err != nil {
		t.Error(err)
	}
}

func TestConfigurationStateIsMadeAndMended(t *testing.T) {
	cfg := apiserver.Start(t)
	apiserver.InstallCRDs(t, cfg)
	c := startCluster(t, cfg, Options{})
	c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace}})
	want := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{
		Name: "speaker-n1", Labels: map[string]string{v1beta1.LabelNodeName: "n1"},
	}}
	want.Status.Result = v1beta1.ConfigurationValid
	want.Status.Sessions = []v1beta1.SessionStatus{{Peer: "tor", Address: "192.0.2.1", State: v1beta1.SessionEstablished}}
	if wrote, err := c.WriteConfigurationState(t.Context(), want); err != nil || !wrote {
		t.Fatalf("first write: %v, %v", wrote, err)
	}
	seen := func(*intent.Snapshot) bool { return c.SameState(want) }
	c.await("the state", seen)
	if wrote, err := c.WriteConfigurationState(t.Context(), want); err != nil || wrote {
		t.Errorf("same again: %v, %v; want nothing written", wrote, err)
	}
	want.Status.Sessions[0].State, want.Status.Sessions[0].Reason = v1beta1.SessionDown, "Hold Timer Expired"
	if _, err := c.WriteConfigurationState(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	c.await("the new state", seen)
	// A new pod takes the object over from the one before.
	for _, uid := range []types.UID{"u1", "u2"} {
		want.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "speaker-" + string(uid), UID: uid}}
		if _, err := c.WriteConfigurationState(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if owners := c.State(want.Name).OwnerReferences; len(owners) != 1 || owners[0].UID != uid {
			t.Errorf("owners are %v, want %s alone", owners, uid)
		}
	}
	gone := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: want.Name}}
	if err := c.api.Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	// Whether or not the deletion is known already.
	if wrote, err := c.WriteConfigurationState(t.Context(), want); err == nil && !wrote {
		c.await("no state", func(s *intent.Snapshot) bool { return len(s.States) == 0 })
		_, err = c.WriteConfigurationState(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
	} else if err != nil {
		t.Fatal(err)
	}
	c.await("the state again", seen)
}

// Of all ConfigMaps the one with what users add to FRR's configuration counts.
func TestExtrasAreWatched(t *testing.T) {
	cfg := apiserver.Start(t)
	apiserver.InstallCRDs(t, cfg)
	c := startCluster(t, cfg, Options{})
	c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace}})
	extras := func(namespace, name, text string) *corev1.ConfigMap {
		return &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Data:       map[string]string{intent.ExtrasKey: text, "other": "x"},
		}
	}
	c.create(extras(testNamespace, "another", "a"))
	c.create(extras("default", intent.ExtrasName, "b"))
	ours := extras(testNamespace, intent.ExtrasName, "c")
	c.create(ours)
	s := c.await("extras", func(s *intent.Snapshot) bool { return s.Extras != nil })
	if text := s.Extras.Data[intent.ExtrasKey]; text != "c" || s.Extras.UID != ours.UID {
		t.Errorf("extras are %q of %s/%s", text, s.Extras.Namespace, s.Extras.Name)
	}
	ours.Data[intent.ExtrasKey] = "d"
	if err := c.api.Update(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	c.await("the new text", func(s *intent.Snapshot) bool { return s.Extras.Data[intent.ExtrasKey] == "d" })
	if err := c.api.Delete(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	c.await("no extras", func(s *intent.Snapshot) bool { return s.Extras == nil })
}

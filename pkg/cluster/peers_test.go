// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/e2e/apiserver"
)

const peerSelector = "app=metallb,component=speaker"

func podOf(name, component string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: testNamespace, Name: name, Labels: map[string]string{"app": "metallb", "component": component},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}
}

// place gives a Pod its addresses and phase.
func (c *testCluster) place(pod *corev1.Pod, phase corev1.PodPhase, ips ...string) {
	c.t.Helper()
	pod.Status.Phase, pod.Status.PodIP, pod.Status.PodIPs = phase, "", nil
	for i, ip := range ips {
		if i == 0 {
			pod.Status.PodIP = ip
		}
		pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: ip})
	}
	if err := c.api.Status().Update(c.t.Context(), pod); err != nil {
		c.t.Fatal(err)
	}
}

// awaitPeers reads the addresses, once for each signal, until they are these.
func (c *testCluster) awaitPeers(want string) {
	c.t.Helper()
	limit := time.After(testLimit)
	for {
		got := "not listed"
		if addrs := c.PeerAddrs(); addrs != nil {
			got = fmt.Sprint(addrs)
		}
		if got == want {
			return
		}
		select {
		case <-c.PeersChanged():
		case <-limit:
			c.t.Fatalf("the speakers are at %s, want %s", got, want)
		}
	}
}

func TestPeersAreTheSpeakersPods(t *testing.T) {
	cfg := apiserver.Start(t)
	apiserver.InstallCRDs(t, cfg)
	c := startCluster(t, cfg, Options{Peers: peerSelector})
	c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace}})
	select {
	case <-c.PeersChanged(): // that there are none is news
	case <-time.After(testLimit):
		t.Fatal("nobody says that the Pods were listed")
	}
	if addrs := c.PeerAddrs(); addrs == nil || len(addrs) != 0 {
		t.Errorf("without Pods: %#v, want none, and known to be none", addrs)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "default"}}
	if err := client.IgnoreAlreadyExists(c.api.Create(t.Context(), account)); err != nil {
		t.Fatal(err)
	}
	a, b, both := podOf("speaker-a", "speaker"), podOf("speaker-b", "speaker"), podOf("speaker-c", "speaker")
	for _, p := range []*corev1.Pod{a, b, both} {
		c.create(p)
	}
	other := podOf("controller", "controller")
	c.create(other)
	c.place(other, corev1.PodRunning, "192.0.2.99")
	c.place(b, corev1.PodRunning, "192.0.2.10")
	c.place(both, corev1.PodPending, "fd00::3", "192.0.2.3")
	c.awaitPeers("[192.0.2.10 fd00::3]") // a has no address yet
	c.place(a, corev1.PodRunning, "192.0.2.9", "fd00::9")
	c.awaitPeers("[192.0.2.9 192.0.2.10 fd00::3]")
	// A Pod on the host's network has the same address as the one before it.
	successor := podOf("speaker-d", "speaker")
	c.create(successor)
	c.place(successor, corev1.PodRunning, "192.0.2.10")
	c.place(b, corev1.PodFailed, "192.0.2.10")
	c.place(both, corev1.PodSucceeded, "fd00::3", "192.0.2.3")
	c.awaitPeers("[192.0.2.9 192.0.2.10]")
	if err := c.api.Delete(t.Context(), a, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	c.awaitPeers("[192.0.2.10]")
}

func TestPeersAreNotWatchedUnasked(t *testing.T) {
	o := Options{Namespace: testNamespace, FieldOwner: "test"}
	c, err := New(&rest.Config{Host: "192.0.2.1"}, o)
	if err != nil || c.PeerAddrs() != nil || c.PeersChanged() != nil {
		t.Errorf("without a selector: %v, %v, %v", err, c.PeerAddrs(), c.PeersChanged())
	}
	o.Peers = "a==b="
	if _, err := New(&rest.Config{Host: "192.0.2.1"}, o); err == nil || !strings.Contains(err.Error(), `Peers "a==b=" is no label selector`) {
		t.Errorf("a bad selector: %v", err)
	}
	o.Peers = peerSelector
	if c, err = New(&rest.Config{Host: "192.0.2.1"}, o); err != nil || c.PeerAddrs() != nil {
		t.Errorf("before the Pods are listed: %v, %v, want nil", c.PeerAddrs(), err)
	}
}

// TestPodsThatMayNotBeRead keep nobody from the rest, and are logged once.
func TestPodsThatMayNotBeRead(t *testing.T) {
	cfg := apiserver.Start(t)
	apiserver.InstallCRDs(t, cfg)
	k, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, meta := t.Context(), metav1.ObjectMeta{Name: "all-but-pods"}
	if _, err := k.CoreV1().ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	read := []string{"get", "list", "watch"}
	role := &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets", "configmaps", "nodes", "namespaces", "services"}, Verbs: read},
		{APIGroups: []string{"metallb.io"}, Resources: []string{"*"}, Verbs: read},
	}}
	if _, err := k.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "default", Name: meta.Name}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := k.CoreV1().ServiceAccounts("default").CreateToken(ctx, meta.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	poor := rest.AnonymousClientConfig(cfg)
	poor.BearerToken = token.Status.Token
	var mu sync.Mutex
	var said int
	told := make(chan struct{}, 100)
	log := funcr.New(func(_, args string) {
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(args, "speakers' Pods may not be read") && strings.Contains(args, peerSelector) {
			said++
			told <- struct{}{}
		}
	}, funcr.Options{})
	c := startCluster(t, poor, Options{Peers: peerSelector, Log: log}) // synced without Pods
	select {
	case <-told:
	case <-time.After(testLimit):
		t.Fatal("nobody says that the Pods may not be read")
	}
	if c.PeerAddrs() != nil {
		t.Error("the Pods count as listed")
	}
	// With the right it needs no restart; until then it is refused more than once.
	c.pods.tell(errRefused(t, c))
	role.Rules[0].Resources = append(role.Rules[0].Resources, "pods")
	if _, err := k.RbacV1().ClusterRoles().Update(ctx, role, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.awaitPeers("[]")
	mu.Lock()
	defer mu.Unlock()
	if said != 1 {
		t.Errorf("it is said %d times", said)
	}
}

// errRefused returns why the Pods may not be read.
func errRefused(t *testing.T, c *testCluster) error {
	t.Helper()
	err := c.client.List(t.Context(), &corev1.PodList{}, client.InNamespace(testNamespace))
	if err == nil {
		t.Fatal("the Pods may be read")
	}
	return err
}

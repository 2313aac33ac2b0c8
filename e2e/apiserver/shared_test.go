// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// The second of two tests has the server of the first, and finds nothing of it.
func TestSharedServerIsEmpty(t *testing.T) {
	var first *rest.Config
	for _, name := range []string{"first", "second"} {
		t.Run(name, func(t *testing.T) {
			config := Shared(t)
			if first == nil {
				first = config
			} else if config.Host != first.Host {
				t.Errorf("the server is %s, want that of the test before, %s", config.Host, first.Host)
			}
			c, err := client.New(config, client.Options{Scheme: scheme.Scheme})
			if err != nil {
				t.Fatal(err)
			}
			object := metav1.ObjectMeta{Namespace: Namespace, Name: "left"}
			for _, o := range []client.Object{
				&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "left"}},
				&corev1.Service{ObjectMeta: object, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}}},
				&corev1.Secret{ObjectMeta: object},
				&corev1.Event{ObjectMeta: object, InvolvedObject: corev1.ObjectReference{Namespace: Namespace}},
				&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "left"}},
			} {
				if err := c.Create(t.Context(), o); err != nil { // fails where it is there
					t.Error(err)
				}
			}
			own, err := kubernetes.NewForConfigOrDie(config).CoreV1().Services(metav1.NamespaceDefault).Get(t.Context(), "kubernetes", metav1.GetOptions{})
			if err != nil || own.Name == "" {
				t.Errorf("what the API server made for itself is gone: %v", err)
			}
		})
	}
}

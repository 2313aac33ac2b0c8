// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

func TestConfigOnlyIsForReading(t *testing.T) {
	for _, o := range []Options{{StatusWriter: true}, {Endpoints: true}, {Node: "n1"}, {Peers: "a=b"}} {
		o.Namespace, o.FieldOwner, o.ConfigOnly = testNamespace, "test", true
		if _, err := New(&rest.Config{Host: "127.0.0.1:1"}, o); err == nil || !strings.Contains(err.Error(), "ConfigOnly excludes") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// That a Namespace is being removed is known.
func TestNamespaceThatGoes(t *testing.T) {
	there := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: testNamespace}}
	going := there.DeepCopy()
	going.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	if trimNamespace(going).DeletionTimestamp == nil || sameNamespace(trimNamespace(there), trimNamespace(going)) {
		t.Error("it is dropped")
	}
}

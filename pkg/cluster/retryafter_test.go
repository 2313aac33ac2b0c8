// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"metallb.io/metallb-frr/pkg/status"
)

// A write that an API server, or what is in front of it, says that it failed, and says
// when to come back, may have happened. It is not sent again, since the answer to
// that, a conflict, would say that it did not.
func TestAServerErrorIsNotHiddenByAConflict(t *testing.T) {
	var patches atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if patches.Add(1) == 1 { // it is written, and the answer is lost on its way
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusGatewayTimeout)
			return
		}
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Conflict","code":409}`)
	}))
	defer s.Close()
	c, err := New(&rest.Config{Host: s.URL}, Options{Namespace: "n", FieldOwner: "f", StatusWriter: true})
	if err != nil {
		t.Fatal(err)
	}
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "one", UID: "u", ResourceVersion: "7"}}
	c.services.update(func(all *collection[service]) change { return all.put(svc) })
	_, err = c.WriteServiceStatus(t.Context(), svc, status.Service{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
	if n := patches.Load(); n != 1 || errors.Is(err, ErrOutdated) {
		t.Errorf("sent %d times, and the error is %v", n, err)
	}
}

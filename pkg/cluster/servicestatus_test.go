// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
)

// Who has waited for a kind of which there is no object yet hears that it was
// listed; a second list that says the same is no news.
func TestAnEmptyListIsNews(t *testing.T) {
	c, err := New(&rest.Config{Host: "192.0.2.1"}, Options{Namespace: "metallb-system", FieldOwner: "test", Node: "n1", Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	told := func() bool {
		select {
		case <-c.ServiceBGPStatuses().Changed():
			return true
		default:
			return false
		}
	}
	if _, listed := c.ServiceBGPStatuses().All(); listed || told() {
		t.Fatal("the ServiceBGPStatuses are listed before anybody has asked")
	}
	for i, news := range []bool{true, false} {
		if err := c.bgp.objects.Replace(nil, "1"); err != nil {
			t.Fatal(err)
		}
		if _, listed := c.ServiceBGPStatuses().All(); !listed || told() != news {
			t.Errorf("list %d: listed %v, want news %v", i+1, listed, news)
		}
	}
}

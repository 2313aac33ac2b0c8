// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"net/netip"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/status"
)

// The patch has the annotations that differ, null where one is to go, and nothing
// else.
func TestServicePatchOfAnnotations(t *testing.T) {
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, row := range []struct {
		name string
		have map[string]string
		want status.Service
		body string
	}{
		{"nothing", nil, status.Service{}, "null"},
		{"as it is", map[string]string{v1beta1.AnnotationLastIPs: "192.0.2.1,2001:db8::1;192.0.2.1", v1beta1.AnnotationSharedAs: "abc"},
			status.Service{Remember: [][]netip.Addr{{one, two}, {one}}, SharedAs: "abc"}, "null"},
		{"new", map[string]string{"other": "x"}, status.Service{Remember: [][]netip.Addr{{one, two}}, SharedAs: "abc"},
			`{"metallb.io/last-ips":"192.0.2.1,2001:db8::1","metallb.io/shared-as":"abc"}`},
		{"gone", map[string]string{v1beta1.AnnotationLastIPs: "192.0.2.1", v1beta1.AnnotationSharedAs: "", v1beta1.AnnotationAllocatedFromPool: "p"}, status.Service{},
			`{"metallb.io/ip-allocated-from-pool":null,"metallb.io/last-ips":null,"metallb.io/shared-as":null}`},
		{"one changes", map[string]string{v1beta1.AnnotationLastIPs: "192.0.2.1", v1beta1.AnnotationSharedAs: "abc"},
			status.Service{Remember: [][]netip.Addr{{one}}, SharedAs: "abd"}, `{"metallb.io/shared-as":"abd"}`},
	} {
		svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: row.have, ResourceVersion: "7"}}
		var annotations any
		if patch := servicePatch(svc, row.want); patch != nil {
			annotations = patch["metadata"].(map[string]any)["annotations"]
		}
		if got, err := json.Marshal(annotations); err != nil || string(got) != row.body {
			t.Errorf("%s: %s, %v; want %s", row.name, got, err, row.body)
		}
	}
}

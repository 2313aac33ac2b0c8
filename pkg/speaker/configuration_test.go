// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
)

// A speaker's ConfigurationState and its metrics say at all times whether the
// configuration is valid for the node: also after a revert to exactly what was there,
// after the object was deleted, and when what was missing appears.
func TestASpeakersConfigurationStateIsTrueAtAllTimes(t *testing.T) {
	w := newWorld(t)
	own := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "speaker-n1"}}
	is := func(situation string, result v1beta1.ConfigurationResult, part string, not types.UID) {
		t.Helper()
		w.until(fmt.Sprintf("%s: %s with %q", situation, result, part), func() bool {
			stale := 0.0
			if result == v1beta1.ConfigurationInvalid {
				stale = 1
			}
			return w.api.Get(t.Context(), client.ObjectKeyFromObject(own), own) == nil &&
				own.UID != not && own.Status.Result == result && strings.Contains(own.Status.ErrorSummary, part) &&
				own.Labels[v1beta1.LabelComponentType] == v1beta1.ComponentSpeaker && own.Labels[v1beta1.LabelNodeName] == "n1" &&
				w.metric("metallb_k8s_client_config_loaded_bool") == 1 && w.metric("metallb_k8s_client_config_stale_bool") == stale
		})
	}
	edit := func(spec string) {
		t.Helper()
		peer := &v1beta2.BGPPeer{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "tor"}}
		if err := w.api.Patch(t.Context(), peer, client.RawPatch(types.MergePatchType, []byte(`{"spec":`+spec+`}`))); err != nil {
			t.Fatal(err)
		}
	}
	is("at first", v1beta1.ConfigurationValid, "", "")
	edit(`{"peerAddress":"224.0.0.5"}`)
	is("a bad address", v1beta1.ConfigurationInvalid, "configuration error: BGPPeer tor: spec.peerAddress", "")
	before := own.UID
	if err := w.api.Delete(t.Context(), own.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	is("deleted", v1beta1.ConfigurationInvalid, "spec.peerAddress", before)
	edit(`{"peerAddress":"192.0.2.2"}`)
	is("exactly what was there", v1beta1.ConfigurationValid, "", "")
	edit(`{"bfdProfile":"later"}`)
	is("a profile that is not there", v1beta1.ConfigurationInvalid, "configuration error: peer tor referencing non existing bfd profile later", "")
	w.create(&v1beta1.BFDProfile{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "later"}})
	is("the profile appears", v1beta1.ConfigurationValid, "", "")
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/controller"
)

func TestMemberSecretFlags(t *testing.T) {
	for _, row := range []struct {
		name, deployment, args string
		want                   controller.MemberSecret
	}{
		{"", "", "", controller.MemberSecret{}},
		{"s", "d", "", controller.MemberSecret{Name: "s", Deployment: "d"}},
		{"s", "d", "--ml-secret-name=t --deployment=", controller.MemberSecret{Name: "t"}},
		{"", "", "--ml-secret-name=t --deployment=e", controller.MemberSecret{Name: "t", Deployment: "e"}},
	} {
		t.Setenv("METALLB_ML_SECRET_NAME", row.name)
		t.Setenv("METALLB_DEPLOYMENT", row.deployment)
		var f flags
		fs := flag.NewFlagSet("controller", flag.ContinueOnError)
		f.register(fs)
		if err := fs.Parse(strings.Fields(row.args)); err != nil || f.secret != row.want {
			t.Errorf("%+v: %+v, %v", row, f.secret, err)
		}
	}
}

// TestTheSecretIsThereFirst: before there is anything else to do, with two
// replicas once.
func TestTheSecretIsThereFirst(t *testing.T) {
	e := newEnv(t)
	t.Setenv("METALLB_ML_SECRET_NAME", "memberlist")
	first, second := start(t, e.kubeconfig), start(t, e.kubeconfig)
	e.holder("")
	key := client.ObjectKey{Namespace: "metallb-system", Name: "memberlist"}
	said := func() int { return strings.Count(first.out.String()+second.out.String(), "made the Secret") }
	poll(t, "the Secret", func() string { return first.out.String() + second.out.String() }, func() bool {
		return e.Get(t.Context(), key, &corev1.Secret{}) == nil && said() > 0
	})
	if said := said(); said != 1 {
		t.Errorf("it is made %d times:\n%s\nthe second replica:\n%s", said, first.out, second.out)
	}
}

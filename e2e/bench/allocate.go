// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/e2e/apiserver"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

const (
	allocateNamespace = "metallb-system"
	allocatePool      = "10.64.0.0/14"
	// allocateServices are given addresses at once, allocateRounds times unless
	// RUNS says otherwise.
	allocateServices = 2000
	allocateRounds   = 5
	// allocateWriters write at the same time, as many as write addresses in the
	// controller.
	allocateWriters = 8
	// manyServices have addresses when single ones come, one after the other;
	// mostServices when the controller's memory is looked at.
	manyServices, mostServices = 10_000, 16_000
	singles                    = 200
	// allocateLimit is how long one step may take.
	allocateLimit = 5 * time.Minute
)

const (
	bareNote = "bare: the same requests without a controller, that is, for 2,000 Services in the same state the same strategic merge patch of status and annotation, with the same precondition, " +
		"by the same client library on a connection of its own, with as many writers. ratio: of the two times of one round, which follow each other."
	allocateNote = "A real kube-apiserver and etcd, the real controller, and one watch of all Services from outside, all on this machine and nothing else of Kubernetes. Times end when the watch has seen the last."
)

// allocateBench is an API server, and what the figures are.
type allocateBench struct {
	client.WithWatch
	kubeconfig string
	witness    *witness
	values     map[string][]float64
}

// allocate measures how soon Services get their addresses.
func allocate(ctx context.Context) (rows []Row, err error) {
	load := machineLoad()
	err = apiserver.Run(ctx, func(t testing.TB) error {
		config := apiserver.Start(t)
		apiserver.InstallCRDs(t, config)
		b := &allocateBench{kubeconfig: apiserver.Kubeconfig(t, config), values: map[string][]float64{}}
		var err error
		if b.WithWatch, err = newClient(config); err != nil {
			return err
		}
		if err := b.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: allocateNamespace}}); err != nil {
			return err
		}
		outside, err := newClient(config)
		if err != nil {
			return err
		}
		if b.witness, err = watchServices(t.Context(), outside); err != nil {
			return err
		}
		err = b.rounds(t.Context())
		if err == nil {
			err = b.among(t.Context())
		}
		rows = b.rows(load)
		return err
	})
	return rows, err
}

func (b *allocateBench) note(name string, value float64) {
	b.values[name] = append(b.values[name], value)
}

// clocked runs one step and returns how long it took in ms.
func clocked(ctx context.Context, step func(context.Context) error) (float64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, allocateLimit, fmt.Errorf("not in %v", allocateLimit))
	defer cancel()
	began := time.Now()
	err := step(ctx)
	return float64(time.Since(began).Microseconds()) / 1000, err
}

// serviceNames returns n names with that prefix, in order.
func serviceNames(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%05d", prefix, i)
	}
	return names
}

func (b *allocateBench) create(ctx context.Context, names []string) error {
	return side(ctx, allocateWriters, len(names), func(ctx context.Context, i int) error {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: names[i]}}
		s.Spec.Type = corev1.ServiceTypeLoadBalancer
		s.Spec.AllocateLoadBalancerNodePorts = new(bool) // there are fewer node ports than Services
		s.Spec.Ports = []corev1.ServicePort{{Port: 80}}
		s.Spec.Selector = map[string]string{"app": names[i]}
		return b.Create(ctx, s)
	})
}

func (b *allocateBench) remove(ctx context.Context, names []string) error {
	err := side(ctx, allocateWriters, len(names), func(ctx context.Context, i int) error {
		return b.Delete(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: names[i]}})
	})
	if err != nil {
		return err
	}
	return b.witness.all(ctx, names, "gone", gone)
}

func pool() *v1beta1.IPAddressPool {
	return &v1beta1.IPAddressPool{
		ObjectMeta: metav1.ObjectMeta{Namespace: allocateNamespace, Name: "web"},
		Spec:       v1beta1.IPAddressPoolSpec{Addresses: []string{allocatePool}},
	}
}

// rounds compares the controller with the bare loop.
func (b *allocateBench) rounds(ctx context.Context) error {
	for i := range runsOr(allocateRounds) {
		steps := []func(context.Context, string) error{b.controlled, b.bare}
		if i%2 == 1 {
			slices.Reverse(steps)
		}
		for _, step := range steps {
			if err := step(ctx, fmt.Sprintf("r%d", i)); err != nil {
				return fmt.Errorf("round %d: %w", i, err)
			}
		}
		ours, bare := b.values["pending-2000"][i], b.values["pending-2000-bare"][i]
		b.note("pending-2000-ratio", ours/bare)
		arriving, created := b.values["arriving-2000"][i], b.values["arriving-2000-bare"][i]
		b.note("arriving-2000-ratio", arriving/created)
		fmt.Printf("round %d: pending %.0f ms, bare %.0f ms, ratio %.2f, controller's processor time %.0f ms; arriving %.0f ms, bare %.0f ms, ratio %.2f\n",
			i, ours, bare, ours/bare, b.values["pending-2000-cpu"][i], arriving, created, arriving/created)
	}
	return nil
}

// controlled has the controller give addresses to Services that wait for a pool,
// and then to some that come while there is one.
func (b *allocateBench) controlled(ctx context.Context, round string) error {
	p, err := startController(b.kubeconfig)
	if err != nil {
		return err
	}
	waiting, arriving := serviceNames("c-"+round, allocateServices), serviceNames("a-"+round, allocateServices)
	err = func() error {
		if _, err := clocked(ctx, func(ctx context.Context) error {
			if err := b.create(ctx, waiting); err != nil {
				return err
			}
			return b.witness.all(ctx, waiting, "pending", pending)
		}); err != nil {
			return err
		}
		before, err := cpu([]int{p.cmd.Process.Pid})
		if err != nil {
			return err
		}
		took, err := clocked(ctx, func(ctx context.Context) error {
			if err := b.Create(ctx, pool()); err != nil {
				return err
			}
			return b.witness.all(ctx, waiting, "given an address", holding)
		})
		if err != nil {
			return err
		}
		after, err := cpu([]int{p.cmd.Process.Pid})
		if err != nil {
			return err
		}
		b.note("pending-2000", took)
		b.note("pending-2000-cpu", float64((after-before).Microseconds())/1000)
		if _, err := clocked(ctx, func(ctx context.Context) error { return b.remove(ctx, waiting) }); err != nil {
			return err
		}
		took, err = clocked(ctx, func(ctx context.Context) error {
			if err := b.create(ctx, arriving); err != nil {
				return err
			}
			return b.witness.all(ctx, arriving, "given an address", holding)
		})
		if err != nil {
			return err
		}
		b.note("arriving-2000", took)
		_, err = clocked(ctx, func(ctx context.Context) error {
			if err := b.remove(ctx, arriving); err != nil {
				return err
			}
			return b.Delete(ctx, pool())
		})
		return err
	}()
	if stopped := p.stop(); err == nil {
		err = stopped
	}
	return err
}

// bare does without the controller what it does, and the creation of Services
// alone.
func (b *allocateBench) bare(ctx context.Context, round string) error {
	names := serviceNames("b-"+round, allocateServices)
	took, err := clocked(ctx, func(ctx context.Context) error {
		if err := b.create(ctx, names); err != nil {
			return err
		}
		return b.witness.all(ctx, names, "there", func(s *corev1.Service) bool { return s != nil })
	})
	if err != nil {
		return err
	}
	b.note("arriving-2000-bare", took)
	for _, writers := range []int{allocateWriters, 1} {
		name := "pending-2000-bare"
		if writers == 1 {
			name = "pending-2000-bare-1-writer"
		}
		if _, err := clocked(ctx, func(ctx context.Context) error {
			if err := b.patchAll(ctx, allocateWriters, names, pendingPatch); err != nil {
				return err
			}
			return b.witness.all(ctx, names, "pending", func(s *corev1.Service) bool { return pending(s) && !holding(s) })
		}); err != nil {
			return err
		}
		took, err := clocked(ctx, func(ctx context.Context) error {
			if err := b.patchAll(ctx, writers, names, addressPatch); err != nil {
				return err
			}
			return b.witness.all(ctx, names, "given an address", holding)
		})
		if err != nil {
			return err
		}
		b.note(name, took)
	}
	_, err = clocked(ctx, func(ctx context.Context) error { return b.remove(ctx, names) })
	return err
}

// patchAll patches the status of all, each once.
func (b *allocateBench) patchAll(ctx context.Context, writers int, names []string, body func(i int) map[string]any) error {
	return side(ctx, writers, len(names), func(ctx context.Context, i int) error {
		patch := body(i)
		patch["metadata"].(map[string]any)["resourceVersion"] = b.witness.get(names[i]).ResourceVersion
		data, err := json.Marshal(patch)
		if err != nil {
			return err
		}
		answer := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: names[i]}}
		return b.Status().Patch(ctx, answer, client.RawPatch(types.StrategicMergePatchType, data), client.FieldOwner("metallb-controller"))
	})
}

// addressPatch is what the controller writes on a Service for an address.
func addressPatch(i int) map[string]any {
	addr := netip.MustParsePrefix(allocatePool).Addr().As4()
	addr[2], addr[3] = byte(i>>8), byte(i)
	text := netip.AddrFrom4(addr).String()
	return map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{v1beta1.AnnotationAllocatedFromPool: "web"}},
		"status": map[string]any{
			"loadBalancer": map[string]any{"ingress": []any{map[string]any{"ip": text}}},
			"conditions": []any{metav1.Condition{
				Type: v1beta1.ConditionAddressAssigned, Status: metav1.ConditionTrue, LastTransitionTime: metav1.Now(),
				Reason: "Assigned", Message: text + " from pool web",
			}},
		},
	}
}

// pendingPatch is what it writes on one that waits, and on one whose address is
// gone.
func pendingPatch(int) map[string]any {
	return map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{v1beta1.AnnotationAllocatedFromPool: nil}},
		"status": map[string]any{
			"loadBalancer": map[string]any{"ingress": []any{}},
			"conditions": []any{metav1.Condition{
				Type: v1beta1.ConditionAddressAssigned, Status: metav1.ConditionFalse, LastTransitionTime: metav1.Now(),
				Reason: "NoPool", Message: "no available IPs: there is no accepted IPAddressPool; create one",
			}},
		},
	}
}

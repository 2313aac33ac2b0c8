// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/e2e/product"
)

// verdict is what a condition of an object must come to say.
type verdict struct {
	object string // "BGPPeer tor1"
	kind   string // of condition
	status metav1.ConditionStatus
	reason string   // empty: any
	parts  []string // of the message
}

func (v verdict) String() string { return fmt.Sprintf("%s %s=%s", v.object, v.kind, v.status) }

// ok are the verdicts on an object that is in force.
func ok(objects ...string) []verdict {
	var all []verdict
	for _, o := range objects {
		all = append(all, verdict{o, "Accepted", "True", "Accepted", nil}, verdict{o, "Ready", "True", "InForce", nil},
			verdict{o, "ResolvedRefs", "True", "Resolved", nil})
	}
	return all
}

// warned are the verdicts on an object that is in force and probably not as meant.
func warned(object, reason string, parts ...string) []verdict {
	all := ok(object)
	all[1].reason, all[1].parts = reason, append([]string{"in force; warning"}, parts...)
	return all
}

// says waits until the objects' conditions say so, of the present generation.
func (w *world) says(t *testing.T, ctx context.Context, verdicts ...verdict) {
	t.Helper()
	for _, v := range verdicts {
		if err := w.said(ctx, v); err != nil {
			t.Errorf("waiting for %v: %v", v, err)
		}
	}
}

func (w *world) said(ctx context.Context, v verdict) error {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	kind, name, _ := strings.Cut(v.object, " ")
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "metallb.io", Version: "v1beta1", Kind: kind + "List"})
	options := client.ListOptions{Namespace: product.Namespace, FieldSelector: fields.OneTermEqualSelector("metadata.name", name)}
	events, err := w.objects.Watch(ctx, list, &options)
	if err != nil {
		return err
	}
	defer events.Stop()
	last := fmt.Errorf("there is no such object")
	for {
		// A watch without a version begins with what is there.
		select {
		case <-ctx.Done():
			return last
		case e, open := <-events.ResultChan():
			if !open {
				return fmt.Errorf("the watch ended; so far: %w", last)
			}
			o, is := e.Object.(*unstructured.Unstructured)
			if !is {
				return fmt.Errorf("the watch gave %v", e.Object)
			}
			if last = v.check(o); last == nil {
				return nil
			}
		}
	}
}

// check compares the condition that o has.
func (v verdict) check(o *unstructured.Unstructured) error {
	var have struct {
		Metadata metav1.ObjectMeta
		Status   struct{ Conditions []metav1.Condition }
	}
	text, err := o.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(text, &have)
	}
	if err != nil {
		return err
	}
	for _, c := range have.Status.Conditions {
		if c.Type != v.kind {
			continue
		}
		good := c.Status == v.status && (v.reason == "" || c.Reason == v.reason) && c.ObservedGeneration == have.Metadata.Generation
		for _, p := range v.parts {
			good = good && strings.Contains(c.Message, p)
		}
		if good {
			return nil
		}
		return fmt.Errorf("it is %s, %s, of generation %d of %d: %q; want %s, %s with %q",
			c.Status, c.Reason, c.ObservedGeneration, have.Metadata.Generation, c.Message, v.status, v.reason, v.parts)
	}
	return fmt.Errorf("it has no such condition, but %v", have.Status.Conditions)
}

// places waits until a Service says so of where it is announced from.
func (w *world) places(t *testing.T, ctx context.Context, namespace, name string, status metav1.ConditionStatus, reason string, parts ...string) {
	t.Helper()
	w.eventually(t, ctx, fmt.Sprintf("Service %s to be announced: %s, %s with %q", name, status, reason, parts), func() error {
		svc, err := w.k8s.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range svc.Status.Conditions {
			if c.Type == "metallb.io/Announced" && c.Status == status && c.Reason == reason && hasAll(c.Message, parts) {
				return nil
			}
		}
		return fmt.Errorf("there are %v", svc.Status.Conditions)
	})
}

// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// youngest is the age of an object that is being created: no other one is younger.
// (The API server may have set its time already, to the second.)
var youngest = metav1.Time{Time: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

// change is what a request asks for.
type change struct {
	ref  intent.Ref
	kind userKind
	// old is the object before, nil for one that is created; now the object after,
	// nil for one that is deleted.
	old, now client.Object
}

// readChange reads a request. Where nothing has to be compared for the answer, it
// returns that in place of the change.
func readChange(req admission.Request, namespace string) (*change, *admission.Response) {
	allowed := admission.Allowed("")
	kind, ours := userKinds[req.Kind.Kind]
	if !ours || req.Kind.Group != v1beta1.Group || req.SubResource != "" {
		return nil, &allowed
	}
	c := &change{ref: intent.Ref{Kind: req.Kind.Kind, Name: req.Name}, kind: kind}
	switch {
	case req.Namespace == namespace:
	case req.Operation == admissionv1.Create:
		c.ref.Namespace = req.Namespace
		return nil, denied(c.ref, "resource must be created in %s namespace; in others it has no effect", namespace)
	default:
		return nil, &allowed // what has no effect can be changed and removed
	}
	if err := c.read(req); err != nil {
		return nil, denied(c.ref, "cannot be read as %s %s/%s: %v; see the API reference for what each field takes", req.Kind.Kind, req.Kind.Group, req.Kind.Version, err)
	}
	if c.harmless() {
		return nil, &allowed
	}
	return c, nil
}

// read reads the objects of a request. An old one that cannot be read counts as
// not there.
func (c *change) read(req admission.Request) (err error) {
	if req.Operation != admissionv1.Create {
		if c.old, err = c.kind.read(req.OldObject.Raw); err != nil {
			c.old = c.kind.none()
		}
		c.old.SetName(req.Name)
	}
	if req.Operation == admissionv1.Delete {
		return nil
	}
	if c.now, err = c.kind.read(req.Object.Raw); err != nil {
		return err
	}
	if req.Operation == admissionv1.Create {
		if c.ref.Name == "" {
			c.ref.Name = c.now.GetName()
		}
		if c.ref.Name == "" {
			c.ref.Name = c.now.GetGenerateName() + "*" // which no object is called
		}
		c.now.SetCreationTimestamp(youngest)
	}
	c.now.SetName(c.ref.Name)
	c.now.SetGeneration(0) // it is not what the Snapshot has under that number
	return nil
}

// harmless reports whether nothing can become worse by the change: it removes an
// object, touches one that is being removed, or neither its spec nor its labels. A
// BFDProfile can be missed, so removing one is not harmless.
func (c *change) harmless() bool {
	switch {
	case c.now == nil:
		return c.ref.Kind != v1beta1.KindBFDProfile || c.old.GetDeletionTimestamp() != nil
	case c.old == nil:
		return false
	case c.now.GetDeletionTimestamp() != nil:
		return true
	}
	return maps.Equal(c.old.GetLabels(), c.now.GetLabels()) && apiequality.Semantic.DeepEqual(c.kind.spec(c.old), c.kind.spec(c.now))
}

// before returns s as the API server has it: with the old object.
func (c *change) before(s *intent.Snapshot) *intent.Snapshot {
	have := c.kind.find(s, c.ref.Name)
	switch {
	case c.old == nil && have == nil:
		return s
	case c.old != nil && have != nil && have.GetUID() == c.old.GetUID() && have.GetResourceVersion() == c.old.GetResourceVersion() && have.GetResourceVersion() != "":
		return s
	}
	return c.with(s, c.old)
}

// with returns s with o in place of the object that is changed; nil: without it.
func (c *change) with(s *intent.Snapshot, o client.Object) *intent.Snapshot {
	next := *s
	c.kind.put(&next, c.ref.Name, o)
	return &next
}

// decode reads an object as the API server sends it.
func decode(raw []byte, into any) error {
	if len(raw) == 0 {
		return fmt.Errorf("the request holds no object")
	}
	return json.Unmarshal(raw, into)
}

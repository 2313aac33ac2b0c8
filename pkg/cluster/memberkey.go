// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// memberKey is the key in the Secret that the speakers share.
	memberKey = "secretkey"
	// memberKeyBytes is how many random bytes it is made of.
	memberKeyBytes = 16
)

var deploymentKind = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}

// MakeMemberSecret makes the Secret of that name in our namespace, with a random
// key that the speakers share, and reports whether it did: one that exists stays
// as it is, whatever is in it. It goes when the Deployment of that name in our
// namespace does; with an empty one it stays.
//
// The key is the text of MetalLB's, unpadded base64 of 16 bytes, so that speakers
// of both can be members of one cluster.
func (c *Cluster) MakeMemberSecret(ctx context.Context, name, deployment string) (made bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	key := types.NamespacedName{Namespace: c.options.Namespace, Name: name}
	err = c.client.Get(ctx, key, &corev1.Secret{})
	switch {
	case err == nil:
		return false, nil
	case !apierrors.IsNotFound(err):
		return false, fmt.Errorf("read Secret %s: %w", key, err)
	}
	random := make([]byte, memberKeyBytes)
	_, _ = rand.Read(random) // does not fail
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		Data:       map[string][]byte{memberKey: []byte(base64.RawStdEncoding.EncodeToString(random))},
	}
	if deployment != "" {
		owner, err := deploymentOwner(ctx, c.client, key.Namespace, deployment)
		if err != nil {
			return false, fmt.Errorf("make Secret %s: %w", key, err)
		}
		s.OwnerReferences = []metav1.OwnerReference{owner}
	}
	err = c.client.Create(ctx, s, client.FieldOwner(c.options.FieldOwner))
	if apierrors.IsAlreadyExists(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("make Secret %s: %w", key, err)
	}
	return true, nil
}

// deploymentOwner returns a reference to the Deployment of that name.
func deploymentOwner(ctx context.Context, c client.Reader, namespace, name string) (metav1.OwnerReference, error) {
	d := &metav1.PartialObjectMetadata{}
	d.SetGroupVersionKind(deploymentKind)
	if err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, d); err != nil {
		return metav1.OwnerReference{}, fmt.Errorf("read its owner, Deployment %s/%s: %w", namespace, name, err)
	}
	return metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name, UID: d.UID}, nil
}

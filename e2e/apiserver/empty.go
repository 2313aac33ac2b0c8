// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// Namespace is the product's, which an API server that tests share has.
const Namespace = "metallb-system"

// deletions is how many objects are deleted at a time.
const deletions = 8

// ownGroups are those whose objects the API server makes for itself; ownKinds are
// single kinds that it keeps by itself, or that nobody here could remove.
var (
	ownGroups = []string{"apiextensions.k8s.io", "apiregistration.k8s.io", "flowcontrol.apiserver.k8s.io", "scheduling.k8s.io"}
	ownKinds  = []string{"namespaces", "servicecidrs", "ipaddresses"}
)

// kind is one of which there may be objects that a test made.
type kind = schema.GroupVersionResource

// kindsOf returns all kinds that the API server serves but its own.
func kindsOf(config *rest.Config) ([]kind, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	lists, err := client.ServerPreferredResources()
	if err != nil {
		return nil, fmt.Errorf("listing what the API server serves: %w", err)
	}
	var kinds []kind
	for _, l := range lists {
		version, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("reading what the API server serves: %w", err)
		}
		for _, r := range l.APIResources {
			if slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "delete") &&
				!slices.Contains(ownGroups, version.Group) && !slices.Contains(ownKinds, r.Name) {
				kinds = append(kinds, version.WithResource(r.Name))
			}
		}
	}
	return kinds, nil
}

// ownObject reports whether the API server made an object for itself.
func ownObject(o *metav1.PartialObjectMetadata) bool {
	return strings.HasPrefix(o.Namespace, "kube-") ||
		o.Namespace == metav1.NamespaceDefault && o.Name == "kubernetes" ||
		o.Labels["kubernetes.io/bootstrapping"] != ""
}

func makeNamespace(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err == nil {
		_, err = client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace}}, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("making the namespace %s: %w", Namespace, err)
	}
	return nil
}

// empty deletes all objects that tests made, and returns when nobody is shown one
// any more, in whichever way he asks.
func (s *server) empty(ctx context.Context) error {
	config := rest.CopyConfig(s.config)
	config.WarningHandler = rest.NoWarnings{} // of kinds that are deprecated
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	for _, k := range s.kinds {
		left, err := objectsOf(ctx, client, k, "")
		if err != nil {
			return err
		}
		if len(left) == 0 {
			continue
		}
		if err := remove(ctx, client, k, left); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes objects of a kind, and those that come meanwhile, such as events,
// until neither etcd nor the API server's own cache, from which controllers first
// list, has any.
func remove(ctx context.Context, client metadata.Interface, k kind, left []metav1.PartialObjectMetadata) error {
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, readyLimit, true, func(ctx context.Context) (bool, error) {
		g, deleting := errgroup.WithContext(ctx)
		g.SetLimit(deletions)
		for _, o := range left {
			g.Go(func() error {
				err := client.Resource(k).Namespace(o.Namespace).Delete(deleting, o.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
				if apierrors.IsNotFound(err) {
					return nil
				}
				return err
			})
		}
		err := g.Wait()
		if err != nil {
			return false, err
		}
		if left, err = objectsOf(ctx, client, k, ""); err != nil || len(left) > 0 {
			return false, err
		}
		cached, err := objectsOf(ctx, client, k, "0")
		return len(cached) == 0, err
	})
	if err != nil {
		return fmt.Errorf("deleting all %s (%d left): %w", k.GroupResource(), len(left), err)
	}
	return nil
}

// objectsOf lists the objects of a kind that tests made, as they are, or, with
// version 0, as the API server's cache has them.
func objectsOf(ctx context.Context, client metadata.Interface, k kind, version string) ([]metav1.PartialObjectMetadata, error) {
	list, err := client.Resource(k).List(ctx, metav1.ListOptions{ResourceVersion: version})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", k.GroupResource(), err)
	}
	return slices.DeleteFunc(list.Items, func(o metav1.PartialObjectMetadata) bool { return ownObject(&o) }), nil
}

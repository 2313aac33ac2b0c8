// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/yaml"

	"metallb.io/metallb-frr/deploy"
)

var crdResource = schema.GroupVersionResource{
	Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
}

// InstallCRDs creates the product's CustomResourceDefinitions and returns when
// all of them are served.
func InstallCRDs(t testing.TB, config *rest.Config) {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatalf("making a client: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), readyLimit)
	defer cancel()
	files, err := fs.Glob(deploy.CRDs, "crds/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("listing the CustomResourceDefinitions: %d files, %v", len(files), err)
	}
	var names []string
	for _, file := range files {
		crd := readCRD(t, file)
		_, err := client.Resource(crdResource).Create(ctx, crd, metav1.CreateOptions{FieldValidation: "Strict"})
		if err != nil {
			t.Fatalf("creating %s: %v", file, err)
		}
		names = append(names, crd.GetName())
	}
	for _, name := range names {
		if err := established(ctx, client, name); err != nil {
			t.Fatalf("waiting for %s to be served: %v", name, err)
		}
	}
	if err := discovered(ctx, config, names); err != nil {
		t.Fatalf("waiting for discovery to list %v: %v", names, err)
	}
}

// discovered waits until discovery, which kubectl asks, lists the resources; it
// follows a moment after they are established, and cannot be watched.
func discovered(ctx context.Context, config *rest.Config, names []string) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	return wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) {
		_, lists, err := client.ServerGroupsAndResources()
		if err != nil {
			return false, nil //nolint:nilerr // a group may not be complete yet
		}
		listed := map[string]bool{}
		for _, l := range lists {
			group, _, _ := strings.Cut(l.GroupVersion, "/")
			for _, r := range l.APIResources {
				listed[r.Name+"."+group] = true
			}
		}
		return !slices.ContainsFunc(names, func(n string) bool { return !listed[n] }), nil
	})
}

func readCRD(t testing.TB, file string) *unstructured.Unstructured {
	t.Helper()
	data, err := deploy.CRDs.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	crd := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(data, &crd.Object); err != nil {
		t.Fatalf("reading %s: %v", file, err)
	}
	return crd
}

// established waits until the API server says that it serves a
// CustomResourceDefinition.
func established(ctx context.Context, client dynamic.Interface, name string) error {
	byName := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = byName
			return client.Resource(crdResource).List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = byName
			return client.Resource(crdResource).Watch(ctx, options)
		},
	}
	_, err := watchtools.UntilWithSync(ctx, source, &unstructured.Unstructured{}, nil,
		func(event watch.Event) (bool, error) {
			crd, ok := event.Object.(*unstructured.Unstructured)
			return ok && conditionTrue(crd, "Established"), nil
		})
	return err
}

func conditionTrue(object *unstructured.Unstructured, kind string) bool {
	var status struct {
		Status struct {
			Conditions []metav1.Condition `json:"conditions"`
		} `json:"status"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &status); err != nil {
		return false
	}
	return meta.IsStatusConditionTrue(status.Status.Conditions, kind)
}

// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/intent"
)

// ReadThrough is Read with the objects that users write as the API server has them now:
// it asks for all of them, and shows what the watches may not have told yet. What
// Read returns stays as it is. Call it after WaitSynced.
func (c *Cluster) ReadThrough(ctx context.Context) (*intent.Snapshot, error) {
	next := *c.Read()
	for name, k := range c.own {
		if err := k.ask(ctx, &next); err != nil {
			return nil, fmt.Errorf("list %s: %w", name, err)
		}
	}
	return &next, nil
}

// ask lists the kind and puts what there is into s.
func (k *kind[T]) ask(ctx context.Context, s *intent.Snapshot) error {
	list := k.list()
	if err := k.cluster.client.List(ctx, list, client.InNamespace(k.namespace)); err != nil {
		return err
	}
	all := make([]T, 0, meta.LenList(list))
	err := meta.EachListItem(list, func(o runtime.Object) error {
		all = append(all, k.trim(o.(client.Object)))
		return nil
	})
	slices.SortFunc(all, k.objects.compare)
	k.into(s, all)
	return err
}

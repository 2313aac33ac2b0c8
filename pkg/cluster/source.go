// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// source is one watched kind.
type source interface {
	// watch fills the kind's collection until ctx ends.
	watch(ctx context.Context)
	// show puts the kind's objects into s and reports whether they are others
	// than at the last call. Called with the Cluster's lock held.
	show(s *intent.Snapshot) bool
}

// ownKind is a kind that users write.
type ownKind interface {
	find(name string) client.Object
	take(answer client.Object)
	ask(ctx context.Context, s *intent.Snapshot) error
}

// kind watches one kind of objects: a reflector calls it as its store. T is what
// is kept of an object.
type kind[T client.Object] struct {
	cluster   *Cluster
	name      string
	namespace string // empty: all
	object    client.Object
	list      func() client.ObjectList
	trim      func(client.Object) T
	into      func(*intent.Snapshot, []T)
	unwrap    func(T) client.Object // the API object; kinds that users write only

	// Where signal is set, it gets the changes in place of Cluster.Changed.
	signal chan struct{}
	// told: objects.heard gives all signals but the one of the first list.
	told bool
	// only restricts what is watched; nil: nothing does.
	only client.ListOption
	// failed is told why listing or watching failed; may be nil.
	failed func(error)

	objects collection[T] // under the Cluster's lock
	dirty   bool
	listed  bool
}

// The kinds that are referred to by name.
type (
	service = *corev1.Service
	state   = *v1beta1.ConfigurationState
)

// add registers a kind. W is the type that the API server sends.
func add[W, T client.Object](c *Cluster, name string, object W, list func() client.ObjectList, trim func(W) T,
	k kind[T],
) *kind[T] {
	k.cluster, k.name, k.object, k.list = c, name, object, list
	k.trim = func(o client.Object) T { return trim(o.(W)) }
	c.missing[name] = true
	c.kinds = append(c.kinds, &k)
	return &k
}

// addOwn registers a kind that users write, in our namespace.
func addOwn[T client.Object](c *Cluster, name string, object T, list func() client.ObjectList,
	into func(*intent.Snapshot, []T),
) *kind[T] {
	k := add(c, name, object, list, trimOwn[T], kind[T]{
		namespace: c.options.Namespace,
		into:      into,
		unwrap:    func(obj T) client.Object { return obj },
		objects:   collection[T]{compare: byName[T], same: sameOwn[T], writes: c.options.StatusWriter},
	})
	c.own[name] = k
	return k
}

func (c *Cluster) addKinds() {
	c.addUserKinds()
	add(c, "Node", &corev1.Node{}, func() client.ObjectList { return &corev1.NodeList{} }, trimNode, kind[*corev1.Node]{
		into:    func(s *intent.Snapshot, all []*corev1.Node) { s.Nodes = all },
		objects: collection[*corev1.Node]{compare: byName[*corev1.Node], same: sameNode},
	})
	add(c, "Namespace", &corev1.Namespace{}, func() client.ObjectList { return &corev1.NamespaceList{} }, trimNamespace, kind[*corev1.Namespace]{
		into:    func(s *intent.Snapshot, all []*corev1.Namespace) { s.Namespaces = all },
		objects: collection[*corev1.Namespace]{compare: byName[*corev1.Namespace], same: sameNamespace},
	})
	if !c.options.ConfigOnly {
		c.addOthers()
	}
}

func (c *Cluster) addOthers() {
	c.addStates()
	add(c, "Secret", &corev1.Secret{}, func() client.ObjectList { return &corev1.SecretList{} }, trimSecret, kind[secret]{
		namespace: c.options.Namespace,
		into:      showSecrets,
		objects:   collection[secret]{compare: byName[secret], same: sameSecret},
	})
	add(c, "ConfigMap", &corev1.ConfigMap{}, func() client.ObjectList { return &corev1.ConfigMapList{} }, trimExtras, kind[*corev1.ConfigMap]{
		namespace: c.options.Namespace,
		only:      client.MatchingFields{metav1.ObjectNameField: intent.ExtrasName},
		into:      showExtras,
		objects:   collection[*corev1.ConfigMap]{compare: byName[*corev1.ConfigMap], same: sameExtras},
	})
	c.services = add(c, "Service", &corev1.Service{}, func() client.ObjectList { return &corev1.ServiceList{} }, c.trimService, kind[service]{
		into:    func(s *intent.Snapshot, all []service) { s.Services = all },
		objects: collection[service]{compare: byNamespace[service], same: sameService, writes: c.options.StatusWriter},
		signal:  c.news,
	})
	if c.options.Node != "" {
		c.addServiceBGPStatuses()
	}
	if c.options.Node != "" || c.options.StatusWriter {
		c.addServiceL2Statuses()
	}
	if !c.options.Endpoints {
		return
	}
	add(c, "EndpointSlice", &discoveryv1.EndpointSlice{}, func() client.ObjectList { return &discoveryv1.EndpointSliceList{} }, trimSlice, kind[*discoveryv1.EndpointSlice]{
		into:    func(s *intent.Snapshot, all []*discoveryv1.EndpointSlice) { s.EndpointSlices = all },
		objects: collection[*discoveryv1.EndpointSlice]{compare: compareSlices, same: sameSlice},
		signal:  c.endpoints,
	})
}

func (c *Cluster) addUserKinds() {
	addOwn(c, v1beta1.KindIPAddressPool, &v1beta1.IPAddressPool{},
		func() client.ObjectList { return &v1beta1.IPAddressPoolList{} },
		func(s *intent.Snapshot, all []*v1beta1.IPAddressPool) { s.Pools = all })
	addOwn(c, v1beta1.KindBGPAdvertisement, &v1beta1.BGPAdvertisement{},
		func() client.ObjectList { return &v1beta1.BGPAdvertisementList{} },
		func(s *intent.Snapshot, all []*v1beta1.BGPAdvertisement) { s.BGPAds = all })
	addOwn(c, v1beta1.KindL2Advertisement, &v1beta1.L2Advertisement{},
		func() client.ObjectList { return &v1beta1.L2AdvertisementList{} },
		func(s *intent.Snapshot, all []*v1beta1.L2Advertisement) { s.L2Ads = all })
	addOwn(c, v1beta1.KindBFDProfile, &v1beta1.BFDProfile{},
		func() client.ObjectList { return &v1beta1.BFDProfileList{} },
		func(s *intent.Snapshot, all []*v1beta1.BFDProfile) { s.BFDProfiles = all })
	addOwn(c, v1beta1.KindCommunity, &v1beta1.Community{},
		func() client.ObjectList { return &v1beta1.CommunityList{} },
		func(s *intent.Snapshot, all []*v1beta1.Community) { s.Communities = all })
	c.peers = add(c, v1beta1.KindBGPPeer, &v1beta2.BGPPeer{},
		func() client.ObjectList { return &v1beta2.BGPPeerList{} }, trimPeer, kind[peer]{
			namespace: c.options.Namespace,
			into:      showPeers,
			unwrap:    func(p peer) client.Object { return p.BGPPeer },
			objects:   collection[peer]{compare: byName[peer], same: samePeer, writes: c.options.StatusWriter},
		})
	c.own[v1beta1.KindBGPPeer] = c.peers
}

func showPeers(s *intent.Snapshot, all []peer) {
	s.Peers = make([]*v1beta2.BGPPeer, len(all))
	s.PeerPasswords = map[string]bgp.Password{}
	for i, p := range all {
		s.Peers[i] = p.BGPPeer
		if !p.Password.IsZero() {
			s.PeerPasswords[p.Name] = p.Password
		}
	}
}

func showSecrets(s *intent.Snapshot, all []secret) {
	s.Secrets = make(map[string]intent.Secret, len(all))
	for _, x := range all {
		s.Secrets[x.Name] = x.Kept
	}
}

func showExtras(s *intent.Snapshot, all []*corev1.ConfigMap) {
	s.Extras = nil
	if len(all) > 0 {
		s.Extras = all[0]
	}
}

func (k *kind[T]) watch(ctx context.Context) {
	options := func(o metav1.ListOptions) []client.ListOption {
		all := []client.ListOption{client.InNamespace(k.namespace), &client.ListOptions{Raw: &o, Limit: o.Limit, Continue: o.Continue}}
		if k.only != nil {
			all = append(all, k.only)
		}
		return all
	}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			if o.ResourceVersion == "0" && k.cluster.options.StatusWriter {
				// What an API server happens to know may be older than what the leader
				// before wrote. Those since Kubernetes 1.34 are not asked to list at all.
				o.ResourceVersion = ""
			}
			list := k.list()
			err := k.cluster.client.List(ctx, list, options(o)...)
			k.tell(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w, err := k.cluster.client.Watch(ctx, k.list(), options(o)...)
			k.tell(err)
			return w, err
		},
	}
	log := logr.FromContextOrDiscard(ctx)
	cache.NewReflectorWithOptions(lw, k.object, k, cache.ReflectorOptions{
		Name: "metallb", TypeDescription: k.name, Logger: &log,
	}).RunWithContext(ctx)
}

func (k *kind[T]) tell(err error) {
	if err != nil && k.failed != nil {
		k.failed(err)
	}
}

func (k *kind[T]) show(s *intent.Snapshot) bool {
	if !k.dirty || k.into == nil {
		return false
	}
	k.dirty = false
	k.into(s, k.objects.all())
	return true
}

// latest returns the newest version known of the object of that name in the
// kind's one namespace, or the zero T.
func (k *kind[T]) latest(name string) T {
	return k.objects.entries[types.NamespacedName{Namespace: k.namespace, Name: name}].latest
}

// find returns the newest version of the API object, or nil.
func (k *kind[T]) find(name string) client.Object {
	known, ok := k.objects.entries[types.NamespacedName{Namespace: k.namespace, Name: name}]
	if !ok {
		return nil
	}
	return k.unwrap(known.latest)
}

// take puts the API server's answer to a write into the cache, ahead of the
// watch, so that the next Read shows it.
func (k *kind[T]) take(answer client.Object) {
	kept := k.trim(answer)
	k.update(func(c *collection[T]) change { return c.putWritten(kept) })
}

// learn is take without a signal: who wrote knows what is new.
func (k *kind[T]) learn(answer client.Object) {
	kept := k.trim(answer)
	k.cluster.mu.Lock()
	defer k.cluster.mu.Unlock()
	if k.objects.putWritten(kept) == visible {
		k.dirty = true
	}
}

// update runs change on the collection and signals what came of it.
func (k *kind[T]) update(change func(*collection[T]) change) {
	k.cluster.mu.Lock()
	defer k.cluster.mu.Unlock()
	ch := change(&k.objects)
	if ch == visible {
		k.dirty = true
	}
	switch {
	case k.told:
	case k.signal != nil && ch != nothing:
		wake(k.signal)
	case k.signal != nil:
	case ch == internal && k.unwrap != nil: // a status, as often our own
		wake(k.cluster.states.signal)
	default:
		k.cluster.note(ch)
	}
}

// Add, Update, Delete, Replace and Resync are what a reflector calls.

func (k *kind[T]) Add(obj any) error { return k.Update(obj) }

func (k *kind[T]) Update(obj any) error {
	o, ok := obj.(client.Object)
	if !ok {
		return fmt.Errorf("watch %s: got a %T", k.name, obj)
	}
	kept := k.trim(o)
	k.update(func(c *collection[T]) change { return c.put(kept) })
	return nil
}

func (k *kind[T]) Delete(obj any) error {
	o, ok := obj.(client.Object)
	if !ok {
		return fmt.Errorf("watch %s: got a %T", k.name, obj)
	}
	k.update(func(c *collection[T]) change { return c.remove(keyOf(o)) })
	return nil
}

func (k *kind[T]) Replace(objs []any, _ string) error {
	kept := make([]T, 0, len(objs))
	for _, obj := range objs {
		o, ok := obj.(client.Object)
		if !ok {
			return fmt.Errorf("list %s: got a %T", k.name, obj)
		}
		kept = append(kept, k.trim(o))
	}
	k.update(func(c *collection[T]) change {
		first := !k.listed
		k.listed = true
		ch := c.replace(kept)
		if first && k.signal != nil {
			wake(k.signal) // that there are none is news too
		}
		return ch
	})
	k.cluster.markSynced(k.name)
	return nil
}

func (k *kind[T]) Resync() error { return nil }

// Transformer lets the reflector drop managed fields from what it collects
// before it calls Replace, which halves the memory that takes.
func (k *kind[T]) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		if o, ok := obj.(client.Object); ok {
			o.SetManagedFields(nil)
		}
		return obj, nil
	}
}

// markSynced notes that a kind has been listed. The last one makes a change, so
// that a loop that waits for Changed starts on an empty cluster too.
func (c *Cluster) markSynced(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.missing[name] {
		return
	}
	delete(c.missing, name)
	if len(c.missing) == 0 {
		close(c.synced)
		c.note(visible)
	}
}

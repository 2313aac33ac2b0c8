// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/intent"
)

// Options of a Cluster.
type Options struct {
	// Namespace that the product's own objects live in. Required.
	Namespace string
	// LoadBalancerClass, IgnoreExcludeLabel and DrainOn are handed on in
	// Snapshots.
	LoadBalancerClass  string
	IgnoreExcludeLabel bool
	DrainOn            intent.DrainOn
	// Endpoints: EndpointSlices are watched. Without, Snapshots have none.
	Endpoints bool
	// ConfigOnly: of all kinds only those that users write, Nodes and Namespaces
	// are watched; Snapshots have nothing else. Such a Cluster is for Read alone: it
	// excludes StatusWriter, Endpoints, Node and Peers.
	ConfigOnly bool
	// StatusWriter: this process writes the status of Services and of objects
	// that users write, so Changed, or StatesChanged, tells of every change
	// there, to put it back. Without, status changes that do not matter to a
	// Snapshot go unnoticed.
	StatusWriter bool
	// FieldOwner names the writer in managed fields and events:
	// metallb-controller or metallb-speaker. Required.
	FieldOwner string
	// Node is the name of the node whose speaker this process is; empty for
	// none. Of the ConfigurationStates of other nodes, which change all the
	// time, a speaker keeps the links alone.
	Node string
	// Peers is the label selector of the speakers' Pods, as in
	// "app=metallb,component=speaker"; empty: Pods are not watched.
	Peers string
	// Host is the node's name as the source of events; empty for none.
	Host string
	// Lease, of a process that is one of several replicas: nothing is written
	// while it is not held. Nil: it is alone.
	Lease *Lease
	// Log gets what the watches report. The zero Logger drops it.
	Log logr.Logger
}

// Cluster keeps the objects of a cluster that matter to the product. Make one
// with New, then Start it. All methods may be called at the same time.
type Cluster struct {
	options Options
	client  client.WithWatch
	events  *events
	kinds   []source

	peers    *kind[peer]
	services *kind[service]
	states   *kind[state]
	bgp, l2  *ServiceStatuses // nil without Options.Node; l2 is there for a StatusWriter too
	held     held
	pods     *kind[*corev1.Pod] // nil without Options.Peers
	own      map[string]ownKind // those that users write, by kind

	podsRefused sync.Once

	changed chan struct{} // capacity 1
	// endpoints gets changes of EndpointSlices in its place where the process
	// is a StatusWriter: no status depends on them. Capacity 1.
	endpoints chan struct{}
	// news gets changes of Services in its place where the process is a
	// StatusWriter, but for those that it writes itself. Capacity 1.
	news chan struct{}

	mu       sync.Mutex
	snapshot *intent.Snapshot // of the last Read; nil before
	synced   chan struct{}    // closed once all kinds are
	missing  map[string]bool  // kinds that are not synced yet
}

// New returns a Cluster that reads and writes through cfg. It asks nothing of the
// API server yet.
func New(cfg *rest.Config, o Options) (*Cluster, error) {
	if o.Namespace == "" || o.FieldOwner == "" {
		return nil, fmt.Errorf("open cluster: Namespace %q and FieldOwner %q must be set", o.Namespace, o.FieldOwner)
	}
	if o.ConfigOnly && (o.StatusWriter || o.Endpoints || o.Node != "" || o.Peers != "") {
		return nil, errors.New("open cluster: ConfigOnly excludes StatusWriter, Endpoints, Node and Peers")
	}
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1 // the API server's fairness limits requests, not we
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return leaderOnly{o.Lease, next} })
	hc, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("open cluster: %w", err)
	}
	scheme := Scheme()
	var endpoints, news chan struct{}
	if o.StatusWriter {
		endpoints, news = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	c := &Cluster{
		endpoints: endpoints,
		news:      news,
		options:   o,
		changed:   make(chan struct{}, 1),
		synced:    make(chan struct{}),
		missing:   map[string]bool{},
		own:       map[string]ownKind{},
	}
	c.client, err = client.NewWithWatch(cfg, client.Options{HTTPClient: hc, Scheme: scheme, Mapper: restMapper()})
	if err != nil {
		return nil, fmt.Errorf("open cluster: %w", err)
	}
	if err := c.openEvents(cfg, hc, scheme); err != nil {
		return nil, err
	}
	c.addKinds()
	if err := c.addPods(); err != nil {
		return nil, err
	}
	return c, nil
}

// Start watches the cluster until ctx ends, and returns when everything that it
// started has ended. Watches that break are taken up again, so it returns no
// error but what ended it.
func (c *Cluster) Start(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { c.events.run(ctx) })
	for _, k := range c.kinds {
		wg.Go(func() { k.watch(logr.NewContext(ctx, c.options.Log)) })
	}
	wg.Wait()
	return nil
}

// WaitSynced returns once every kind has been listed, so that Read tells the
// whole. The error names the kinds that were not before ctx ended.
func (c *Cluster) WaitSynced(ctx context.Context) error {
	select {
	case <-c.synced:
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for name := range c.missing {
		names = append(names, name)
	}
	sort.Strings(names)
	return fmt.Errorf("list %s: not answered yet (is access granted, are the CRDs installed?): %w",
		strings.Join(names, ", "), context.Cause(ctx))
}

// Namespace returns the one that the product's own objects live in.
func (c *Cluster) Namespace() string { return c.options.Namespace }

// Changed receives a value after something has changed since the last Read that
// can matter. Changes in quick succession are one value. ConfigurationStates have
// a signal of their own, StatesChanged, of which a speaker gets what concerns its
// own object alone; another node's links are told here. EndpointSlices have one
// for a StatusWriter, EndpointsChanged, and Services, ServicesChanged.
func (c *Cluster) Changed() <-chan struct{} { return c.changed }

// EndpointsChanged receives a value after an EndpointSlice has changed since the
// value before. It is nil where Changed tells of them.
func (c *Cluster) EndpointsChanged() <-chan struct{} { return c.endpoints }

// ServicesChanged receives a value after a Service has changed since the value
// before, and not by WriteServiceStatus: who calls that knows. It is nil where
// Changed tells of them.
func (c *Cluster) ServicesChanged() <-chan struct{} { return c.news }

// Read returns what the cluster says now. As long as nothing has changed it is
// the same pointer, and in a new Snapshot the slices and maps of kinds without a
// change are those of the last one. It costs nothing that grows with the number
// of objects, except a copy of the pointers of a kind that changes between two
// calls. Call it after WaitSynced.
func (c *Cluster) Read() *intent.Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	var next intent.Snapshot
	fresh := c.snapshot == nil
	if fresh {
		next = intent.Snapshot{
			Namespace:          c.options.Namespace,
			LoadBalancerClass:  c.options.LoadBalancerClass,
			IgnoreExcludeLabel: c.options.IgnoreExcludeLabel,
			DrainOn:            c.options.DrainOn,
		}
	} else {
		next = *c.snapshot
	}
	for _, k := range c.kinds {
		if k.show(&next) {
			fresh = true
		}
	}
	if fresh {
		c.snapshot = &next
	}
	return c.snapshot
}

// note signals Changed where ch matters.
func (c *Cluster) note(ch change) {
	if ch == visible || ch == internal && c.options.StatusWriter {
		wake(c.changed)
	}
}

// wake puts a value into a channel of capacity 1, unless there is one.
func wake(signal chan struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}

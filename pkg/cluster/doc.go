// SPDX-License-Identifier: Apache-2.0

// Package cluster is the edge to Kubernetes: it keeps what the product needs of
// the cluster's objects, hands it out as Snapshots, and writes status back.
//
// It is the only package that lists Kubernetes objects. It decides nothing: what
// an object means is said by package intent, what is written about it by package
// status. Objects that it hands out are never changed, by it or by others.
//
// What it keeps is trimmed: no managed fields, no last-applied-configuration, no
// password in an object, and of Services, Nodes and EndpointSlices only what
// matters to the product. A change that does not show in what is kept does not
// make a new Snapshot.
package cluster

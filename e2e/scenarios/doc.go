// SPDX-License-Identifier: Apache-2.0

// Package scenarios tests the product on a lab cluster, as its users meet it:
// helm install, manifests through the API server, kubectl; and judges it by what
// the other side sees: Services, the kernels of the routers, answers to a client.
//
// One cluster of three nodes, two routers, a client behind them and two on the
// nodes' own network serves all tests. Each starts with nothing configured and
// leaves nothing behind. After each the routes of both routers are compared with
// what the core makes of the cluster's objects at that moment; literal routes are
// pinned beside that, so that a wrong plan cannot agree with itself.
//
// What may happen here: whatever a user, an engineer or an accident does to a
// cluster. What may not: reaching into the controller or the speaker, taking the
// place of FRR, the kernel or Kubernetes, and judging by how long something
// took, except against the limit after which a wait is given up and against how
// long an address may be without an answer.
package scenarios

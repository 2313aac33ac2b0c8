// SPDX-License-Identifier: Apache-2.0

// Package product puts the load balancer on a lab cluster and looks at what it
// does from where its users are: the Kubernetes API, the routers' kernels, and
// clients behind the routers. The demo, the scenarios and the benches share it.
//
// What may happen here: helm and kubectl against the lab's API server, reading
// the routers' kernels, traffic from the lab's clients. What may not: importing
// the product's own packages (what is seen from outside must not be explained by
// the code under test), changing the lab's network or nodes, and polling where
// there is an event to wait for.
package product

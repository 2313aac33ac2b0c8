// SPDX-License-Identifier: Apache-2.0

// Package product installs the load balancer into a lab and asks it and the
// network around it for what a user or an engineer would look at. The demo, the
// scenarios and the benches share it.
//
// It uses the product as users do, through helm and the API server, and looks
// from the outside: at Services, at the kernels of routers, at answers to
// requests. It does not reach into the controller or the speaker.
package product

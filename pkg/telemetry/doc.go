// SPDX-License-Identifier: Apache-2.0

// Package telemetry is what both programs tell about themselves: the logger,
// the Prometheus collectors, the health and metrics servers with their TLS
// settings, and the build's version.
//
// It decides nothing and reads no Kubernetes objects. Collectors are registered
// on the registry that they are given; nothing is registered by importing the
// package.
package telemetry

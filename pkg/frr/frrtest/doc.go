// SPDX-License-Identifier: Apache-2.0

// Package frrtest starts the real FRR of the speaker's image for tests: each one
// in network, mount and process namespaces of its own, on the unpacked root file
// system out/rootfs/frr, with private empty directories where FRR writes.
//
// It is for tests only and may be imported by nothing else. Nothing that it
// starts outlives the test, also when the test is killed: the namespaces' first
// process ends with its input, and everything in them with it.
//
// Without root or without the root file system a test is skipped; with
// METALLB_NO_SKIP=1 in the environment it fails instead. METALLB_FRR_ROOTFS
// names another root file system.
package frrtest

// SPDX-License-Identifier: Apache-2.0

// Package apiserver gives a test a real Kubernetes API: its own etcd and
// kube-apiserver on loopback, without controllers, scheduler or nodes.
//
//	config := apiserver.Start(t)
//	apiserver.InstallCRDs(t, config)
//
// Starting them takes seconds. Tests that only make objects share two of them by
// turns: [Shared], and [Main] in TestMain.
//
// It needs the programs etcd and kube-apiserver in out/kube. Where they are
// missing the test is skipped, or fails if METALLB_NO_SKIP is set.
//
// The processes end with the test, and with the test's process however that
// ends. What a killed test leaves on disk is removed by the next Start.
//
// It is for tests only: nothing else imports it.
package apiserver

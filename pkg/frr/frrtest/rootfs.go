// SPDX-License-Identifier: Apache-2.0

package frrtest

import (
	"os"
	"path/filepath"
	"testing"

	"metallb.io/metallb-frr/e2e/need"
)

// rootFileSystem finds the image's unpacked root file system, or ends the test.
func rootFileSystem(t testing.TB) string {
	t.Helper()
	root := os.Getenv("METALLB_FRR_ROOTFS")
	if root == "" {
		root = filepath.Join(moduleRoot(t), "out", "rootfs", "frr")
	}
	switch _, err := os.Stat(filepath.Join(root, "usr/lib/frr/bgpd")); {
	case os.Geteuid() != 0:
		need.Skip(t, "FRR's namespaces take root")
	case err != nil:
		need.Skip(t, "no FRR: "+err.Error()+" (deploy/images/build makes it)")
	}
	return root
}

// moduleRoot is the folder above that holds go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = parent
	}
}

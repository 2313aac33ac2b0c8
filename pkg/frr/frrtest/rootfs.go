// SPDX-License-Identifier: Apache-2.0

package frrtest

import (
	"os"
	"path/filepath"
	"testing"
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
		without(t, "FRR's namespaces take root")
	case err != nil:
		without(t, "no FRR: "+err.Error()+" (deploy/images/build makes it)")
	}
	return root
}

func without(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("METALLB_NO_SKIP") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
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

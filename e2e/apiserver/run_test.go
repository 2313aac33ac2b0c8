// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"os"
	"testing"
)

func TestRun(t *testing.T) {
	var dir string
	var inside context.Context
	err := Run(t.Context(), func(t testing.TB) error {
		dir, inside = t.TempDir(), t.Context()
		t.Cleanup(func() {
			if inside.Err() == nil {
				t.Errorf("the context lives on")
			}
			if _, err := os.Stat(dir); err != nil {
				t.Errorf("a folder is removed before what came after it: %v", err)
			}
		})
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
	failed := errors.New("no")
	if err := Run(t.Context(), func(testing.TB) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("got %v, want what the function returned", err)
	}
	err = Run(t.Context(), func(t testing.TB) error {
		t.Cleanup(func() { t.Errorf("cleaned up") })
		t.Fatal("fatal")
		return failed
	})
	if err == nil || err.Error() != "fatal\ncleaned up" {
		t.Errorf("got %v, want that it failed, and was cleaned up", err)
	}
}

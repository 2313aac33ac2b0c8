// SPDX-License-Identifier: Apache-2.0

// Package chaos has tests alone. They run the controller as it ships, as processes,
// against a real kube-apiserver and etcd, and kill, pause and mislead it: at no
// moment do two Services hold an address that they may not share, no Service loses
// one without a reason, and everything settles. What is judged is what a watch from
// outside saw, which has every write, in the order in which the API server made
// them.
//
// The controller is built by the test; METALLB_CONTROLLER names another program.
// METALLB_SEED repeats a run's random choices, as far as the machine's own timing
// lets them be repeated. METALLB_SOAK asks for the full counts.
package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// limit is how long a test waits for one thing.
const limit = 90 * time.Second

var buildDir string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "metallb-chaos-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	buildDir = dir
	return m.Run()
}

// build returns the controller's program.
var build = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("METALLB_CONTROLLER"); given != "" {
		return given, nil
	}
	program := filepath.Join(buildDir, "controller")
	out, err := exec.Command("go", "build", "-o", program, "metallb.io/metallb-frr/cmd/controller").CombinedOutput()
	if err != nil {
		return "", errors.Join(fmt.Errorf("build the controller: %w", err), errors.New(string(out)))
	}
	return program, nil
})

// seeded returns the test's random numbers.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("METALLB_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("METALLB_SEED %q: %v", text, err)
		}
	}
	t.Logf("METALLB_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func soak() bool { return os.Getenv("METALLB_SOAK") != "" }

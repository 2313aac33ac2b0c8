// SPDX-License-Identifier: Apache-2.0

package product

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
)

// Namespace is where the product is installed.
const Namespace = "metallb-system"

// installLimit is how long an installation may take.
const installLimit = 3 * time.Minute

// Install installs the chart with its own images, and returns when controller
// and speakers are ready. values are added as in `helm install --set`.
func Install(ctx context.Context, l *lab.Lab, progress io.Writer, values ...string) error {
	ctx, cancel := context.WithTimeout(ctx, installLimit)
	defer cancel()
	chart, err := chart()
	if err != nil {
		return err
	}
	args := []string{"install", "metallb", chart, "--namespace", Namespace, "--create-namespace", "--wait", "--timeout", "120s"}
	set := append([]string{"controller.image.pullPolicy=IfNotPresent", "speaker.image.pullPolicy=IfNotPresent"}, values...)
	for _, v := range set {
		args = append(args, "--set", v)
	}
	began := time.Now()
	if out, err := l.Helm(ctx, args...); err != nil {
		return fmt.Errorf("helm install: %w\n%s\n%s", err, out, Pods(l))
	}
	fmt.Fprintf(progress, "controller and speakers ready after %.1f s\n", time.Since(began).Seconds())
	return nil
}

// Pods returns the pods of the product, for messages about what went wrong.
func Pods(l *lab.Lab) string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, _ := l.Kubectl(ctx, "-n", Namespace, "get", "pods", "-o", "wide")
	for _, which := range []string{"component=controller", "component=speaker"} {
		logs, _ := l.Kubectl(ctx, "-n", Namespace, "logs", "-l", which, "--all-containers", "--prefix", "--tail=20")
		out += "\n" + which + ":\n" + logs
	}
	return strings.TrimSpace(out)
}

// chart is the chart of the checkout that the working directory is in. Where the
// sources were compiled does not tell: -trimpath removes it.
func chart() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the chart: %w", err)
	}
	for d := dir; ; d = filepath.Dir(d) {
		c := filepath.Join(d, "deploy", "charts", "metallb")
		if _, err := os.Stat(filepath.Join(c, "Chart.yaml")); err == nil {
			return c, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("finding the chart: no deploy/charts/metallb in %s or above", dir)
		}
	}
}

// Apply applies manifests as the user does.
func Apply(ctx context.Context, l *lab.Lab, yaml string) error {
	return kubectlInput(ctx, l, yaml, "apply", "-f", "-")
}

// Delete deletes what manifests name and waits until it is gone. What is gone
// already is no error.
func Delete(ctx context.Context, l *lab.Lab, yaml string) error {
	return kubectlInput(ctx, l, yaml, "delete", "--ignore-not-found", "--timeout=60s", "-f", "-")
}

func kubectlInput(ctx context.Context, l *lab.Lab, yaml string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	if out, err := l.KubectlInput(ctx, yaml, args...); err != nil {
		return fmt.Errorf("kubectl %s: %w\n%s", args[0], err, out)
	}
	return nil
}

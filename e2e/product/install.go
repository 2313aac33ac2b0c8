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

// installTime bounds an installation: images are on the nodes already.
const installTime = 2 * time.Minute

// Root returns the repository's root, the nearest directory with the module's
// go.mod from the working directory upwards.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for d := dir; ; d = filepath.Dir(d) {
		b, err := os.ReadFile(filepath.Join(d, "go.mod"))
		if err == nil && strings.HasPrefix(string(b), "module metallb.io/metallb-frr\n") {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("finding the repository: no go.mod of metallb.io/metallb-frr in %s or above", dir)
		}
	}
}

// Spec returns a lab of that size whose nodes have the product's images and the
// test application's. A node that falls silent is NotReady after 10 seconds.
func Spec(name string, nodes, routers, clients int) (lab.Spec, error) {
	root, err := Root()
	if err != nil {
		return lab.Spec{}, err
	}
	s := lab.Spec{Name: name, Nodes: nodes, Routers: routers, Clients: clients, NodeGrace: 10 * time.Second}
	for _, image := range []string{"pause", "web", "speaker", "controller"} {
		s.Images = append(s.Images, filepath.Join(root, "out", "images", image+".tar"))
	}
	s.Dir = filepath.Join(root, "out", "lab", name)
	return s, nil
}

// InstallArgs are the arguments of the helm command that [Install] runs, as a
// user would type them in the repository's root. Each value is "key=value" as
// for helm's --set.
func InstallArgs(values ...string) []string {
	args := []string{"install", "metallb", "deploy/charts/metallb", "-n", Namespace, "--create-namespace", "--wait"}
	for _, v := range values {
		args = append(args, "--set", v)
	}
	return args
}

// Install installs the chart with these values and returns when the controller
// is available and a speaker is ready on every node, or after 2 minutes with an
// error that says which Pods are not.
func Install(ctx context.Context, l *lab.Lab, progress io.Writer, values ...string) error {
	began := time.Now()
	root, err := Root()
	if err != nil {
		return err
	}
	args := InstallArgs(values...)
	args[2] = filepath.Join(root, args[2])
	args = append(args, "--timeout", installTime.String())
	if _, err := l.Helm(ctx, args...); err != nil {
		return fmt.Errorf("installing the chart: %w\n%s", err, pods(ctx, l))
	}
	for _, what := range []string{"deploy/controller", "daemonset/speaker"} {
		if _, err := l.Kubectl(ctx, "-n", Namespace, "rollout", "status", what, "--timeout", installTime.String()); err != nil {
			return fmt.Errorf("waiting for %s: %w\n%s", what, err, pods(ctx, l))
		}
	}
	if progress != nil {
		fmt.Fprintf(progress, "%5.1fs  load balancer ready on all nodes\n", time.Since(began).Seconds())
	}
	return nil
}

// pods lists the product's Pods, for an error.
func pods(ctx context.Context, l *lab.Lab) string {
	out, err := l.Kubectl(ctx, "-n", Namespace, "get", "pods", "-o", "wide")
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(out)
}

// Apply creates or changes the objects of a manifest.
func Apply(ctx context.Context, l *lab.Lab, yaml string) error {
	if _, err := l.KubectlInput(ctx, yaml, "apply", "-f", "-"); err != nil {
		return fmt.Errorf("applying: %w", err)
	}
	return nil
}

// Delete deletes the objects of a manifest and waits until they are gone, for
// at most a minute. It is no error if some are gone already.
func Delete(ctx context.Context, l *lab.Lab, yaml string) error {
	if _, err := l.KubectlInput(ctx, yaml, "delete", "-f", "-", "--ignore-not-found", "--wait", "--timeout=1m"); err != nil {
		return fmt.Errorf("deleting: %w", err)
	}
	return nil
}

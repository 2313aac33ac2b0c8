// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
)

// story is the demo from the cluster on.
type story struct {
	*printer
	lab  *lab.Lab
	name string     // the lab's
	keep bool       // the lab stays
	addr netip.Addr // of Service web
	drop outage     // what the power cut did
}

// partTime bounds each part of the story.
const partTime = 3 * time.Minute

func (s *story) tell(ctx context.Context) error {
	s.say("")
	s.say("kubectl works from this machine too, in another terminal:")
	s.say("  export KUBECONFIG=%s PATH=%s:$PATH", s.lab.Kubeconfig, s.lab.Spec.Bin)
	for _, part := range []func(context.Context) error{
		s.install, s.configure, s.serve, s.routes, s.requests, s.bfd, s.powerCut, s.powerOn,
	} {
		ctx, cancel := context.WithTimeoutCause(ctx, partTime, fmt.Errorf("not done after %s", partTime))
		err := part(ctx)
		cancel()
		if err != nil {
			return err
		}
	}
	s.summary()
	return nil
}

func (s *story) install(ctx context.Context) error {
	s.step("The load balancer, with helm")
	s.command("helm", "install", "metallb", "deploy/charts/metallb", "-n", product.Namespace, "--create-namespace", "--wait")
	if err := product.Install(ctx, s.lab, s.indented()); err != nil {
		return err
	}
	return s.kubectl(ctx, "-n", product.Namespace, "get", "pods")
}

func (s *story) configure(ctx context.Context) error {
	s.step("Its addresses and its routers")
	if err := s.apply(ctx, "metallb.yaml", product.Config(s.lab, product.ConfigOptions{})); err != nil {
		return err
	}
	return s.kubectl(ctx, "-n", product.Namespace, "wait", "--for=condition=Ready", "--timeout=60s",
		"ipaddresspool/prod-pool", "bgppeer/tor1", "bgppeer/tor2", "bfdprofile/tor-bfd", "bgpadvertisement/prod-adv")
}

// serve deploys the web application. With externalTrafficPolicy Local and a Pod
// on every node, the node that answers is the node that the routers chose.
func (s *story) serve(ctx context.Context) error {
	s.step("A web application and its Service: type LoadBalancer, externalTrafficPolicy Local")
	if err := s.apply(ctx, "web.yaml", product.WebApp("web", "default", len(s.lab.Nodes()), "Local")); err != nil {
		return err
	}
	var err error
	if s.addr, err = product.WaitAddress(ctx, s.lab, "default", "web"); err != nil {
		return err
	}
	return s.kubectl(ctx, "get", "svc", "web")
}

func (s *story) routes(ctx context.Context) error {
	s.step("What the routers made of it")
	for _, r := range s.lab.Routers() {
		if _, err := product.WaitNextHops(ctx, r, product.Host(s.addr), len(s.lab.Nodes())); err != nil {
			return err
		}
	}
	for _, r := range s.lab.Routers() {
		if err := s.on(ctx, r, "ip", "route", "show", s.addr.String()); err != nil {
			return err
		}
	}
	return nil
}

func (s *story) requests(ctx context.Context) error {
	const n = 300
	s.step(fmt.Sprintf("%d requests from the client, each over a connection of its own", n))
	tally := product.Requests(ctx, s.lab.Client(0), s.url(), n, 20)
	s.say("Every node answers with its own pod, so this is how the routers spread them:")
	s.say("")
	s.output(tally.String())
	if tally.Failed > 0 {
		return fmt.Errorf("%d of %d requests to %s failed, one of them: %w", tally.Failed, n, s.url(), tally.LastError)
	}
	if got := len(tally.ByNode); got != len(s.lab.Nodes()) {
		return fmt.Errorf("%d requests to %s reached %d nodes, want all %d", n, s.url(), got, len(s.lab.Nodes()))
	}
	return nil
}

func (s *story) bfd(ctx context.Context) error {
	s.step("BFD, which notices a dead node: 300 ms x 3")
	for _, r := range s.lab.Routers() {
		if err := product.WaitBFD(ctx, r, len(s.lab.Nodes())); err != nil {
			return err
		}
	}
	return s.kubectl(ctx, "-n", product.Namespace, "exec", "ds/speaker", "-c", "frr", "--", "vtysh", "-c", "show bfd peers brief")
}

func (s *story) url() string { return "http://" + netip.AddrPortFrom(s.addr, 80).String() + "/" }

// apply keeps a manifest where the user can look at it, and applies it.
func (s *story) apply(ctx context.Context, file, yaml string) error {
	path := filepath.Join(s.lab.Spec.Dir, file)
	if err := os.WriteFile(path, []byte(yaml), 0o644); err != nil {
		return err
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil {
			path = rel
		}
	}
	return s.kubectl(ctx, "apply", "-f", path)
}

// kubectl shows a command and its answer.
func (s *story) kubectl(ctx context.Context, args ...string) error {
	s.command(append([]string{"kubectl"}, args...)...)
	out, err := s.lab.Kubectl(ctx, args...)
	s.output(out)
	return err
}

// on shows a command on a router and its answer.
func (s *story) on(ctx context.Context, r *lab.Router, args ...string) error {
	s.command(append([]string{"out/bin/lab", "exec", "-name", s.name, r.Name}, args...)...)
	out, err := r.Exec(ctx, args[0], args[1:]...)
	s.output(out)
	if err == nil && strings.TrimSpace(out) == "" {
		err = errors.New("no answer from " + r.Name)
	}
	return err
}

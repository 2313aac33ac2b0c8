// SPDX-License-Identifier: Apache-2.0

// Command lab starts, enters and removes labs, makes faults in them, and builds
// image archives without a container engine.
//
//	lab up      [-name N] [-nodes 3] [-routers 2] [-clients 1] [-lan-clients 0]   bring a lab up and leave it running
//	lab down    [-name N]                                        end it and remove its files
//	lab status  [-name N]                                        say whether it is up, and show its nodes
//	lab shell   [-name N]                                        a shell inside, with kubectl and helm
//	lab exec    [-name N] MEMBER COMMAND...                      run on a node (n1), router (tor1) or client (c1, l1)
//	lab fault   [-name N] KIND NODE                              power-cut, power-on, link-down, link-up, drop, undrop
//	lab image   -ref REF -out FILE DIR|LAYER.tar...              make an image archive
//	lab app-images [-out DIR]                                    make the lab's own images
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
)

func main() {
	lab.Dispatch()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch ee := (*exec.ExitError)(nil); {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case errors.As(err, &ee) && ee.ExitCode() > 0:
		os.Exit(ee.ExitCode())
	default:
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

var commands = map[string]func(ctx context.Context, args []string) error{
	"up": up, "down": down, "status": status, "shell": shell, "exec": execIn, "fault": fault,
	"image": image, "app-images": appImages,
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		if f, ok := commands[args[0]]; ok {
			return f(ctx, args[1:])
		}
	}
	return errors.New("the first argument says what to do: up, down, status, shell, exec, fault, image or app-images")
}

// flags makes a flag set with -name; dir is the lab's directory once parsed.
func flags(cmd string) (fs *flag.FlagSet, dir func() string) {
	fs = flag.NewFlagSet("lab "+cmd, flag.ContinueOnError)
	name := "lab"
	fs.Func("name", "the lab's `name` (default \"lab\")", func(value string) error {
		if !labName.MatchString(value) {
			return errors.New("write small letters, digits and dashes: its directory is named after it")
		}
		name = value
		return nil
	})
	return fs, func() string { return filepath.Join("out", "lab", name) }
}

var labName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,40}$`)

func up(ctx context.Context, args []string) error {
	fs, dir := flags("up")
	var s lab.Spec
	fs.IntVar(&s.Nodes, "nodes", 3, "number of nodes")
	fs.IntVar(&s.Routers, "routers", 2, "number of routers")
	fs.IntVar(&s.Clients, "clients", 1, "number of clients behind the routers")
	fs.IntVar(&s.LANClients, "lan-clients", 0, "number of clients on the nodes' own network")
	fs.DurationVar(&s.NodeGrace, "node-grace", 0, "time until a silent node is NotReady (default 20s)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	s.Name, s.Dir = filepath.Base(dir()), dir()
	if err := lab.Start(ctx, s, os.Stdout); err != nil {
		return err
	}
	kubeconfig, _ := lab.Running(dir())
	fmt.Printf("export KUBECONFIG=%s\n", kubeconfig)
	return nil
}

func down(ctx context.Context, args []string) error {
	fs, dir := flags("down")
	if err := fs.Parse(args); err != nil {
		return err
	}
	return lab.Stop(ctx, dir())
}

func status(ctx context.Context, args []string) error {
	fs, dir := flags("status")
	if err := fs.Parse(args); err != nil {
		return err
	}
	return inside(dir(), func(l *lab.Lab) error {
		fmt.Printf("export KUBECONFIG=%s\n", l.Kubeconfig)
		out, err := l.Kubectl(ctx, "get", "nodes", "-o", "wide")
		fmt.Print(out)
		return err
	})
}

func shell(ctx context.Context, args []string) error {
	fs, dir := flags("shell")
	if err := fs.Parse(args); err != nil {
		return err
	}
	return inside(dir(), func(l *lab.Lab) error {
		sh := os.Getenv("SHELL")
		if sh == "" || fs.NArg() > 0 {
			sh = "/bin/bash"
		}
		return attached(exec.CommandContext(ctx, sh, fs.Args()...), l.Env())
	})
}

func execIn(ctx context.Context, args []string) error {
	fs, dir := flags("exec")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() < 2 {
		return errors.New("exec: wants a member (n1, tor1, c1, l1) and a command")
	}
	return inside(dir(), func(l *lab.Lab) error {
		cmd, err := l.Command(ctx, fs.Arg(0), fs.Arg(1), fs.Args()[2:]...)
		if err != nil {
			return err
		}
		return attached(cmd, nil)
	})
}

func fault(ctx context.Context, args []string) error {
	fs, dir := flags("fault")
	if err := fs.Parse(args); err != nil {
		return err
	}
	return inside(dir(), func(l *lab.Lab) error {
		for _, n := range l.Nodes() {
			if n.Name == fs.Arg(1) {
				return nodeFault(ctx, l, n, fs.Arg(0))
			}
		}
		return fmt.Errorf("fault: node %q is not in the lab; it has n1 to n%d", fs.Arg(1), l.Spec.Nodes)
	})
}

func nodeFault(ctx context.Context, l *lab.Lab, n *lab.Node, kind string) error {
	switch kind {
	case "power-cut":
		return n.PowerCut(ctx)
	case "power-on":
		start := time.Now()
		if err := n.PowerOn(ctx); err != nil {
			return err
		}
		return l.WaitReady(ctx, start, n.Name)
	case "link-down":
		return n.LinkDown()
	case "link-up":
		return n.LinkUp()
	case "drop":
		return n.Drop(true)
	case "undrop":
		return n.Drop(false)
	}
	return fmt.Errorf("fault: kind %q; it can be power-cut, power-on, link-down, link-up, drop or undrop", kind)
}

// inside runs this program again inside the lab, and there f.
func inside(dir string, f func(*lab.Lab) error) error {
	lab.RunIn(dir, func() int {
		l, err := lab.Open()
		if err == nil {
			err = f(l)
		}
		if ee := (*exec.ExitError)(nil); errors.As(err, &ee) && ee.ExitCode() > 0 {
			return ee.ExitCode()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
			return 1
		}
		return 0
	})
	return nil
}

// attached runs cmd on this program's terminal.
func attached(cmd *exec.Cmd, env []string) error {
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

func appImages(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("lab app-images", flag.ContinueOnError)
	out := fs.String("out", "out/images", "directory for pause.tar and web.tar")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	return lab.WriteAppImages(ctx, *out)
}

// image writes an image archive.
func image(_ context.Context, args []string) error {
	fs := flag.NewFlagSet("lab image", flag.ContinueOnError)
	ref := fs.String("ref", "", "image reference with tag, such as lab.local/web:1 (required)")
	out := fs.String("out", "", "archive to write (required)")
	entrypoint := fs.String("entrypoint", "", "command, its words separated by commas")
	cmd := fs.String("cmd", "", "default arguments, separated by commas")
	user := fs.String("user", "", "uid[:gid] to run as; empty is root")
	var env []string
	fs.Func("env", "NAME=value to set; may be repeated", func(s string) error {
		env = append(env, s)
		return nil
	})
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: lab image -ref REF -out FILE.tar [flags] DIR|LAYER.tar...")
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *out == "" {
		return errors.New("image: -out names the archive to write; it is missing")
	}
	return lab.WriteImage(*out, lab.Image{
		Ref: *ref, Layers: fs.Args(), User: *user, Env: env,
		Entrypoint: words(*entrypoint), Cmd: words(*cmd),
	})
}

// words splits a comma-separated list; the empty string has no words.
func words(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

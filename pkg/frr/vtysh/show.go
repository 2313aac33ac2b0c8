// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Show asks FRR a "show ... json" question and decodes the answer into v. Where v
// is a *string it becomes the answer as it is. v may be nil. The answer {} stands
// for most things that do not exist.
//
// FRR answers from its only thread: tables with many routes cost it tens of
// milliseconds and do not belong on a timer.
func (d *Driver) Show(ctx context.Context, command string, v any) error {
	if err := d.take(ctx); err != nil {
		return fmt.Errorf("waiting to ask FRR for %q: %w", command, err)
	}
	defer d.give()
	text, err := d.show(ctx, command)
	var gone *lostError
	if errors.As(err, &gone) {
		text, err = d.show(ctx, command)
	}
	if err != nil {
		return fmt.Errorf("asking FRR for %q: %w", command, err)
	}
	switch v := v.(type) {
	case nil:
		return nil
	case *string:
		*v = text
		return nil
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("reading FRR's answer to %q: %w", command, err)
	}
	return nil
}

func (d *Driver) show(ctx context.Context, command string) (string, error) {
	if why := unspeakable(command); why != "" {
		return "", errors.New(why)
	}
	if err := d.start(ctx); err != nil {
		return "", err
	}
	text, err := d.shell.ask(ctx, command)
	var refused *refusedError
	if err != nil && !errors.As(err, &refused) {
		return "", d.lost(err)
	}
	return text, err
}

// fileError is how vtysh names a line of a file that it does not accept.
var fileError = regexp.MustCompile(`(?m)^line (\d+): (?:% )?([^\[:\n]*)`)

// Check reads text as a whole frr.conf with vtysh, without any daemon, and
// returns what it does not accept, each with its line number. Only syntax is
// looked at. It starts a process of its own.
func (d *Driver) Check(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, d.opts.Timeout)
	defer cancel()
	command := append(append([]string{}, d.opts.Command...), "-C", "-f", "/dev/stdin")
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return fmt.Errorf("checking an FRR configuration: %w", context.Cause(ctx))
	}
	lines := strings.Split(text, "\n")
	var errs []error
	for _, m := range fileError.FindAllStringSubmatch(string(out), -1) {
		errs = append(errs, fmt.Errorf("line %s%s: %s", m[1], lineText(lines, m[1]), strings.TrimSpace(m[2])))
	}
	switch {
	case len(errs) > 0:
		return fmt.Errorf("checking an FRR configuration: %w", errors.Join(errs...))
	case err != nil:
		return fmt.Errorf("checking an FRR configuration: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// lineText quotes the line of that number unless it holds a password.
func lineText(lines []string, number string) string {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(lines) || strings.Contains(lines[n-1], " password ") {
		return ""
	}
	return fmt.Sprintf(" (%q)", strings.TrimSpace(lines[n-1]))
}

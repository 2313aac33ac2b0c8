// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// Found is the FRR that a Driver has found.
type Found struct {
	// Version as FRR says it, such as "10.3"; empty: it does not say.
	Version string
	// BMP: bgpd has the module that reports sessions.
	BMP bool

	pid string // of bgpd
}

// oldest is the first major version that the product is made for.
const oldest = 10

// Missing says what does not work with this FRR, a sentence each; nil: all works.
func (f Found) Missing() []string {
	var all []string
	if !f.BMP {
		all = append(all, "bgpd has no BMP module: session states are not pushed; start bgpd with -M bmp")
	}
	major, _, _ := strings.Cut(f.Version, ".")
	if n, err := strconv.Atoi(major); err == nil && n < oldest {
		all = append(all, "FRR is older than "+strconv.Itoa(oldest)+".0, for which the configuration is written: lines that it does not know are refused and named in the ConfigurationState, and route-maps load slowly")
	}
	return all
}

var (
	versionLine = regexp.MustCompile(`(?m)^FRRouting (\S+)`)
	bgpdModules = regexp.MustCompile(`(?s)Module information for bgpd:(.*?)(?:Module information for |$)`)
	pidLine     = regexp.MustCompile(`(?m)^pid: (\d+)`)
)

// discover finds out which FRR it is, and tells if it is another one than last.
func (d *Driver) discover(ctx context.Context) error {
	var texts [2]string
	for i, question := range []string{"show version", "show modules"} {
		text, err := d.shell.ask(ctx, question)
		var refused *refusedError
		if err != nil && !errors.As(err, &refused) {
			return err
		}
		texts[i] = text
	}
	f := foundIn(texts[0], texts[1])
	if f == d.found || f.pid == "" {
		return nil // bgpd is not there yet: Apply will say so
	}
	d.found = f
	if d.opts.OnFound != nil {
		d.opts.OnFound(f)
	}
	return nil
}

// foundIn reads the answers to "show version" and "show modules".
func foundIn(version, modules string) Found {
	var f Found
	if m := versionLine.FindStringSubmatch(version); m != nil {
		f.Version = m[1]
	}
	if m := bgpdModules.FindStringSubmatch(modules); m != nil {
		f.BMP = strings.Contains(m[1], "bgpd_bmp")
		if p := pidLine.FindStringSubmatch(m[1]); p != nil {
			f.pid = p[1]
		}
	}
	return f
}

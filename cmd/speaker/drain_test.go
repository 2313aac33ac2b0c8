// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"strings"
	"testing"
	"time"
)

func TestDrainFlags(t *testing.T) {
	for _, row := range []struct{ env, args, on, wait, err string }{
		{"", "", "", "1s", ""},
		{"cordon", "", "cordon", "1s", ""},
		{"cordon", "--drain-on=condition/Ready=False,example.com/x:NoExecute --drain-wait=500ms", "condition/Ready=False,example.com/x:NoExecute", "500ms", ""},
		{"cordon", "--drain-on=", "", "1s", ""},
		{"bad item", "", "", "", `reading --drain-on (METALLB_DRAIN_ON): "bad item"`},
		{"", "--drain-on=x:Never", "", "", `"Never" is no effect of a taint`},
		{"", "--drain-wait=-1s", "", "", "--drain-wait -1s is out of range; want 0 to 5m"},
		{"", "--drain-wait=6m", "", "", "--drain-wait 6m0s is out of range"},
	} {
		t.Setenv("METALLB_DRAIN_ON", row.env)
		var o options
		fs := flag.NewFlagSet("speaker", flag.ContinueOnError)
		o.register(fs)
		if err := fs.Parse(strings.Fields(row.args)); err != nil {
			t.Fatal(err)
		}
		on, err := o.drain.check()
		if row.err != "" {
			if err == nil || !strings.Contains(err.Error(), row.err) {
				t.Errorf("%q %s: %v, want %s", row.env, row.args, err, row.err)
			}
			continue
		}
		if wait, _ := time.ParseDuration(row.wait); err != nil || on.String() != row.on || o.drain.wait != wait {
			t.Errorf("%q %s: %q, %v, %v; want %q, %v", row.env, row.args, on, o.drain.wait, err, row.on, wait)
		}
	}
}

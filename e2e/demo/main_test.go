// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

// The name is part of a directory that is removed.
func TestNamesThatLeaveTheDirectoryAreRefused(t *testing.T) {
	for _, ok := range []string{"demo", "demo-2", "D1"} {
		if !isName(ok) {
			t.Errorf("%q is refused", ok)
		}
	}
	for _, bad := range []string{"", ".", "..", "../..", "a/b", "-keep", "a b", "a\nb"} {
		if isName(bad) {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestCommandsAreWrittenAsTyped(t *testing.T) {
	var b strings.Builder
	p := &printer{w: &b}
	p.command("vtysh", "-c", "show bgp summary")
	p.say("")
	p.output("\na  \n\nb\n")
	const want = "\n    $ vtysh -c \"show bgp summary\"\n\n    a\n\n    b\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

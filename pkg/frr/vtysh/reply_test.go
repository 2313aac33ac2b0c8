// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"errors"
	"io"
	"testing"
)

func TestParser(t *testing.T) {
	said := "\nHello, this is FRRouting (version 10.3).\n\n" +
		"vm# configure terminal\n" +
		"vm(config)# hostname n1\n" +
		"n1(config)# foo bar\n% Unknown command: foo bar\n" +
		"n1(config)# router bgp 1\n% Configuration failed.\n\nno newline heren1(config-router)# !1\n" +
		"n1(config-router)# "
	lines := []string{"configure terminal", "hostname n1", "foo bar", "router bgp 1", "!1"}
	want := []struct{ prompt, refusal string }{
		{"config", ""}, {"config", ""}, {"config", "Unknown command: foo bar"},
		{"config-router", "Configuration failed; no newline heren1"},
	}
	// However the text is cut, the answers are the same.
	for size := 1; size < 40; size++ {
		p := parser{lines: lines}
		var left []byte
		for at := 0; at < len(said); at += size {
			var err error
			if left, err = p.feed(append(left, said[at:min(at+size, len(said))]...), nil); err != nil {
				t.Fatal(err)
			}
		}
		if !p.done() || len(p.replies) != len(want) {
			t.Fatalf("in pieces of %d: %+v, want %d answers", size, p.replies, len(want))
		}
		for i, w := range want {
			if r := p.replies[i]; r.prompt != w.prompt || judge(r.text).refusal != w.refusal {
				t.Errorf("in pieces of %d: answer %d is %+v, want %+v", size, i, r, w)
			}
		}
		if string(left) != "n1(config-router)# " {
			t.Errorf("in pieces of %d: left %q", size, left)
		}
	}
}

func TestParserNoticesLostDaemons(t *testing.T) {
	for _, said := range []string{
		"vm# show x\nWarning: closing connection to bgpd because of an I/O error!\n",
		"vm# show x\nWarning: connecting to bgpd...failed!\nbgpd is not running\nvm# !1\n",
		"vm# show x\nWarning: connecting to bgpd...success!\nvm# !1\n",
		"vm# show x\nbgpd is not running\nvm# !1\n",
	} {
		p := parser{lines: []string{"show x", "!1"}}
		_, err := p.feed([]byte(said), nil)
		var down *DownError
		if !errors.As(err, &down) || down.Daemon != "bgpd" {
			t.Errorf("%q: %v, want a DownError of bgpd", said, err)
		}
	}
	p := parser{lines: []string{"show x", "!1"}}
	if _, err := p.feed([]byte("vm# show x\nsegmentation fault\n"), io.EOF); err == nil || err.Error() != "vtysh ended; segmentation fault" {
		t.Errorf("error %v, want vtysh's last words", err)
	}
}

func FuzzParser(f *testing.F) {
	f.Add("vm# a\nvm(config)# b\n% no\nvm# !1\n")
	f.Fuzz(func(t *testing.T, said string) {
		p := parser{lines: []string{"a", "b", "!1"}}
		p.feed([]byte(said), io.EOF)
		if p.done() && len(p.replies) != 2 {
			t.Errorf("%d answers to 2 lines", len(p.replies))
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/Masterminds/sprig/v3"
	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/members"
)

// parse returns the flags of a command line.
func parse(args ...string) (*layer2Flags, error) {
	var o options
	fs := flag.NewFlagSet("speaker", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	o.register(fs)
	return &o.l2, fs.Parse(args)
}

func TestLayer2Flags(t *testing.T) {
	const on = "--ml-bindaddr=192.0.2.1 --ml-labels=app=metallb "
	for _, row := range []struct{ args, err string }{
		{"", ""},
		{on, ""},
		{"--ml-bindaddr=fd00::1 --ml-labels=a=b,c", ""},
		{"--ml-bindaddr=:: --ml-advertiseaddr=fd00::1 --ml-labels=a", ""},
		{"--ml-labels=a=b", ""},    // no membership, so nothing is wrong with it
		{"--ml-bindaddr=nada", ""}, // likewise
		{"--ml-labels=a --ml-bindaddr=nada", `--ml-bindaddr "nada" is no address; want an IPv4 or IPv6 address`},
		{"--ml-labels=a --ml-bindaddr=192.0.2.0/24", `--ml-bindaddr "192.0.2.0/24" is no address`},
		{"--ml-labels=a --ml-bindaddr=0.0.0.0", "--ml-bindaddr is 0.0.0.0, which no other speaker can reach; want --ml-advertiseaddr"},
		{"--ml-labels=a --ml-bindaddr=:: --ml-advertiseaddr=x", `--ml-advertiseaddr "x" is no address`},
		{"--ml-labels=a --ml-bindaddr=:: --ml-advertiseaddr=::", "--ml-advertiseaddr is ::, which"},
		{"--ml-labels=a==b= --ml-bindaddr=192.0.2.1", `--ml-labels "a==b=" is no label selector; want one such as "app=metallb`},
		{on + "--ml-bindport=0", `--ml-bindport "0" is no port; want 1 to 65535`},
		{on + "--ml-bindport=65536", `--ml-bindport "65536" is no port`},
		{on + "--ml-bindport=7946x", `--ml-bindport "7946x" is no port`},
		{"--l2-gratuitous-period=0", ""},
		{"--l2-gratuitous-period=10s", ""},
		{"--l2-gratuitous-period=10ms", "--l2-gratuitous-period 10ms is out of range; want 1s to 24h"},
		{"--l2-gratuitous-period=-1s", "--l2-gratuitous-period -1s is out of range"},
		{"--ml-probe-interval=5", `invalid value "5" for flag -ml-probe-interval: want a duration such as 500ms`},
		{"--ml-gossip-nodes=many", `invalid value "many" for flag -ml-gossip-nodes: want a whole number`},
		{"--ml-disable-tcp-pings=maybe", `invalid boolean value "maybe" for -ml-disable-tcp-pings: want true or false`},
		{"--ml-wan-config --ml-gossip-nodes=0", "--ml-gossip-nodes=0: GossipNodes is 0; it must be between 1 and 100"},
		{"--ml-heartbeat=200ms --ml-silence=300ms", "--ml-heartbeat=200ms --ml-silence=300ms: the Silence is 300ms; it must be more than twice Heartbeat"},
	} {
		l, err := parse(strings.Fields(row.args)...)
		if err == nil {
			_, err = l.layer2("n1", logr.Discard())
		}
		switch {
		case row.err == "" && err != nil:
			t.Errorf("%s: %v", row.args, err)
		case row.err != "" && (err == nil || !strings.Contains(err.Error(), row.err)):
			t.Errorf("%s: says %v, want %s", row.args, err, row.err)
		}
	}
}

// TestLayer2Environment: what the Pod says in its environment holds unless there
// is a flag.
func TestLayer2Environment(t *testing.T) {
	for key, value := range map[string]string{
		"METALLB_ML_BIND_ADDR": "fd00::7", "METALLB_ML_BIND_PORT": "7000", "METALLB_ML_LABELS": "a=b",
		"METALLB_ML_SECRET_KEY_PATH": "/key", "METALLB_ML_ADVERTISE_ADDR": "fd00::8",
	} {
		t.Setenv(key, value)
	}
	l, err := parse("--ml-labels=c=d", "--l2-exclude=/x")
	if err != nil {
		t.Fatal(err)
	}
	bind, advertise, err := l.addresses()
	if err != nil || bind != netip.MustParseAddrPort("[fd00::7]:7000") || advertise.IsValid() || l.peers() != "c=d" || l.secret != "/key" {
		t.Errorf("%v, %v, %v, %+v", bind, advertise, err, l)
	}
	o, err := l.layer2("n1", logr.Discard())
	if err != nil || o.Members == nil || o.Period != time.Minute || o.Exclude != "/x" {
		t.Errorf("%+v, %v", o, err)
	}
	// Either empty turns the membership off, and nobody looks for Pods.
	for _, off := range []string{"--ml-labels=", "--ml-bindaddr="} {
		l, err := parse(off)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := l.layer2("n1", logr.Discard()); err != nil || o.Members != nil || l.peers() != "" {
			t.Errorf("%s: %+v, %v, Pods %q", off, o, err, l.peers())
		}
	}
	if l, err = parse("--ml-bindaddr=0.0.0.0", "--ml-advertiseaddr=192.0.2.9"); err != nil {
		t.Fatal(err)
	}
	if _, advertise, err := l.addresses(); err != nil || advertise != netip.MustParseAddrPort("192.0.2.9:7000") {
		t.Errorf("told are %v, %v", advertise, err)
	}
}

// TestTuningFlags: each number has a flag, which wins over the preset.
func TestTuningFlags(t *testing.T) {
	type row struct {
		args   string
		preset members.Tuning
		edit   func(*members.Tuning)
	}
	rows := []row{
		{"", members.LAN(), func(*members.Tuning) {}},
		{"--ml-wan-config", members.WAN(), func(*members.Tuning) {}},
		{"--ml-probe-interval=700ms --ml-wan-config --ml-probe-timeout=300ms", members.WAN(), func(n *members.Tuning) {
			n.ProbeInterval, n.ProbeTimeout = 700*time.Millisecond, 300*time.Millisecond
		}},
		{"--ml-disable-tcp-pings", members.LAN(), func(n *members.Tuning) { n.DisableTCPPings = true }},
		{"--ml-gossip-verify-incoming=false", members.LAN(), func(n *members.Tuning) { n.GossipVerifyIncoming = false }},
		{"--ml-heartbeat=0", members.LAN(), func(n *members.Tuning) { n.Heartbeat, n.Silence = 0, 0 }},
		{"--ml-wan-config --ml-heartbeat=1s --ml-silence=4s", members.WAN(), func(n *members.Tuning) { n.Heartbeat, n.Silence = time.Second, 4*time.Second }},
		{"--ml-tcp-timeout=1s --ml-udp-buffer-size=1000", members.LAN(), func(n *members.Tuning) { n.TCPTimeout, n.UDPBufferSize = time.Second, 1000 }},
	}
	// Each alone, with the value of the other preset where they differ.
	fields := reflect.VisibleFields(reflect.TypeFor[members.Tuning]())
	if len(fields) < 21 {
		t.Errorf("Tuning has %d numbers", len(fields))
	}
	for i, f := range fields {
		wan := reflect.ValueOf(members.WAN()).Field(i)
		if strings.HasPrefix(f.Name, "Probe") || f.Name == "Heartbeat" || f.Name == "Silence" {
			continue // depend on one another; above
		}
		rows = append(rows, row{fmt.Sprintf("--%s=%v", tuningFlag(f.Name), wan), members.LAN(), func(n *members.Tuning) {
			reflect.ValueOf(n).Elem().Field(i).Set(wan)
		}})
	}
	for _, r := range rows {
		l, err := parse(strings.Fields(r.args)...)
		if err != nil {
			t.Errorf("%s: %v", r.args, err)
			continue
		}
		want := r.preset
		r.edit(&want)
		if got, err := l.tuning.over(l.preset()); err != nil || got != want {
			t.Errorf("%s: %+v, %v\nwant %+v", r.args, got, err, want)
		}
	}
}

// configFile writes a config.json with t's numbers and returns its path.
func configFile(t *testing.T, n members.Tuning) string {
	t.Helper()
	text, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestConfigFileWins: over flags and presets, but not for heartbeats.
func TestConfigFileWins(t *testing.T) {
	file := members.WAN()
	file.GossipNodes = 7
	l, err := parse("--ml-gossip-nodes=5", "--ml-heartbeat=50ms", "--ml-config="+configFile(t, file))
	if err != nil {
		t.Fatal(err)
	}
	flags, err := l.tuning.over(l.preset())
	if err != nil {
		t.Fatal(err)
	}
	want := file
	want.Heartbeat, want.Silence = 50*time.Millisecond, members.LAN().Silence
	if got, err := l.readConfig(flags); err != nil || got != want {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	l.config += ".missing"
	if got, err := l.readConfig(flags); err != nil || got != flags || got.GossipNodes != 5 {
		t.Errorf("without the file: %+v, %v", got, err)
	}
	l.config = filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(l.config, []byte(`{"GossipNodes": 3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.readConfig(flags); err == nil || !strings.Contains(err.Error(), l.config) || !strings.Contains(err.Error(), "ProbeInterval") {
		t.Errorf("half a file: %v", err)
	}
}

// membership starts that of a speaker at 127.0.0.1 or ::1 and that port.
func membership(t *testing.T, node, secret, addr string, port int) (*members.Members, error) {
	t.Helper()
	l, err := parse("--ml-labels=a", "--ml-bindaddr="+addr, fmt.Sprintf("--ml-bindport=%d", port), "--ml-secret-key-path="+secret, "--ml-config=")
	if err != nil {
		t.Fatal(err)
	}
	o, err := l.layer2(node, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	m, err := o.Members()
	if err == nil {
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return m, err
}

func freePort(t *testing.T, addr string) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Skipf("no loopback address of that family: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// TestMembershipStarts with the secret of the file, on either family.
func TestMembershipStarts(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secretkey"), []byte("c2VjcmV0"), 0o600); err != nil {
		t.Fatal(err)
	}
	for first, second := range map[string]string{"127.0.0.1": "127.0.0.2", "::1": ""} {
		port := freePort(t, first)
		m, err := membership(t, "n1", dir, first, port)
		if err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		if !m.Alive().Has("n1") {
			t.Errorf("%s: the speaker does not count itself", first)
		}
		if second == "" {
			continue
		}
		other, err := membership(t, "n2", dir, second, port)
		if err != nil {
			t.Fatalf("%s: %v", second, err)
		}
		other.Join([]netip.Addr{netip.MustParseAddr(first)})
		limit := time.After(20 * time.Second)
		for !other.Alive().Has("n1") {
			select {
			case <-other.Changed():
			case <-limit:
				t.Fatalf("%s does not find %s", second, first)
			}
		}
	}
}

// TestMembershipNeedsItsSecret: a path without the file is not a membership open
// to all.
func TestMembershipNeedsItsSecret(t *testing.T) {
	dir := t.TempDir()
	port := freePort(t, "127.0.0.1")
	if _, err := membership(t, "n1", dir, "127.0.0.1", port); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "secretkey")+" is missing") {
		t.Errorf("without the file: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secretkey"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := membership(t, "n1", dir, "127.0.0.1", port); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("with an empty file: %v", err)
	}
	if _, err := membership(t, "n1", "", "127.0.0.1", port); err != nil {
		t.Errorf("without a path: %v", err)
	}
}

// TestTheChartKnowsEachNumber by the name that makes the flag's.
func TestTheChartKnowsEachNumber(t *testing.T) {
	text, err := os.ReadFile("../../deploy/charts/metallb/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type object struct {
		Properties map[string]json.RawMessage
	}
	for _, key := range []string{"speaker", "memberlist", "tuning"} {
		var o object
		if err := json.Unmarshal(text, &o); err != nil {
			t.Fatal(err)
		}
		text = o.Properties[key]
	}
	var tuning object
	if err := json.Unmarshal(text, &tuning); err != nil {
		t.Fatal(err)
	}
	kebab := sprig.FuncMap()["kebabcase"].(func(string) string)
	flags := map[string]bool{}
	for name := range tuning.Properties {
		flags["ml-"+kebab(name)] = true
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[members.Tuning]()) {
		name := tuningFlag(f.Name)
		if f.Name != "Heartbeat" && f.Name != "Silence" && !flags[name] { // these are values beside tuning
			t.Errorf("no value becomes --%s", name)
		}
		delete(flags, name)
	}
	if len(flags) > 0 {
		t.Errorf("values become %v, which are no flags", flags)
	}
}

// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	stdlog "log"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestLibrariesLogInTheSameForm: also those that know package log alone.
func TestLibrariesLogInTheSameForm(t *testing.T) {
	out, flags := stdlog.Writer(), stdlog.Flags()
	t.Cleanup(func() { stdlog.SetOutput(out); stdlog.SetFlags(flags) })
	var buf bytes.Buffer
	log, err := NewLogger(&buf, "debug")
	if err != nil {
		t.Fatal(err)
	}
	SetDefault(log)
	stdlog.Printf("http: TLS handshake error from %s", "192.0.2.1")
	var line map[string]any
	if err := json.Unmarshal(buf.Bytes(), &line); err != nil || line["level"] != "debug" || line["text"] != "http: TLS handshake error from 192.0.2.1" {
		t.Errorf("%s %v", buf.Bytes(), err)
	}
}

func TestLoggerWritesJSONLinesAtItsLevel(t *testing.T) {
	// How many of the four lines each level lets through.
	for level, want := range map[string]int{"all": 4, "debug": 3, "info": 2, "warn": 1, "error": 1, "none": 0} {
		var buf bytes.Buffer
		log, err := NewLogger(&buf, level)
		if err != nil {
			t.Fatal(err)
		}
		log.V(5).Info("detail")
		log.V(1).Info("debug line")
		log.Info("info line", "peer", "tor1", "took", 1500*time.Millisecond)
		log.Error(errors.New("cause"), "error line")
		lines := strings.Split(strings.TrimSpace(buf.String()), "\n")
		if buf.Len() == 0 {
			lines = nil
		}
		if len(lines) != want {
			t.Errorf("level %s: %d lines, want %d:\n%s", level, len(lines), want, buf.String())
		}
		for _, line := range lines {
			var got map[string]any
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatalf("level %s: line is not JSON: %v: %s", level, err, line)
			}
			for _, key := range []string{"level", "ts", "caller", "msg"} {
				if got[key] == nil {
					t.Errorf("level %s: no key %q in %s", level, key, line)
				}
			}
			if !strings.Contains(fmt.Sprint(got["caller"]), "telemetry_test.go") {
				t.Errorf("caller is %v, want this file", got["caller"])
			}
			if got["msg"] == "info line" && (got["took"] != "1.5s" || got["peer"] != "tor1" || got["level"] != "info") {
				t.Errorf("info line is %s", line)
			}
		}
	}
	if _, err := NewLogger(&bytes.Buffer{}, "loud"); err == nil || !strings.Contains(err.Error(), `"loud"`) {
		t.Errorf("unknown level: error %v, want one that names it", err)
	}
}

func TestAllocatorNamesAndSaturation(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	a, err := NewAllocator(r)
	if err != nil {
		t.Fatal(err)
	}
	a.Set("one", PoolCounts{Total: 4, InUse: 1}, PoolCounts{Total: math.MaxInt64, InUse: 2}, 5)
	a.Set("gone", PoolCounts{}, PoolCounts{}, 0)
	a.Delete("gone")
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if len(f.Metric) != 1 {
			t.Errorf("%s has %d series, want 1", f.GetName(), len(f.Metric))
		}
		got[f.GetName()] = f.Metric[0].GetGauge().GetValue()
	}
	want := map[string]float64{
		"metallb_allocator_addresses_total":             math.MaxInt64,
		"metallb_allocator_ipv4_addresses_total":        4,
		"metallb_allocator_ipv6_addresses_total":        math.MaxInt64,
		"metallb_allocator_addresses_in_use_total":      3,
		"metallb_allocator_ipv4_addresses_in_use_total": 1,
		"metallb_allocator_ipv6_addresses_in_use_total": 2,
		"metallb_allocator_services_allocated_total":    5,
	}
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s = %v, want %v", name, got[name], v)
		}
	}
}

func TestAllCollectorsRegisterTogether(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	if _, err := NewClient(r); err != nil {
		t.Error(err)
	}
	if _, err := NewAllocator(r); err != nil {
		t.Error(err)
	}
	if _, err := NewSpeaker(r); err != nil {
		t.Error(err)
	}
	if err := ReadBuild().Register(r); err != nil {
		t.Error(err)
	}
	if _, err := NewClient(r); err == nil {
		t.Error("registering twice: no error")
	}
}

func TestTLSFlags(t *testing.T) {
	tests := []struct {
		name    string
		flags   Flags
		wantErr string // empty: accepted
	}{
		{"defaults", Flags{MinVersion: "VersionTLS13"}, ""},
		{"old version", Flags{MinVersion: "VersionTLS11"}, "--tls-min-version"},
		{"suites with TLS 1.2", Flags{MinVersion: "VersionTLS12", Ciphers: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}, ""},
		{"suites with TLS 1.3", Flags{MinVersion: "VersionTLS13", Ciphers: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}, "cannot be chosen with TLS 1.3"},
		{"unknown suite", Flags{MinVersion: "VersionTLS12", Ciphers: "ROT13"}, `"ROT13"`},
		{"curves", Flags{MinVersion: "VersionTLS13", Curves: "29, 23"}, ""},
		{"curve twice", Flags{MinVersion: "VersionTLS13", Curves: "29,29"}, "distinct"},
		{"curve zero", Flags{MinVersion: "VersionTLS13", Curves: "0"}, "1 to 65535"},
		{"curve too large", Flags{MinVersion: "VersionTLS13", Curves: "65536"}, "1 to 65535"},
	}
	for _, tt := range tests {
		_, err := tt.flags.TLS()
		if tt.wantErr == "" && err != nil || tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.wantErr)
		}
	}
}

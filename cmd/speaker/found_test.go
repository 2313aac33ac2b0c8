// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"

	"metallb.io/metallb-frr/pkg/frr/vtysh"
)

func TestFoundFRRIsLoggedAndCounted(t *testing.T) {
	var lines []string
	log := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
	registry := prometheus.NewPedanticRegistry()
	found, err := (&options{node: "n1"}).found(registry, log)
	if err != nil {
		t.Fatal(err)
	}
	found(vtysh.Found{Version: "10.3", BMP: true})
	found(vtysh.Found{Version: "9.1"})
	want := []string{`"FRR found" "node"="n1" "version"="10.3"`, `"FRR found" "node"="n1" "version"="9.1"`, "bgpd has no BMP module", "older than 10.0"}
	if len(lines) != len(want) {
		t.Fatalf("logged %q, want %d lines", lines, len(want))
	}
	for i := range want {
		if !strings.Contains(lines[i], want[i]) {
			t.Errorf("logged %q, want %q", lines[i], want[i])
		}
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "metallb_frr_info" || len(families[0].GetMetric()) != 1 {
		t.Fatalf("metrics %v, %v, want one series of metallb_frr_info", families, err)
	}
	if m := families[0].GetMetric()[0]; m.GetGauge().GetValue() != 1 || m.GetLabel()[0].GetValue() != "9.1" {
		t.Errorf("metric %v, want the version 9.1", m)
	}
}

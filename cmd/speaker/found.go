// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"metallb.io/metallb-frr/pkg/frr/vtysh"
	"metallb.io/metallb-frr/pkg/telemetry"
)

// found returns what hears which FRR there is: it is logged once for each start
// of FRR, with what it lacks, and is in a metric.
func (o *options) found(r prometheus.Registerer, log logr.Logger) (func(vtysh.Found), error) {
	info, err := telemetry.NewFRRInfo(r)
	if err != nil {
		return nil, err
	}
	return func(f vtysh.Found) {
		info.Set(f.Version)
		log.Info("FRR found", "node", o.node, "version", f.Version)
		for _, missing := range f.Missing() {
			log.Info("FRR lacks something", "node", o.node, "version", f.Version, "reason", missing)
		}
	}, nil
}

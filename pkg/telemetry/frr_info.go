// SPDX-License-Identifier: Apache-2.0

package telemetry

import "github.com/prometheus/client_golang/prometheus"

// FRRInfo says which FRR a speaker has found.
type FRRInfo struct{ info *prometheus.GaugeVec }

// NewFRRInfo registers the collector on r.
func NewFRRInfo(r prometheus.Registerer) (*FRRInfo, error) {
	f := &FRRInfo{prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "metallb", Subsystem: "frr", Name: "info", Help: "1, labelled with the version of the FRR that runs on the node.",
	}, []string{"version"})}
	return f, register(r, f.info)
}

// Set records the version in place of the last.
func (f *FRRInfo) Set(version string) {
	f.info.Reset()
	f.info.WithLabelValues(version).Set(1)
}

// SPDX-License-Identifier: Apache-2.0

package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Drift counts what others do to the node's FRR.
type Drift struct {
	// Detected counts each time that FRR's running configuration was found to
	// be changed by somebody else, Repairs each time that it was set right.
	Detected, Repairs prometheus.Counter
	// Paused is 1 while an operator has paused repairs on the node.
	Paused prometheus.Gauge
	// Losses counts ends of FRR's daemons. Label: daemon.
	Losses *prometheus.CounterVec
}

func newDrift(r prometheus.Registerer) (*Drift, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "metallb", Subsystem: "speaker", Name: name, Help: help})
	}
	d := &Drift{
		Detected: counter("frr_drift_detected_total", "Times that somebody else was found to have changed FRR's running configuration."),
		Repairs:  counter("frr_drift_repairs_total", "Times that FRR's running configuration was set right again."),
		Paused: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "metallb", Subsystem: "speaker", Name: "frr_repairs_paused",
			Help: "1 while repairs of FRR's configuration are paused on this node."}),
		Losses: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "metallb", Subsystem: "speaker", Name: "frr_daemon_losses_total",
			Help: "Ends of FRR's daemons while the speaker ran."}, []string{"daemon"}),
	}
	return d, register(r, d.Detected, d.Repairs, d.Paused, d.Losses)
}

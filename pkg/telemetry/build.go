// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// Version is the release, set by the linker (-X); empty in builds without one.
var Version string

// Build says what a binary was made from.
type Build struct {
	Version  string // release, or "devel"
	Revision string // commit, with "-dirty" where the tree was changed; or "unknown"
	Go       string // toolchain
}

// ReadBuild returns the running binary's build.
func ReadBuild() Build {
	b := Build{Version: Version, Revision: "unknown"}
	if b.Version == "" {
		b.Version = "devel"
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Go = info.GoVersion
	dirty := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "-dirty"
			}
		}
	}
	if b.Revision != "unknown" {
		b.Revision += dirty
	}
	return b
}

// Register exposes the build as the gauge metallb_build_info, whose value is 1.
func (b Build) Register(r prometheus.Registerer) error {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "metallb_build_info",
		Help:        "1, with the build's version in the labels.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "goversion": b.Go},
	})
	g.Set(1)
	return r.Register(g)
}

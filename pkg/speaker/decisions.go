// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"fmt"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// logDecisions logs, at the debug level, each Service of which the node does
// something else than before, and why.
func logDecisions(log logr.Logger, before, after *plan.Result) {
	if log = log.V(1); !log.Enabled() {
		return
	}
	gone, fresh := after.Changed(before)
	was := make(map[intent.Key]plan.Decision, len(gone))
	for _, d := range gone {
		was[d.Service] = d
	}
	for _, d := range fresh {
		old, known := was[d.Service]
		delete(was, d.Service)
		if known && old.Announce == d.Announce && old.Reason == d.Reason && fmt.Sprint(old.Addresses, old.Peers) == fmt.Sprint(d.Addresses, d.Peers) {
			continue
		}
		if d.Announce {
			log.Info("service announced", "service", d.Service.String(), "addr", fmt.Sprint(d.Addresses), "peer", fmt.Sprint(d.Peers))
		} else {
			log.Info("service not announced", "service", d.Service.String(), "reason", string(d.Reason), "why", d.Message)
		}
	}
	for key := range was {
		log.Info("service gone", "service", key.String())
	}
}

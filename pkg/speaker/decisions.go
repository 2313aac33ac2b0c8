// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"fmt"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// logDecisions logs, at the debug level, each Service of which the node does
// something else than before, over BGP or in layer 2, or for another reason, and
// why.
func logDecisions(log logr.Logger, before, after *plan.Result) {
	if log = log.V(1); !log.Enabled() {
		return
	}
	gone, fresh := after.Changed(before)
	logChanged(log, gone, fresh)
	gone, fresh = after.ChangedL2(before)
	logChanged(log, gone, fresh)
}

// logChanged logs Decisions of one protocol that do not stand any more, and new
// ones.
func logChanged(log logr.Logger, gone, fresh []plan.Decision) {
	was := make(map[intent.Key]plan.Decision, len(gone))
	for _, d := range gone {
		was[d.Service] = d
	}
	for _, d := range fresh {
		old, known := was[d.Service]
		delete(was, d.Service)
		if known && old.Announce == d.Announce && old.Reason == d.Reason && old.Message == d.Message && fmt.Sprint(old.Addresses, old.Peers) == fmt.Sprint(d.Addresses, d.Peers) {
			continue
		}
		switch {
		case !d.Announce:
			log.Info("service not announced", "service", d.Service.String(), "reason", string(d.Reason), "why", d.Message, "protocol", d.Protocol)
		case d.Protocol == "layer2":
			log.Info("service announced", "service", d.Service.String(), "addr", fmt.Sprint(d.Addresses), "why", d.Message, "protocol", d.Protocol)
		default:
			log.Info("service announced", "service", d.Service.String(), "addr", fmt.Sprint(d.Addresses), "peer", fmt.Sprint(d.Peers), "protocol", d.Protocol)
		}
	}
	for key, d := range was {
		log.Info("service gone", "service", key.String(), "protocol", d.Protocol)
	}
}

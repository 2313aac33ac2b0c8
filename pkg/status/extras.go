// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"

	"metallb.io/metallb-frr/pkg/intent"
)

// Reasons of events on the ConfigMap bgpextras.
const (
	// ReasonExtrasRefused: some of its lines are not in force.
	ReasonExtrasRefused intent.Reason = "ExtrasRefused"
	// ReasonExtrasInForce: all of them are again.
	ReasonExtrasInForce intent.Reason = "ExtrasInForce"
)

// maxEvent bounds an event's message, in bytes. The API server takes 1024.
const maxEvent = 1000

// Extras says what is wrong with the ConfigMap bgpextras, as the message of an
// event: what can be told from the text, and the lines that FRR did not take
// with the nodes that report it. It is empty where nothing is.
func Extras(findings []intent.Finding, refused []Refusal) string {
	var parts []string
	for _, t := range []string{texts(findings), refusals(refused)} {
		if t != "" {
			parts = append(parts, t)
		}
	}
	return bounded(strings.Join(parts, "; "), maxEvent)
}

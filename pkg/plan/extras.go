// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strconv"
	"strings"

	"metallb.io/metallb-frr/pkg/intent"
)

// extrasFor returns what users add to the node's FRR configuration, and what of
// it FRR could not have there: it has one AS number per VRF.
func extrasFor(c *intent.Config, routers []*Router, node *intent.Node) (*intent.Extras, []intent.Finding) {
	if c.Extras == nil {
		return nil, nil
	}
	var findings []intent.Finding
	extras := c.Extras.In(func(l intent.ExtraLine) bool {
		asn, vrf, ok := routerOf(l.Text)
		if !ok {
			return true
		}
		for _, r := range routers {
			if r.VRF == vrf && asn != strconv.FormatUint(uint64(r.ASN), 10) {
				findings = append(findings, intent.Finding{
					Object: intent.ExtrasRef, Severity: intent.Invalid, Reason: ExtrasForeignASN, Field: "data." + intent.ExtrasKey, Value: l.Text,
					Message: fmt.Sprintf("line %d and what stands in its node are left out: node %s runs AS %d there for %s, and FRR has one per VRF; write %q",
						l.Number, node.Name, r.ASN, r.Origins[0], strings.Replace(l.Text, asn, strconv.FormatUint(uint64(r.ASN), 10), 1)),
				})
				return false
			}
		}
		return true
	})
	return extras, findings
}

// routerOf reads "router bgp ASN [vrf NAME]".
func routerOf(text string) (asn, vrf string, ok bool) {
	words := strings.Fields(text)
	if len(words) < 3 || words[0] != "router" || words[1] != "bgp" {
		return "", "", false
	}
	for i := 3; i+1 < len(words); i++ {
		if words[i] == "vrf" || words[i] == "view" {
			vrf = words[i+1]
		}
	}
	return words[2], vrf, true
}

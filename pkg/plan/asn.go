// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strconv"

	"metallb.io/metallb-frr/pkg/intent"
)

// speak sets what FRR is told of the session's AS numbers in a router of AS own:
// "local-as N no-prepend replace-as" shows the neighbour N, and a path of N alone.
func (s *Session) speak(own uint32) {
	s.ASN = s.Peer.ASN
	if s.Peer.Speaks() == own {
		return
	}
	s.LocalASN = s.Peer.Speaks()
	if s.Peer.Dynamic == "internal" {
		// FRR would expect the router's own AS.
		s.ASN = s.LocalASN
	}
}

// limits says what FRR does otherwise than a router of the session's own AS
// would, where that may matter.
func (s *Session) limits(r *Router, node *intent.Node) *intent.Finding {
	f := intent.Finding{Object: s.Peer.Ref(), Severity: intent.Warning, Reason: ASNLimited, Field: "spec.myASN", Value: asnText(s.Peer.MyASN)}
	switch {
	case s.LocalASN == 0:
		return nil
	case s.Peer.Internal():
		if s.Peer.LocalASN != 0 {
			f.Field, f.Value = "spec.localASN", asnText(s.Peer.LocalASN)
		}
		f.Message = fmt.Sprintf("node %s runs AS %d for %s, so FRR reaches this iBGP router over one hop only; see that it is on a subnet of the node, or use the same myASN, another VRF, or node selectors that do not meet", node.Name, r.ASN, r.origin(s))
	case s.Peer.Dynamic == "external" && s.Peer.MyASN != r.ASN:
		f.Message = fmt.Sprintf("node %s runs AS %d for %s, so dynamicASN external accepts any AS but %d here, and %d too; write peerASN, or use the same myASN", node.Name, r.ASN, r.origin(s), r.ASN, s.LocalASN)
	default:
		return nil
	}
	return &f
}

// origin names the peer that the router's AS number comes from.
func (r *Router) origin(s *Session) intent.Ref {
	if len(r.Origins) == 0 {
		return s.Peer.Ref()
	}
	return r.Origins[0]
}

func asnText(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

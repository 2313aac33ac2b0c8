// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"strconv"
	"strings"

	"metallb.io/metallb-frr/pkg/bgp"
)

// defaultMinimumTTL is FRR's, which says nothing where it is written.
const defaultMinimumTTL = 254

// warnOfPeer finds what a peer that is in force probably does not mean.
func (r *resolver) warnOfPeer(p *Peer) {
	warn := func(reason Reason, field, value, message string) {
		r.find(Finding{Object: p.Ref(), Severity: Warning, Reason: reason, Field: field, Value: value, Message: message})
	}
	switch {
	case p.GracefulRestart && p.BFD == nil:
		warn(GracefulRestartWithoutBFD, "spec.enableGracefulRestart", "true",
			"without bfdProfile the router keeps sending traffic to a node that died until the restart time ends (120s); set a bfdProfile, or remove enableGracefulRestart")
	case p.GracefulRestart:
		warn(GracefulRestartWithBFD, "spec.enableGracefulRestart", "true",
			"with a bfdProfile FRR at times ends the new session once after a restart of the whole frr container, and a route that no other node announces is gone for up to 2s; drain the node before, or let two nodes announce it")
	}
	if p.BFD == nil {
		return
	}
	field := "spec.bfdProfile"
	if p.BFD.EchoMode {
		reason, message := echo(p)
		warn(reason, field, p.BFD.Name, message)
	}
	if t := p.BFD.MinimumTTL; t != nil && (p.EBGPMultiHop || *t != defaultMinimumTTL) {
		warn(MinimumTTLIgnored, field, p.BFD.Name, "its minimumTtl "+strconv.Itoa(int(*t))+" has no effect: FRR takes the limit from the BGP session, which is 255 over one hop and 1 over several (ebgpMultiHop, or iBGP to another subnet); remove minimumTtl")
	}
}

// echo says what to expect of echo mode on the session (RFC 5880 section 6.4).
func echo(p *Peer) (Reason, string) {
	if p.EBGPMultiHop {
		return EchoModeIgnored, "has echoMode, which BFD does not have over several hops: the session goes without it; use a profile without echoMode, or remove ebgpMultiHop"
	}
	message := "has echoMode: the router has to send the node's echo packets back, and where it does not, the BFD session goes up and down for ever; see that it forwards packets whose source and destination are the node"
	if !p.Addr.IsValid() || bgp.FamilyOf(p.Addr) == bgp.IPv6 {
		message = "has echoMode, which over IPv6 works only if the router is FRR, too: with others the BFD session goes up and down for ever"
	}
	if p.Internal() {
		message += "; over several hops (iBGP to another subnet) FRR does not open the session at all"
	}
	return EchoModeNeedsRouter, message + "; use a profile without echoMode otherwise"
}

// tooMany checks how many communities an advertisement lists. What aliases stand
// for is not known here: they count as communities of the smaller kind.
func tooMany(texts []string) []Finding {
	large := 0
	for _, t := range texts {
		if strings.HasPrefix(t, "large:") {
			large++
		}
	}
	if bgp.CommunitiesFit(len(texts)-large, large) {
		return nil
	}
	return []Finding{fault(TooManyCommunities, "spec.communities", "",
		"%d communities and %d large ones are more than one route can carry; write at most %d of each, and 3900 bytes in all (4 and 12 bytes each)", len(texts)-large, large, bgp.MaxCommunities)}
}

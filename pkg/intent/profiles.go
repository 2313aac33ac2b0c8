// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"strconv"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

func (r *resolver) profiles() {
	for _, o := range r.s.BFDProfiles {
		p := accept(r, Ref{Kind: v1beta1.KindBFDProfile, Name: o.Name}, &o.Spec, o.Status.LastAccepted, parseProfile)
		if p != nil {
			p.Name = o.Name
			r.c.BFDProfiles = append(r.c.BFDProfiles, p)
		}
	}
}

func parseProfile(s *v1beta1.BFDProfileSpec) (*BFDProfile, []Finding) {
	p := &BFDProfile{
		DetectMultiplier: s.DetectMultiplier, MinimumTTL: s.MinimumTTL,
		EchoMode: s.EchoMode != nil && *s.EchoMode, PassiveMode: s.PassiveMode != nil && *s.PassiveMode,
	}
	var findings []Finding
	for _, f := range []struct {
		field string
		from  *v1beta1.Milliseconds
		to    **uint32
	}{
		{"spec.receiveInterval", s.ReceiveInterval, &p.ReceiveInterval},
		{"spec.transmitInterval", s.TransmitInterval, &p.TransmitInterval},
		{"spec.echoInterval", s.EchoInterval, &p.EchoInterval},
	} {
		if f.from == nil {
			continue
		}
		ms, err := f.from.Milliseconds()
		if err != nil {
			findings = append(findings, fault(InvalidInterval, f.field, string(*f.from), "must be 10 to 60000 milliseconds, written as an integer (300) or a duration (%q)", "300ms"))
			continue
		}
		*f.to = &ms
	}
	if m := s.DetectMultiplier; m != nil && (*m < 2 || *m > 255) {
		findings = append(findings, fault(InvalidInterval, "spec.detectMultiplier", strconv.Itoa(int(*m)), "write 2 to 255"))
	}
	if t := s.MinimumTTL; t != nil && (*t < 1 || *t > 254) {
		findings = append(findings, fault(InvalidInterval, "spec.minimumTtl", strconv.Itoa(int(*t)), "write 1 to 254"))
	}
	if len(findings) > 0 {
		return nil, findings
	}
	return p, nil
}

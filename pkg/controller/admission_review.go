// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// maxSaid is how many findings one answer tells of.
const maxSaid = 10

// world is a Snapshot, and what is wrong in it.
type world struct {
	snapshot *intent.Snapshot
	intent   *intent.Intent
	checked  *plan.Checked
}

// judge finds what is wrong in s, with what BGPPeers name taken for there: it may
// come later, and what contradicts a BGPPeer does so already. prev, which may be
// nil, is what was judged before.
func judge(prev *world, s *intent.Snapshot) *world {
	w := &world{snapshot: s}
	if prev == nil {
		prev = &world{}
	}
	w.intent = intent.Resolve(prev.intent, assumed(s))
	w.checked = plan.Check(prev.checked, w.intent)
	return w
}

func (w *world) findings() []intent.Finding {
	return slices.Concat(w.intent.Findings, w.checked.Findings)
}

// review answers a change by what was judged before it.
func (c *change) review(now *world) admission.Response {
	if c.now == nil {
		return c.reviewRemoval(now)
	}
	before := now
	if s := c.before(now.snapshot); s != now.snapshot {
		before = judge(now, s)
	}
	after := judge(before, c.with(before.snapshot, c.now))
	fresh := worse(before.findings(), after.findings())
	fresh = append(fresh, c.unresolved(before.snapshot)...)
	var invalid, others []intent.Finding
	for _, f := range fresh {
		if f.Severity == intent.Invalid {
			invalid = append(invalid, f)
		} else {
			others = append(others, f)
		}
	}
	warnings := c.texts(others)
	if len(invalid) > 0 {
		return admission.Denied(strings.Join(c.texts(invalid), "\n")).WithWarnings(warnings...)
	}
	return admission.Allowed("").WithWarnings(warnings...)
}

// reviewRemoval keeps a BFDProfile that BGPPeers use, unless all goes with its
// namespace.
func (c *change) reviewRemoval(now *world) admission.Response {
	s := now.snapshot
	for _, ns := range s.Namespaces {
		if ns.Name == s.Namespace && ns.DeletionTimestamp != nil {
			return admission.Allowed("")
		}
	}
	for _, p := range s.Peers {
		if p.DeletionTimestamp == nil && (p.Spec.BFDProfile == c.ref.Name || now.uses(p.Name, c.ref.Name)) {
			return admission.Denied(fmt.Sprintf("failed to delete BFDProfile %s, used by BGPPeer %s: its session would be closed; remove spec.bfdProfile there, or name another profile, and delete this one then", c.ref.Name, p.Name))
		}
	}
	return admission.Allowed("")
}

// uses reports whether a peer is in force with a profile, be it by its last accepted
// spec.
func (w *world) uses(peer, profile string) bool {
	i := slices.IndexFunc(w.intent.Peers, func(p *intent.Peer) bool { return p.Name == peer })
	return i >= 0 && w.intent.Peers[i].BFD != nil && w.intent.Peers[i].BFD.Name == profile
}

// unresolved finds the BFDProfile that the peer names and that is not there, which
// assumed hides.
func (c *change) unresolved(s *intent.Snapshot) []intent.Finding {
	p, ok := c.now.(*v1beta2.BGPPeer)
	if !ok || p.Spec.BFDProfile == "" {
		return nil
	}
	if old, ok := c.old.(*v1beta2.BGPPeer); ok && old.Spec.BFDProfile == p.Spec.BFDProfile {
		return nil
	}
	bare := *p
	bare.Spec.Password, bare.Spec.PasswordSecret = "", v1beta2.BGPPeer{}.Spec.PasswordSecret
	alone := intent.Resolve(nil, &intent.Snapshot{Namespace: s.Namespace, Peers: []*v1beta2.BGPPeer{&bare}, BFDProfiles: s.BFDProfiles})
	return slices.DeleteFunc(slices.Clone(alone.Findings), func(f intent.Finding) bool { return f.Reason != intent.BFDProfileNotFound })
}

// texts says findings to whoever made the change, those about its object first.
func (c *change) texts(findings []intent.Finding) []string {
	var own, others []string
	for _, f := range findings {
		if f.Object == c.ref {
			own = append(own, f.String())
		} else {
			others = append(others, "with this change, "+f.String())
		}
	}
	all := slices.Concat(own, others)
	if more := len(all) - maxSaid; more > 0 {
		all = append(all[:maxSaid], fmt.Sprintf("and %d more", more))
	}
	return all
}

// assumed returns s with the Secrets and BFDProfiles that its BGPPeers name.
func assumed(s *intent.Snapshot) *intent.Snapshot {
	out := *s
	out.Secrets = map[string]intent.Secret{}
	out.BFDProfiles = slices.Clone(s.BFDProfiles)
	for i, p := range out.BFDProfiles {
		if p.Status.LastAccepted == nil {
			// One that is not valid is in force with FRR's defaults; what is wrong
			// with it is found nevertheless.
			p = p.DeepCopy()
			p.Status.LastAccepted = &v1beta1.AcceptedSpec{Spec: runtime.RawExtension{Raw: []byte("{}")}}
			out.BFDProfiles[i] = p
		}
	}
	for _, p := range s.Peers {
		if name := p.Spec.PasswordSecret.Name; name != "" {
			out.Secrets[name] = intent.Secret{Type: corev1.SecretTypeBasicAuth, HasPassword: true}
		}
		name := p.Spec.BFDProfile
		if name == "" {
			continue
		}
		i, there := slices.BinarySearchFunc(out.BFDProfiles, name, func(b *v1beta1.BFDProfile, name string) int { return strings.Compare(b.Name, name) })
		if !there {
			out.BFDProfiles = slices.Insert(out.BFDProfiles, i, &v1beta1.BFDProfile{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}
	}
	return &out
}

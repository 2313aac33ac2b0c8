// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// Sharing is what decides with which other Services a Service may share an
// address: with those of the same Key and the same Backend that have none of its
// Ports.
type Sharing struct {
	// Key is the annotation metallb.io/allow-shared-ip, never empty.
	Key string
	// Backend is empty with externalTrafficPolicy Cluster. With Local, where a
	// node passes on what it gets to its own pods only, it is "Local" and the
	// selector of the pods in a canonical form.
	Backend string
	// Ports are those that the Service listens on, sorted, each once.
	Ports []Port
	// Digest is the same for two values only if the other fields are.
	Digest string
}

// Port is a port of a load balancer, such as TCP/80.
type Port struct {
	Protocol corev1.Protocol
	Number   int32
}

// String returns "TCP/80".
func (p Port) String() string { return fmt.Sprintf("%s/%d", p.Protocol, p.Number) }

// Compare orders by protocol, number.
func (p Port) Compare(o Port) int {
	return cmp.Or(cmp.Compare(p.Protocol, o.Protocol), cmp.Compare(p.Number, o.Number))
}

func sharingOf(o *corev1.Service) *Sharing {
	key, _ := annotation(o, v1beta1.AnnotationAllowSharedIP, v1beta1.LegacyAnnotationAllowSharedIP)
	if key == "" {
		return nil
	}
	s := &Sharing{Key: key}
	if o.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		s.Backend = "Local " + labels.Set(o.Spec.Selector).String()
	}
	for _, p := range o.Spec.Ports {
		s.Ports = append(s.Ports, Port{cmp.Or(p.Protocol, corev1.ProtocolTCP), p.Port})
	}
	slices.SortFunc(s.Ports, Port.Compare)
	s.Ports = slices.Compact(s.Ports)
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %v", s.Key, s.Backend, s.Ports))
	s.Digest = hex.EncodeToString(sum[:8])
	return s
}

// mostLast is how many remembered sets are read.
const mostLast = 8

// lastOf reads the annotation metallb.io/last-ips: sets separated by semicolons,
// their addresses by commas. What cannot be read is left out: the controller
// writes it, and writes it anew.
func lastOf(o *corev1.Service) [][]netip.Addr {
	text, ok := o.Annotations[v1beta1.AnnotationLastIPs]
	if !ok {
		return nil
	}
	var last [][]netip.Addr
	for words := range strings.SplitSeq(text, ";") {
		var set []netip.Addr
		for word := range strings.SplitSeq(words, ",") {
			if addr, ok := parseAddr(strings.TrimSpace(word)); ok && len(set) < 2 {
				set = append(set, addr)
			}
		}
		slices.SortFunc(set, netip.Addr.Compare)
		if set = slices.Compact(set); len(set) > 0 && len(last) < mostLast {
			last = append(last, set)
		}
	}
	return last
}

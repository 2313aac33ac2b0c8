// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"

	"github.com/go-logr/logr"
)

// DefaultPort is the port of MetalLB's speakers, TCP and UDP.
const DefaultPort = 7946

// Options say who this member is and how it speaks.
type Options struct {
	// Node is the name of the node, and so the member's. Required.
	Node string
	// Bind is the address that is listened on, TCP and UDP, and that packets are
	// sent from: the pod's address. All members have the same port; 0 is
	// DefaultPort. Required.
	Bind netip.AddrPort
	// Advertise is where the others reach this member; not valid: Bind. Required
	// where Bind is unspecified (0.0.0.0 or ::).
	Advertise netip.AddrPort
	// Secret is what the members share, as it stands in the file; see Key. Empty:
	// nothing is encrypted, and whoever reaches the port is a member.
	Secret []byte
	// Tuning holds the protocol's numbers. The zero value is LAN().
	Tuning Tuning
	// Log gets joins that fail for a reason that waiting does not mend, each once,
	// and at debug what memberlist says. The zero value discards.
	Log logr.Logger

	// cut tells whether a packet of so many bytes, or with 0 a connection, does not
	// pass between this member and an address, in either direction. Nil: all
	// passes. For tests.
	cut func(peer netip.Addr, size int) bool
}

// Key derives the AES-256 key from the shared secret exactly as MetalLB does, so
// that both can be members of one cluster: the first 32 bytes of the secret
// followed by the SHA-256 of the empty string. A secret of 32 bytes or more is
// cut, a shorter one filled up. An empty secret has no key.
func Key(secret []byte) []byte {
	if len(secret) == 0 {
		return nil
	}
	fill := sha256.Sum256(nil)
	return append(bytes.Clone(secret), fill[:]...)[:32]
}

// check completes the options and refuses what cannot work.
func (o Options) check() (Options, error) {
	if o.Node == "" {
		return o, errors.New("the member's name, which is the node's, is empty")
	}
	if !o.Bind.IsValid() {
		return o, errors.New("the address to listen on for other speakers is not given")
	}
	o.Bind = withPort(o.Bind, DefaultPort)
	if !o.Advertise.IsValid() {
		o.Advertise = o.Bind
	}
	o.Advertise = withPort(o.Advertise, o.Bind.Port())
	if o.Advertise.Addr().IsUnspecified() {
		return o, fmt.Errorf("other speakers cannot reach %v: listening on every address needs one to advertise, the pod's", o.Advertise.Addr())
	}
	if o.Tuning == (Tuning{}) {
		o.Tuning = LAN()
	}
	if o.Log.GetSink() == nil {
		o.Log = logr.Discard()
	}
	return o, o.Tuning.Check()
}

func withPort(a netip.AddrPort, port uint16) netip.AddrPort {
	if a.Port() != 0 {
		port = a.Port()
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), port)
}

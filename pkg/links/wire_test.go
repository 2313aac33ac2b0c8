// SPDX-License-Identifier: Apache-2.0

package links_test

import (
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// operstate sets an interface's link mode and operational state, as an
// authenticator does (wpa_supplicant for 802.1X).
func operstate(t *testing.T, n *node, l netlink.Link, mode uint8, state netlink.LinkOperState) {
	t.Helper()
	done := make(chan error)
	n.in(func() {
		req := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
		head := nl.NewIfInfomsg(unix.AF_UNSPEC)
		head.Index = int32(l.Attrs().Index)
		req.AddData(head)
		req.AddData(nl.NewRtAttr(unix.IFLA_LINKMODE, nl.Uint8Attr(mode)))
		req.AddData(nl.NewRtAttr(unix.IFLA_OPERSTATE, nl.Uint8Attr(uint8(state))))
		_, err := req.Execute(unix.NETLINK_ROUTE, 0)
		done <- err
	})
	n.must(<-done)
}

// dadFailed waits until duplicate address detection has failed for an address of
// the interface. The kernel is asked again and again: what tells of it otherwise
// is what is tested.
func dadFailed(t *testing.T, n *node, l netlink.Link) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(timeLimit); ; {
		addrs, err := n.AddrList(l, netlink.FAMILY_V6)
		n.must(err)
		for _, a := range addrs {
			if a.Flags&unix.IFA_F_DADFAILED != 0 {
				return
			}
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("duplicate address detection has not failed: %v", addrs)
		}
	}
}

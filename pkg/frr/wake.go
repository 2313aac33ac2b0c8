// SPDX-License-Identifier: Apache-2.0

package frr

import "strings"

// wake returns what lets the sessions begin again from which BFD is taken away.
//
// A BGP session that BFD has ended stays idle until BFD is up again, and FRR 10.3
// does not look again when BFD is not wanted any more. Setting the connect time,
// to what it is already, starts a session that is not established and leaves one
// that is alone.
func (d *differ) wake(undo []Command) []Command {
	var wake []Command
	for _, c := range undo {
		rest, ok := strings.CutPrefix(c.Text, "no neighbor ")
		id, ok2 := strings.CutSuffix(rest, " bfd")
		if !ok || !ok2 {
			continue
		}
		if l, stays := d.is[slotID(c.Node, "neighbor "+id+" timers connect 0")]; stays {
			wake = append(wake, l.set())
		}
	}
	return wake
}

// SPDX-License-Identifier: Apache-2.0

package product

import (
	"slices"
	"testing"
	"time"
)

// Two flows in turn, 100 ms apart, of which the first loses three in a row and the
// second its last.
func TestDelivery(t *testing.T) {
	begin := time.Unix(1000, 0)
	var sent []datagram
	for i, node := range []string{"n1", "n2", "", "n2", "", "n2", "", "n2", "n1", ""} {
		sent = append(sent, datagram{at: begin.Add(time.Duration(i) * 100 * time.Millisecond), flow: i % 2, node: node})
	}
	d := deliveryOf(sent)
	if d.Sent != 10 || d.Lost != 4 || d.ByNode["n1"] != 2 || d.ByNode["n2"] != 4 {
		t.Errorf("delivery %+v; want 10 sent, 4 lost, 2 answered by n1 and 4 by n2", d)
	}
	if d.Gap != 800*time.Millisecond {
		t.Errorf("gap %v, want that of the first flow, 800ms", d.Gap)
	}
	if !d.First.Equal(sent[2].at) || !d.Last.Equal(sent[9].at) {
		t.Errorf("lost from %v to %v, want from the third to the last", d.First, d.Last)
	}
	if got, want := d.LostPer(300*time.Millisecond), []int{1, 1, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("lost per 300 ms: %v, want %v", got, want)
	}
	if none := deliveryOf(sent[:2]); none.Lost != 0 || none.Gap != 0 {
		t.Errorf("delivery of two that were answered: %+v", none)
	}
}

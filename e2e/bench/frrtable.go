// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// flatRows must not grow with the number of prefixes, and speakerLimit bounds the
// speaker's processor time for a change, in milliseconds.
var flatRows = []string{"change-lines-sent", "change-daemon-cpu", "change-to-far-kernel"}

const (
	flatLimit    = 1.5
	speakerLimit = 5.0
)

// compareEngines lays the medians of both engines side by side, and says which of
// the product's aims they meet.
func compareEngines(rows []Row) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tPREFIXES\tDELTA\tFRR-RELOAD\tRATIO\tUNIT")
	find := func(name, engine string, size int) *Row {
		for i, r := range rows {
			if r.Name == name && r.Params["engine"] == engine && r.Params["prefixes"] == size {
				return &rows[i]
			}
		}
		return nil
	}
	for _, name := range frrRows {
		for _, size := range frrSizes {
			d, f := find(name, "delta", size), find(name, "frr-reload", size)
			if d == nil {
				continue
			}
			other, ratio := "-", "-"
			switch {
			case f != nil && f.N == 0:
				other = fmt.Sprintf("> %.0f", float64(frrLimit.Milliseconds()))
			case f != nil:
				other = figure(f.Median)
				ratio = fmt.Sprintf("%.1f", f.Median/max(d.Median, 0.001))
			}
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", name, size, figure(d.Median), other, ratio, d.Unit)
		}
	}
	w.Flush()
	least, most := frrSizes[0], frrSizes[len(frrSizes)-1]
	for _, name := range flatRows {
		if small, large := find(name, "delta", least), find(name, "delta", most); small != nil && large != nil {
			grows := large.Median / max(small.Median, 0.001)
			fmt.Fprintf(&b, "%s at %d prefixes is %.2f times that at %d: %s\n", name, most, grows, least, verdict(grows <= flatLimit, "at most %.1f", flatLimit))
		}
	}
	if r := find("change-speaker-cpu", "delta", most); r != nil {
		fmt.Fprintf(&b, "change-speaker-cpu at %d prefixes is %.2f ms: %s\n", most, r.Median, verdict(r.Median <= speakerLimit, "at most %.0f", speakerLimit))
	}
	return b.String()
}

func verdict(met bool, want string, args ...any) string {
	want = fmt.Sprintf(want, args...)
	if met {
		return "as wanted, " + want
	}
	return "NOT MET, " + want
}

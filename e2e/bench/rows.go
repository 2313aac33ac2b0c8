// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Row is one figure of a bench, as it stands in out/bench/<name>.json.
type Row struct {
	Name   string         `json:"name"`
	Params map[string]any `json:"params"`
	Unit   string         `json:"unit"`
	N      int            `json:"n"`
	Median float64        `json:"median"`
	P90    float64        `json:"p90"`
	Max    float64        `json:"max"`
}

// milliseconds makes a row of durations.
func milliseconds(name string, params map[string]any, values []time.Duration) Row {
	ms := make([]float64, len(values))
	for i, v := range values {
		ms[i] = float64(v.Microseconds()) / 1000
	}
	slices.Sort(ms)
	r := Row{Name: name, Params: params, Unit: "ms", N: len(ms)}
	if len(ms) > 0 {
		r.Median, r.P90, r.Max = ms[len(ms)/2], ms[(len(ms)*9-1)/10], ms[len(ms)-1]
	}
	return r
}

// table lays rows out for a person.
func table(rows []Row) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tPARAMS\tN\tMEDIAN\tP90\tMAX\tUNIT")
	for _, r := range rows {
		var params []string
		for _, k := range slices.Sorted(maps.Keys(r.Params)) {
			params = append(params, fmt.Sprintf("%s=%v", k, r.Params[k]))
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%.0f\t%.0f\t%s\n", r.Name, strings.Join(params, " "), r.N, r.Median, r.P90, r.Max, r.Unit)
	}
	w.Flush()
	return b.String()
}

// save writes out/bench/<name>.json.
func save(name string, rows []Row) error {
	path := filepath.Join("out", "bench", name+".json")
	text, err := json.MarshalIndent(rows, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("writing the rows: %w", err)
	}
	fmt.Printf("rows: %s\n\n", path)
	return nil
}

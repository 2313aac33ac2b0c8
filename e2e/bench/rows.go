// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
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
	P99    float64        `json:"p99"`
	Max    float64        `json:"max"`
	// Of is what the figures are out of, such as datagrams sent: the median. 0: of nothing.
	Of float64 `json:"of,omitempty"`
	// Note says what is to be known of the figure, such as why N is 0.
	Note string `json:"note,omitempty"`
}

// milliseconds makes a row of durations.
func milliseconds(name string, params map[string]any, values []time.Duration) Row {
	ms := make([]float64, len(values))
	for i, v := range values {
		ms[i] = float64(v.Microseconds()) / 1000
	}
	return figures(name, params, "ms", ms)
}

// figures makes a row of values in that unit.
func figures(name string, params map[string]any, unit string, values []float64) Row {
	values = slices.Sorted(slices.Values(values))
	r := Row{Name: name, Params: params, Unit: unit, N: len(values)}
	if n := len(values); n > 0 {
		r.Median, r.P90, r.P99, r.Max = median(values), values[(n*9-1)/10], values[(n*99-1)/100], values[n-1]
	}
	return r
}

// median is that of sorted values.
func median(sorted []float64) float64 { return sorted[len(sorted)/2] }

// machineLoad is how many wanted to run on this machine, on average of the last
// minute; a bench that shares the machine says it of before it began. Empty: not
// known.
func machineLoad() string {
	text, _ := os.ReadFile("/proc/loadavg")
	load, _, _ := strings.Cut(string(text), " ")
	return load
}

// withNote gives rows a note.
func withNote(note string, rows ...Row) []Row {
	for i := range rows {
		rows[i].Note = note
	}
	return rows
}

// figure writes a value with what digits matter.
func figure(v float64) string {
	if v == math.Trunc(v) || v >= 10 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// table lays rows out for a person.
func table(rows []Row) string {
	var b strings.Builder
	var notes []string
	w := tabwriter.NewWriter(&b, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tPARAMS\tN\tMEDIAN\tP90\tP99\tMAX\tUNIT")
	for _, r := range rows {
		var params []string
		for _, k := range slices.Sorted(maps.Keys(r.Params)) {
			params = append(params, fmt.Sprintf("%s=%v", k, r.Params[k]))
		}
		unit := r.Unit
		if r.Of > 0 {
			unit += fmt.Sprintf(" of %.0f", r.Of)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", r.Name, strings.Join(params, " "), r.N, figure(r.Median), figure(r.P90), figure(r.P99), figure(r.Max), unit)
		if r.Note != "" && !slices.Contains(notes, r.Note) {
			notes = append(notes, r.Note)
		}
	}
	w.Flush()
	for _, n := range notes {
		fmt.Fprintf(&b, "Note: %s\n", n)
	}
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

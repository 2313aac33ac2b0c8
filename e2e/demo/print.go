// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
)

const picture = `
A bare-metal cluster behind two top-of-rack routers, all on this machine:

                      c1                client
                ┌─────┴─────┐
              tor1        tor2          FRR, AS 65000: ECMP, BFD
                └──┬──┬──┬──┘
                  n1 n2 n3              nodes, AS 65100: kubelet, containerd, kube-proxy
`

const indent = "    "

// printer writes the story: numbered steps with the time since the beginning, and
// what belongs to them, indented.
type printer struct {
	w     io.Writer
	began time.Time
	steps int
}

// print writes text as it is.
func (p *printer) print(text string) { fmt.Fprint(p.w, text) }

// step begins the next step.
func (p *printer) step(title string) {
	p.steps++
	fmt.Fprintf(p.w, "\n%d. %s  [%s]\n", p.steps, title, time.Since(p.began).Round(time.Second))
}

// say writes a line of the step, or an empty one.
func (p *printer) say(format string, args ...any) {
	fmt.Fprintln(p.w, strings.TrimRight(indent+fmt.Sprintf(format, args...), " "))
}

// at writes a line with a time since an event of the step.
func (p *printer) at(since time.Duration, format string, args ...any) {
	p.say("%6.2f s  %s", since.Seconds(), fmt.Sprintf(format, args...))
}

// command writes a command as one would type it.
func (p *printer) command(args ...string) {
	words := make([]string, len(args))
	for i, a := range args {
		if words[i] = a; strings.ContainsAny(a, " ") {
			words[i] = `"` + a + `"`
		}
	}
	fmt.Fprintf(p.w, "\n"+indent+"$ %s\n", strings.Join(words, " "))
}

// output writes what a command answered.
func (p *printer) output(text string) {
	for line := range strings.Lines(strings.Trim(text, "\n")) {
		fmt.Fprintln(p.w, strings.TrimRight(indent+line, " \r\n"))
	}
}

// indented is for progress that others write, in whole lines.
func (p *printer) indented() io.Writer { return indenter{p.w} }

type indenter struct{ w io.Writer }

func (i indenter) Write(b []byte) (int, error) {
	for line := range bytes.Lines(b) {
		if _, err := fmt.Fprintf(i.w, indent+"%s", line); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// parser finds the answers to lines in what vtysh prints.
type parser struct {
	lines   []string
	replies []reply
	seen    int      // echoes seen
	text    []string // since the last echo
}

// done reports whether the last line's echo was seen.
func (p *parser) done() bool { return p.seen == len(p.lines) }

// feed takes in data, of which it returns what is not a whole line. err is what
// came with the data; what is returned in its place stops the reading.
func (p *parser) feed(data []byte, err error) ([]byte, error) {
	for !p.done() {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			break
		}
		line := strings.TrimSuffix(string(data[:i]), "\r")
		data = data[i+1:]
		if lost := lostDaemon(line); lost != nil {
			return data, lost
		}
		p.line(line)
	}
	if errors.Is(err, io.EOF) {
		err = errors.New(strings.Join(append([]string{"vtysh ended"}, p.text...), "; "))
	}
	if p.done() {
		err = nil
	}
	return slices.Clip(data), err
}

func (p *parser) line(line string) {
	node, before, ok := echo(line, p.lines[p.seen])
	if !ok {
		p.text = append(p.text, line)
		return
	}
	if before != "" {
		p.text = append(p.text, before)
	}
	if p.seen > 0 {
		p.replies = append(p.replies, reply{text: p.text, prompt: node})
	}
	p.seen++
	p.text = nil
}

// echo reports whether line ends with a prompt followed by typed, and the
// configuration node that the prompt names. Some answers of FRR's end without a
// newline: before is such an answer, with the host name at its end.
func echo(line, typed string) (node, before string, ok bool) {
	prompt, ok := strings.CutSuffix(line, "# "+typed)
	if !ok {
		return "", "", false
	}
	host, inNode := strings.CutSuffix(prompt, ")")
	if i := strings.LastIndexByte(host, '('); inNode && i >= 0 {
		host, node = host[:i], host[i+1:]
	}
	if strings.ContainsAny(host, " \t") {
		before = host
	}
	return node, before, true
}

// lostError says that the connection to a daemon broke since the last exchange,
// be it back by now or not: the daemon has lost its configuration.
type lostError struct{ DownError }

func (e *lostError) Unwrap() error { return &e.DownError }

var (
	reconnect  = regexp.MustCompile(`^Warning: (?:closing connection to|connecting to) ([a-z0-9]+)`)
	notRunning = regexp.MustCompile(`^([a-z0-9]+) is not running$`)
)

// lostDaemon tells whether vtysh says that it does not reach a daemon.
func lostDaemon(line string) error {
	if m := reconnect.FindStringSubmatch(line); m != nil {
		return &lostError{DownError{m[1]}}
	}
	// That a daemon does not run which the product does not need is a refusal
	// of the line that is for it.
	if m := notRunning.FindStringSubmatch(line); m != nil && slices.Contains(Daemons(), m[1]) {
		return &DownError{m[1]}
	}
	return nil
}

// refusedError is what FRR said to a command that it did not accept.
type refusedError struct{ message string }

func (e *refusedError) Error() string { return "FRR says: " + e.message }

// verdict is how FRR took a line.
type verdict struct {
	refusal     string // what FRR said, without the leading "% "; empty: accepted
	transaction bool   // refused by a daemon's transaction: the session is spoilt
	locked      bool   // FRR's configuration is locked
}

// unmarked are beginnings of refusals that FRR prints without "% ".
var unmarked = []string{"Malformed ", "Invalid ", "Can't ", "Cannot ", "Error", "BGP instance "}

// remarks are beginnings of what FRR prints like a refusal about a line that it
// takes.
var remarks = []string{"Echo mode works correctly for IPv4"}

// judge reads the answer to a line. What is no refusal is a note.
func judge(text []string) verdict {
	for i, line := range text {
		message, ok := strings.CutPrefix(line, "%")
		message = strings.TrimLeft(message, " ")
		if !ok && notRunning.MatchString(line) || !ok && slices.ContainsFunc(unmarked, func(p string) bool { return strings.HasPrefix(line, p) }) {
			message, ok = line, true
		}
		if !ok || slices.ContainsFunc(remarks, func(p string) bool { return strings.HasPrefix(message, p) }) {
			continue
		}
		v := verdict{refusal: message}
		if strings.HasPrefix(message, "Configuration failed") {
			// The reasons follow, each on a line of its own; some are
			// uninitialised memory.
			v.transaction = true
			v.refusal = "Configuration failed"
			for _, more := range text[i+1:] {
				if more = strings.TrimSpace(more); len(more) > 3 && printable(more) {
					v.refusal += "; " + more
				}
			}
		}
		for _, sign := range []string{"could not lock", "is not locked", "locked by", "already in progress"} {
			v.locked = v.locked || strings.Contains(v.refusal, sign)
		}
		return v
	}
	return verdict{}
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// gone reports whether FRR refused to take away what is not there.
func (v verdict) gone() bool {
	for _, sign := range []string{
		"Can't find", "No such", "not found", "does not exist", "doesn't exist", "not configured", "Could not find",
		"Specify remote-as", "Create the peer-group first", "Command incomplete", "no such", "unknown neighbor", "Unknown neighbor",
	} {
		if strings.Contains(v.refusal, sign) {
			return true
		}
	}
	return false
}

func containsWord(text, word string) bool { return slices.Contains(strings.Fields(text), word) }

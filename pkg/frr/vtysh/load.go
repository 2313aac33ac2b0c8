// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/frr"
)

// batchFrom is the number of commands from which they are typed as one
// transaction: route-maps are loaded several times as fast that way, but a line
// refused by the transaction takes all others along.
const batchFrom = 32

// loader types a delta's commands.
type loader struct {
	driver *Driver
	all    []frr.Command
	known  refusals // lines not to be typed again

	sent    int
	refused []refused

	// What is typed how:
	batch  bool // as one transaction
	single bool // one line at a time

	// Where vtysh is:
	inside bool     // in configuration mode
	node   []string // the commands that lead there
	names  []string // the prompt's name of each node on the way, "config" first
}

// refused is a command that FRR does not accept.
type refused struct {
	frr.Command
	message string
	under   bool // because the node that it stands in was refused
}

// errSpoilt: a transaction was rejected; nothing more may be typed in this
// session.
var errSpoilt = errors.New("FRR rejected a configuration transaction")

// load types all commands. Where a transaction is rejected it begins again, line
// by line, to find which one it was: all commands may be typed twice.
func (l *loader) load(ctx context.Context) error {
	l.batch = len(l.all) >= batchFrom
	err := l.run(ctx)
	if !errors.Is(err, errSpoilt) {
		return err
	}
	if err := l.again(ctx); err != nil {
		return err
	}
	l.batch, l.single = false, true
	l.sent, l.refused = 0, nil
	return l.run(ctx)
}

// retry types once more what was refused just now, where something was taken away
// after it: a delta sets before it undoes, and some settings exclude each other.
func (l *loader) retry(ctx context.Context) error {
	again := func(r refused) bool { return !r.Undo && l.known.why(r.Command) == "" }
	undid := slices.ContainsFunc(l.all, func(c frr.Command) bool { return c.Undo })
	if !undid || !slices.ContainsFunc(l.refused, again) {
		return nil
	}
	second := &loader{driver: l.driver, known: l.known}
	var rest []refused
	for _, r := range l.refused {
		if again(r) {
			second.all = append(second.all, r.Command)
		} else {
			rest = append(rest, r)
		}
	}
	if err := second.load(ctx); err != nil {
		return err
	}
	l.sent += second.sent
	l.refused = append(rest, second.refused...)
	return nil
}

// again starts a new vtysh in place of a spoilt one.
func (l *loader) again(ctx context.Context) error {
	d := l.driver
	old := d.inForce
	d.stop()
	if err := d.start(ctx); err != nil {
		return err
	}
	d.inForce = old
	l.inside, l.node, l.names = false, nil, nil
	return nil
}

func (l *loader) run(ctx context.Context) error {
	for i := 0; i < len(l.all); {
		c := l.all[i]
		if why, under := l.without(c); why != "" {
			l.refused = append(l.refused, refused{c, why, under})
			i++
			continue
		}
		if n := l.bulk(i); n > 0 {
			if err := l.read(ctx, l.all[i:i+n]); err != nil {
				return err
			}
			l.sent += n
			i += n
			continue
		}
		n := 1
		for !c.Opens && !l.single && i+n < len(l.all) && n < window && l.follows(c, l.all[i+n]) {
			n++
		}
		done, err := l.step(ctx, l.all[i:i+n])
		if err != nil {
			return err
		}
		l.sent += done
		i += done
	}
	return l.leave(ctx)
}

// follows reports whether next can be typed right behind c.
func (l *loader) follows(c, next frr.Command) bool {
	if next.Opens || !slices.Equal(next.Node, c.Node) {
		return false
	}
	why, _ := l.without(next)
	return why == ""
}

// without says why a command is not typed at all: it was refused before, cannot
// be typed, or stands in a node that was refused.
func (l *loader) without(c frr.Command) (why string, under bool) {
	for i := range l.refused {
		r := &l.refused[i]
		if r.Opens && !r.Undo && len(c.Node) > len(r.Node) && c.Node[len(r.Node)] == r.Text && slices.Equal(c.Node[:len(r.Node)], r.Node) {
			return fmt.Sprintf("FRR refused %q, in which it stands: %s", r.Text, r.message), true
		}
	}
	if why := l.known.why(c); why != "" {
		return why, false
	}
	return unspeakable(c.Text), false
}

// unspeakable says why vtysh's line editor could not take a line.
func unspeakable(text string) string {
	if len(text) > 4000 {
		return fmt.Sprintf("the line has %d bytes; FRR takes 4000", len(text))
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		return fmt.Sprintf("the line has a control character (%q) at position %d", text[i], i+1)
	}
	return ""
}

// step types commands of one node, or a single one that opens a node, and
// returns how many of them are dealt with.
func (l *loader) step(ctx context.Context, commands []frr.Command) (int, error) {
	lines, path, names := l.way(commands[0].Node)
	way := len(lines)
	for _, c := range commands {
		lines = append(lines, c.Text)
	}
	replies, err := l.driver.shell.exchange(ctx, lines)
	if err != nil {
		return 0, err
	}
	if err := l.arrive(lines, replies[:way], path, names); err != nil {
		return 0, err
	}
	for i, r := range replies[way:] {
		left, err := l.judge(ctx, commands[i], r)
		if err != nil || left {
			return i + 1, err
		}
	}
	return len(commands), nil
}

// way returns the lines that lead from where vtysh is to node, and for each of
// them where it leads to. A node is left only from where vtysh is known to be: an
// "exit" too many would end vtysh.
func (l *loader) way(node []string) (lines []string, path [][]string, names []string) {
	add := func(line string, to []string, name string) {
		lines, path, names = append(lines, line), append(path, to), append(names, name)
	}
	if !l.inside {
		if l.batch {
			// Without the lock mgmtd rejects transactions of many commands.
			add("configure terminal file-lock", nil, "config")
			add("XFRR_start_configuration", nil, "config")
		} else {
			add("configure terminal", nil, "config")
		}
	}
	same := 0
	for same < len(node) && same < len(l.node) && node[same] == l.node[same] {
		same++
	}
	for i := len(l.node); i > same; i-- {
		add("exit", l.node[:i-1], l.names[i-1])
	}
	for i := same; i < len(node); i++ {
		add(node[i], node[:i+1], "")
	}
	return lines, path, names
}

// arrive checks the answers to the lines of a way and notes where vtysh is.
func (l *loader) arrive(lines []string, replies []reply, path [][]string, names []string) error {
	for i, r := range replies {
		v := judge(r.text)
		if v.locked {
			return v.lockError()
		}
		if v.transaction {
			return errSpoilt
		}
		here := "config"
		if len(l.names) > 0 {
			here = l.names[len(l.names)-1]
		}
		entered := names[i] == "" && r.prompt != here && r.prompt != ""
		if v.refusal != "" || !entered && r.prompt != names[i] {
			return fmt.Errorf("entering %q: FRR is in node %q and says %q", lines[i], r.prompt, strings.Join(r.text, " "))
		}
		l.inside, l.node = true, path[i]
		l.names = append(slices.Clip(l.names[:min(len(l.names), len(path[i]))]), r.prompt)
	}
	return nil
}

// judge takes in the answer to a command. left: FRR is not in the command's node
// any more, so what was typed after it went astray and must be typed again.
func (l *loader) judge(ctx context.Context, c frr.Command, r reply) (left bool, err error) {
	v := judge(r.text)
	here := l.names[len(l.names)-1]
	moved := r.prompt != here
	switch {
	case v.locked:
		return true, v.lockError()
	case v.transaction && !l.single:
		return true, errSpoilt
	case c.Opens && !c.Undo && moved && v.refusal == "" && r.prompt != "" && r.prompt != "config":
		l.node = append(slices.Clip(c.Node), c.Text)
		l.names = append(slices.Clip(l.names), r.prompt)
		return false, nil
	case c.Opens && !c.Undo:
		l.refuse(c, v.refusal, r.text, "it does not open the node that it should")
	case c.Undo && (v.gone() || v.refusal == ""):
		// away it is
	case v.refusal != "":
		l.refuse(c, v.refusal, r.text, "")
	case moved:
		l.refuse(c, "", r.text, "it does not belong in this node")
	}
	if v.transaction {
		return true, l.again(ctx)
	}
	if moved {
		return true, l.moved(ctx, r.prompt)
	}
	return false, nil
}

// moved finds out where vtysh is after a line that left its node.
func (l *loader) moved(ctx context.Context, prompt string) error {
	if depth := slices.Index(l.names, prompt); depth >= 0 {
		l.node, l.names = l.node[:depth], l.names[:depth+1]
		return nil
	}
	if l.batch {
		return errSpoilt // a batch ends from a known node only
	}
	return l.leave(ctx)
}

// refuse notes a refusal. FRR repeats the line in some messages; it is left out,
// since it may hold a password.
func (l *loader) refuse(c frr.Command, message string, text []string, otherwise string) {
	if c.Opens && len(text) > 1 && !strings.HasPrefix(text[0], "% ") {
		message = strings.Join(text, "; ") // two lines of a wrong AS number
	}
	if message == "" {
		message = strings.Join(text, "; ")
	}
	if message == "" {
		message = otherwise
	}
	message = strings.TrimRight(strings.ReplaceAll(message, c.Text, ""), ":. ")
	l.refused = append(l.refused, refused{Command: c, message: message})
}

// leave ends the configuration mode from wherever vtysh is.
func (l *loader) leave(ctx context.Context) error {
	if !l.inside {
		return nil
	}
	lines := []string{"end"}
	if l.batch {
		// Typed in a deeper node it breaks the connection to bgpd.
		lines, _, _ = l.way(nil)
		lines = append(lines, "XFRR_end_configuration", "end")
	}
	replies, err := l.driver.shell.exchange(ctx, lines)
	if err != nil {
		return err
	}
	for i, r := range replies {
		v := judge(r.text)
		switch {
		case v.locked:
			return v.lockError()
		case v.transaction:
			return errSpoilt
		case v.refusal != "":
			return fmt.Errorf("leaving the configuration mode with %q: %w", lines[i], &refusedError{v.refusal})
		}
	}
	l.inside, l.node, l.names = false, nil, nil
	return nil
}

// list returns what is refused for the caller.
func (l *loader) list() []frr.Refusal {
	var list []frr.Refusal
	for _, r := range l.refused {
		list = append(list, frr.Refusal{Line: r.Line, Origins: r.Origins, Message: r.message})
	}
	return list
}

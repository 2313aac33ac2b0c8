// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"metallb.io/metallb-frr/pkg/frr"
)

// bulkFrom is the number of network commands in a row from which vtysh reads them
// as a file. Its line editor takes 0.25 ms of CPU for a line, a file 0.015 ms.
const bulkFrom = 128

// perBulkLine is added to the time limit for each line of a file, of which bgpd
// takes 0.04 ms: a bgpd that hangs must show in seconds also with 10,000 of them.
const perBulkLine = time.Millisecond

// bulkFile is how vtysh finds the file: it is in memory, and inherited.
const bulkFile = "/proc/self/fd/3"

// newBulk returns the file.
func newBulk() (*os.File, error) {
	fd, err := unix.MemfdCreate("networks", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making a file for networks: %w", err)
	}
	return os.NewFile(uintptr(fd), "networks"), nil
}

// bulk returns how many commands from i on can be given as a file: networks of
// one address family. They are none of a transaction's, which a refused line
// would take along.
func (l *loader) bulk(i int) int {
	n := 0
	for _, c := range l.all[i:] {
		text := strings.TrimPrefix(c.Text, "no ")
		if !strings.HasPrefix(text, "network ") || c.Opens || !slices.Equal(c.Node, l.all[i].Node) {
			break
		}
		if why, _ := l.without(c); why != "" {
			break
		}
		n++
	}
	if n < bulkFrom || len(l.all[i].Node) == 0 {
		return 0
	}
	return n
}

// bulkLine is how vtysh begins what it says about a line of a file.
var bulkLine = regexp.MustCompile(`^line (\d+): `)

// read has vtysh read commands as a file. Those that it complains about are typed
// once more, so that the answer is theirs; all of them, where it is not clear
// which are meant.
func (l *loader) read(ctx context.Context, commands []frr.Command) error {
	if err := l.leave(ctx); err != nil {
		return err
	}
	s := l.driver.shell
	var text strings.Builder
	for _, header := range commands[0].Node {
		text.WriteString(header + "\n")
	}
	for _, c := range commands {
		text.WriteString(c.Text + "\n")
	}
	if err := s.bulk.Truncate(0); err != nil {
		return fmt.Errorf("writing networks for vtysh: %w", err)
	}
	if _, err := s.bulk.WriteAt([]byte(text.String()), 0); err != nil {
		return fmt.Errorf("writing networks for vtysh: %w", err)
	}
	s.extra = time.Duration(len(commands)) * perBulkLine
	replies, err := s.exchange(ctx, []string{"copy " + bulkFile + " running-config"})
	s.extra = 0
	if err != nil {
		return err
	}
	_ = s.bulk.Truncate(0) // gives the memory back
	for _, i := range doubtful(replies[0].text, len(commands[0].Node), len(commands)) {
		if _, err := l.step(ctx, commands[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// doubtful returns the indices of the commands that said is about, of count
// commands behind some lines.
func doubtful(said []string, behind, count int) []int {
	var which []int
	for _, line := range said {
		m := bulkLine.FindStringSubmatch(line)
		if m == nil {
			continue // the reason, which comes again when the command is typed
		}
		n, err := strconv.Atoi(m[1])
		if i := n - 1 - behind; err == nil && i >= 0 && i < count {
			which = append(which, i)
			continue
		}
		which = nil
		break
	}
	if len(which) == 0 && slices.ContainsFunc(said, func(s string) bool { return strings.TrimSpace(s) != "" }) {
		for i := range count {
			which = append(which, i)
		}
	}
	return slices.Compact(which)
}

// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"metallb.io/metallb-frr/pkg/frr"
)

// fileInterval is the shortest time between two writes of the file.
const fileInterval = time.Second

// fileRetry is how long after a failure the file is written again.
const fileRetry = 5 * time.Second

// confFile keeps frr.conf as the last Document in force.
type confFile struct {
	path string
	fail func(error)

	mu      sync.Mutex
	due     *frr.Document // to be written; nil: nothing is
	written *frr.Document // the last one
	printer frr.Printer
	at      time.Time // of the last write
	timer   *time.Timer
	closed  bool
}

// keep has the file become doc soon.
func (c *confFile) keep(doc *frr.Document) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || doc == c.written && c.due == nil || doc == c.due {
		return
	}
	first := c.due == nil
	c.due = doc
	if first {
		c.timer = time.AfterFunc(max(0, time.Until(c.at.Add(fileInterval))), c.flush)
	}
}

func (c *confFile) flush() {
	if err := c.write(); err != nil {
		c.fail(err)
	}
}

// write writes what is due. What fails stays due: a file that is behind brings an
// FRR that restarts alone back to what was.
func (c *confFile) write() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	doc := c.due
	if doc == nil {
		return nil
	}
	c.due, c.at = nil, time.Now()
	if err := replace(c.path, c.printer.Text(doc)); err != nil {
		if !c.closed {
			c.due, c.timer = doc, time.AfterFunc(fileRetry, c.flush)
		}
		return fmt.Errorf("keeping the FRR configuration in %s: %w", c.path, err)
	}
	c.written = doc
	return nil
}

// close writes what is due and takes no more.
func (c *confFile) close() error {
	c.mu.Lock()
	c.closed = true
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	return c.write()
}

// replace puts text into the place of the file at path, for owner and group to
// read: it holds passwords. Owner and group are those of the file replaced, or
// else of the folder, as far as the process may set them.
func replace(path, text string) error {
	like, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		like, err = os.Stat(filepath.Dir(path))
	}
	if err != nil {
		return err
	}
	beside := path + ".new"
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if owner, ok := like.Sys().(*syscall.Stat_t); ok && err == nil {
		if err = f.Chown(int(owner.Uid), int(owner.Gid)); errors.Is(err, fs.ErrPermission) {
			err = nil
		}
	}
	if err == nil {
		err = f.Chmod(0o640)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(beside, path)
	}
	if err != nil {
		os.Remove(beside)
	}
	return err
}

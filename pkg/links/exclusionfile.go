// SPDX-License-Identifier: Apache-2.0

package links

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// WatchExclusion reports what the file at path excludes, at once and after each
// change of its text: also where the file is mounted from a ConfigMap, and changes
// by a symbolic link beside it that is made to point elsewhere.
//
// A file that is not there excludes nothing. One that cannot be read or is invalid
// is reported as the error, with the list that stays in force: the last valid one,
// or DefaultExclusion where there was none yet. The list is nil only where nothing
// is excluded.
//
// It returns nil when ctx ends, or an error when changes cannot be watched; the
// file was reported once even so. Without a folder for the file there is nothing
// to watch, and it waits for ctx. report is called on the caller's goroutine.
func WatchExclusion(ctx context.Context, path string, report func(*Exclusion, error)) error {
	f := exclusionFile{path: path, report: report}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		f.read()
		return fmt.Errorf("watching %s: %w", path, err)
	}
	defer w.Close()
	dir := filepath.Dir(path)
	err = w.Add(dir)
	f.read() // after the watch began: no change is lost
	switch {
	case errors.Is(err, fs.ErrNotExist):
		<-ctx.Done()
		return nil
	case err != nil:
		return fmt.Errorf("watching the folder %s for changes of %s: %w", dir, filepath.Base(path), err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.Events:
		case err := <-w.Errors:
			if !errors.Is(err, fsnotify.ErrEventOverflow) { // too much happened to be told of
				return fmt.Errorf("watching the folder %s for changes of %s: %w", dir, filepath.Base(path), err)
			}
		}
		f.read()
	}
}

// exclusionFile is a file as it was last read.
type exclusionFile struct {
	path   string
	report func(*Exclusion, error)

	known   bool
	text    []byte
	failure string     // why it could not be read
	valid   *Exclusion // in force
	ever    bool       // valid is from the file
}

// read reads the file and reports it if it is another one.
func (f *exclusionFile) read() {
	text, err := readFile(f.path)
	var failure string
	if err != nil {
		failure = err.Error()
	}
	if f.known && bytes.Equal(text, f.text) && failure == f.failure {
		return
	}
	f.known, f.text, f.failure = true, text, failure
	x, err := parseFile(text, err)
	switch {
	case err == nil && len(x.patterns) == 0:
		f.valid, f.ever = nil, true
	case err == nil:
		f.valid, f.ever = x, true
	case !f.ever:
		f.valid = defaultExclusion
	}
	if err != nil {
		err = fmt.Errorf("reading the interfaces to leave alone from %s: %w", f.path, err)
	}
	f.report(f.valid, err)
}

// rereads is how often a file is read whose mount is replaced meanwhile.
const rereads = 10

// readFile returns the text of a file; of one that is not there, none.
func readFile(path string) ([]byte, error) {
	for range rereads {
		text, err := os.ReadFile(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return text, err
		}
		// A link may have led to where the file was before its mount was
		// replaced; by now it leads to the new one.
		if _, err := os.Lstat(path); err != nil {
			break
		}
	}
	return nil, nil
}

func parseFile(text []byte, err error) (*Exclusion, error) {
	if err != nil {
		return nil, err
	}
	return ParseExclusion(text)
}

// defaultExclusion is DefaultExclusion, compiled.
var defaultExclusion = func() *Exclusion {
	x, err := NewExclusion(DefaultExclusion...)
	if err != nil {
		panic(err)
	}
	return x
}()

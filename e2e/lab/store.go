// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The image store is a containerd root directory, beside the labs', into which
// image archives are unpacked once. A node gets a copy that shares the files,
// which containerd never changes once they are there, through hard links; only
// the databases are copied.
func (l *Lab) storeDir() string { return filepath.Join(filepath.Dir(l.Spec.Dir), ".images") }

// lockStore takes the store's lock, shared or exclusive, until release.
func (l *Lab) lockStore(ctx context.Context, how int) (release func() error, err error) {
	if err := os.MkdirAll(l.storeDir(), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(l.storeDir(), "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 6*time.Minute, errors.New("another lab has it for more than 6 minutes"))
	defer cancel()
	// A blocking call could not be given up.
	err = poll(ctx, "the image store's lock", 50*time.Millisecond, func() error {
		return unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// A storedImage is an archive as it was when it was unpacked.
type storedImage struct {
	Size    int64
	ModTime time.Time
}

// storeImages unpacks those of the spec's images that the store does not have.
func (l *Lab) storeImages(ctx context.Context) (err error) {
	release, err := l.lockStore(ctx, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	index := filepath.Join(l.storeDir(), "index.json")
	have := map[string]storedImage{}
	b, err := os.ReadFile(index)
	if err == nil {
		err = json.Unmarshal(b, &have)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the image store: %w", err)
	}
	want := map[string]storedImage{}
	for _, tar := range l.Spec.Images {
		abs, err := filepath.Abs(tar)
		if err != nil {
			return err
		}
		fi, err := os.Stat(abs)
		if err != nil {
			return err
		}
		if s := (storedImage{fi.Size(), fi.ModTime().UTC()}); have[abs] != s {
			want[abs] = s
		}
	}
	if len(want) == 0 {
		return os.MkdirAll(filepath.Join(l.storeDir(), "root"), 0o700)
	}
	if err := l.unpack(ctx, want); err != nil {
		return fmt.Errorf("unpacking images: %w", err)
	}
	for tar, s := range want {
		have[tar] = s
	}
	if b, err = json.Marshal(have); err != nil {
		return err
	}
	return os.WriteFile(index, b, 0o644)
}

// unpack imports archives into the store with a containerd of its own.
func (l *Lab) unpack(ctx context.Context, tars map[string]storedImage) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("not done after 5 minutes"))
	defer cancel()
	state := filepath.Join(runDir, "store")
	if err := os.MkdirAll(state, 0o755); err != nil {
		return err
	}
	conf := filepath.Join(state, "containerd.toml")
	if err := os.WriteFile(conf, []byte(containerdConfig(filepath.Join(l.storeDir(), "root"), state)), 0o644); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(l.Spec.Dir, "store.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, "containerd", "-c", conf)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	sock := filepath.Join(state, "containerd.sock")
	err = waitSocket(sock)
	for tar := range tars {
		if err == nil {
			_, err = output(exec.CommandContext(ctx, "ctr", "--address", sock, "-n", "k8s.io", "images", "import", tar))
		}
	}
	cancel() // ends containerd, so that its databases are complete
	return errors.Join(err, ignoreExit(ignoreCanceled(cmd.Wait())))
}

func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// giveImages makes root a containerd root directory with the store's images,
// unless there is one already.
func (l *Lab) giveImages(ctx context.Context, root string) (err error) {
	if _, err := os.Stat(root); err == nil {
		return nil
	}
	release, err := l.lockStore(ctx, unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return err
	}
	src := filepath.Join(l.storeDir(), "root")
	if _, err := output(exec.CommandContext(ctx, "cp", "-al", src, root)); err != nil {
		return fmt.Errorf("linking images: %w", err)
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "snapshots" || d.Name() == "blobs"):
			return filepath.SkipDir
		case filepath.Ext(path) != ".db":
			return nil
		}
		return unlinkCopy(path)
	})
}

// unlinkCopy makes a hard link a file of its own.
func unlinkCopy(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".copy", b, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".copy", path)
}

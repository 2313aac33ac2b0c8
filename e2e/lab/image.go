// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Image describes a container image archive.
type Image struct {
	// Ref is the image's full reference with its tag, such as "lab.local/web:1".
	Ref string
	// Layers are the image's layers, lowest first. Each is a directory, whose
	// content becomes the layer, or an uncompressed tar file, taken as it is.
	Layers []string
	// Entrypoint and Cmd are the command line; empty means none.
	Entrypoint, Cmd []string
	// User is the user (and group) to run as, "uid[:gid]"; empty means root.
	User string
	// Env holds additional "NAME=value" settings. PATH has Debian's default.
	Env []string
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// WriteImage writes the image to the file out, in the format of `docker save`,
// which `docker load` and `ctr images import` read. Owners, modes, hard links,
// device nodes and extended attributes (file capabilities among them) are kept;
// times are set to zero, so that the same content gives the same archive. An
// existing file is replaced at the end; it is left as it was on error, and when
// it has the same content already.
func WriteImage(out string, img Image) (err error) {
	if img.Ref == "" || !strings.Contains(img.Ref, ":") {
		return fmt.Errorf("writing image %s: reference %q needs a name and a tag, such as lab.local/web:1", out, img.Ref)
	}
	if len(img.Layers) == 0 {
		return fmt.Errorf("writing image %s: no layers", img.Ref)
	}
	f, err := os.CreateTemp(filepath.Dir(out), ".image-*")
	if err != nil {
		return fmt.Errorf("writing image %s: %w", img.Ref, err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := writeArchive(f, img); err != nil {
		return fmt.Errorf("writing image %s: %w", img.Ref, err)
	}
	same, err := sameContent(f, out)
	if err != nil || same {
		return err
	}
	if err := errors.Join(f.Chmod(0o644), f.Close(), os.Rename(f.Name(), out)); err != nil {
		return fmt.Errorf("writing image %s: %w", img.Ref, err)
	}
	return nil
}

// sameContent reports whether the file called name has f's content.
func sameContent(f *os.File, name string) (bool, error) {
	old, err := os.Open(name)
	if err != nil {
		return false, ignoreNotExist(err)
	}
	defer old.Close()
	var sums [2][]byte
	for i, r := range []*os.File{f, old} {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return false, err
		}
		h := sha256.New()
		if _, err := io.Copy(h, r); err != nil {
			return false, err
		}
		sums[i] = h.Sum(nil)
	}
	return bytes.Equal(sums[0], sums[1]), nil
}

// WriteAppImages builds the lab's own images, lab.local/pause:1 and
// lab.local/web:1, into pause.tar and web.tar in dir.
func WriteAppImages(ctx context.Context, dir string) error {
	root, err := repoRoot()
	if err != nil {
		return err
	}
	for _, app := range []string{"pause", "web"} {
		layer, err := os.MkdirTemp("", "lab-"+app+"-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(layer)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w",
			"-o", filepath.Join(layer, app), "./e2e/lab/"+app)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		if _, err := output(cmd); err != nil {
			return err
		}
		img := Image{Ref: "lab.local/" + app + ":1", Layers: []string{layer}, Entrypoint: []string{"/" + app}, User: "65534:65534"}
		if err := WriteImage(filepath.Join(dir, app+".tar"), img); err != nil {
			return err
		}
	}
	return nil
}

type imageConfig struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Config       struct {
		User       string   `json:",omitempty"`
		Env        []string `json:",omitempty"`
		Entrypoint []string `json:",omitempty"`
		Cmd        []string `json:",omitempty"`
		WorkingDir string
	} `json:"config"`
	RootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

type imageManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func writeArchive(w io.Writer, img Image) error {
	tw := tar.NewWriter(w)
	cfg := imageConfig{Architecture: runtime.GOARCH, OS: "linux"}
	cfg.Config.User = img.User
	cfg.Config.Env = append([]string{defaultPath}, img.Env...)
	cfg.Config.Entrypoint, cfg.Config.Cmd, cfg.Config.WorkingDir = img.Entrypoint, img.Cmd, "/"
	cfg.RootFS.Type = "layers"
	man := imageManifest{RepoTags: []string{img.Ref}}
	for _, layer := range img.Layers {
		digest, err := addLayer(tw, layer)
		if err != nil {
			return fmt.Errorf("layer %s: %w", layer, err)
		}
		cfg.RootFS.DiffIDs = append(cfg.RootFS.DiffIDs, "sha256:"+digest)
		man.Layers = append(man.Layers, digest+"/layer.tar")
	}
	cb, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(cb)
	man.Config = hex.EncodeToString(sum[:]) + ".json"
	mb, err := json.Marshal([]imageManifest{man})
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{man.Config, cb}, {"manifest.json", mb}} {
		hdr := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data)), ModTime: time.Unix(0, 0)}
		if err := tw.WriteHeader(hdr); err != nil {
			return err
		}
		if _, err := tw.Write(f.data); err != nil {
			return err
		}
	}
	return tw.Close()
}

// addLayer adds one layer, a directory or a tar file, and returns its digest.
func addLayer(tw *tar.Writer, layer string) (digest string, err error) {
	fi, err := os.Stat(layer)
	if err != nil {
		return "", err
	}
	var f *os.File
	if fi.IsDir() {
		if f, err = os.CreateTemp("", "layer-*.tar"); err != nil {
			return "", err
		}
		defer os.Remove(f.Name())
		defer f.Close()
		if err := tarDir(f, layer); err != nil {
			return "", err
		}
	} else {
		if f, err = os.Open(layer); err != nil {
			return "", err
		}
		defer f.Close()
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return "", err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	digest = hex.EncodeToString(h.Sum(nil))
	hdr := &tar.Header{Name: digest + "/layer.tar", Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)}
	if err := tw.WriteHeader(hdr); err != nil {
		return "", err
	}
	_, err = io.Copy(tw, f)
	return digest, err
}

// tarDir writes the content of dir as a tar stream, in lexical order. Sockets
// are left out, as they are in any image.
func tarDir(w io.Writer, dir string) error {
	tw := tar.NewWriter(w)
	links := map[uint64]string{} // inode -> first name
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || path == dir || d.Type()&os.ModeSocket != 0 {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return tarFile(tw, path, name, links)
	})
	if err != nil {
		return err
	}
	return tw.Close()
}

func tarFile(tw *tar.Writer, path, name string, links map[uint64]string) error {
	fi, err := os.Lstat(path)
	if err != nil {
		return err
	}
	target := ""
	if fi.Mode()&os.ModeSymlink != 0 {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	hdr, err := tar.FileInfoHeader(fi, target)
	if err != nil {
		return err
	}
	hdr.Name = name
	if fi.IsDir() {
		hdr.Name += "/"
	}
	hdr.Uname, hdr.Gname = "", ""
	hdr.ModTime, hdr.AccessTime, hdr.ChangeTime = time.Unix(0, 0), time.Time{}, time.Time{}
	hdr.Format = tar.FormatPAX
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	if fi.Mode().IsRegular() && st.Nlink > 1 {
		if first, ok := links[st.Ino]; ok {
			hdr.Typeflag, hdr.Linkname, hdr.Size = tar.TypeLink, first, 0
		} else {
			links[st.Ino] = name
		}
	}
	if hdr.Typeflag != tar.TypeLink && target == "" {
		if hdr.PAXRecords, err = xattrRecords(path); err != nil {
			return err
		}
	}
	if err := tw.WriteHeader(hdr); err != nil {
		return err
	}
	if hdr.Typeflag != tar.TypeReg {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(tw, f)
	return err
}

// xattrRecords returns the file's extended attributes as PAX records, or nil.
func xattrRecords(path string) (map[string]string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if err != nil || n == 0 {
		if errors.Is(err, unix.ENOTSUP) {
			err = nil
		}
		return nil, err
	}
	records := map[string]string{}
	names := strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00")
	slices.Sort(names)
	val := make([]byte, 64<<10)
	for _, name := range names {
		if !strings.HasPrefix(name, "security.capability") && !strings.HasPrefix(name, "user.") {
			continue
		}
		n, err := unix.Lgetxattr(path, name, val)
		if err != nil {
			return nil, fmt.Errorf("reading attribute %s of %s: %w", name, path, err)
		}
		records["SCHILY.xattr."+name] = string(val[:n])
	}
	return records, nil
}

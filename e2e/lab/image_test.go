// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// readTar returns the headers and contents of a tar stream by name.
func readTar(t *testing.T, b []byte) (map[string]*tar.Header, map[string][]byte) {
	t.Helper()
	hdrs, data := map[string]*tar.Header{}, map[string][]byte{}
	tr := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return hdrs, data
		}
		if err != nil {
			t.Fatal(err)
		}
		hdrs[h.Name] = h
		if data[h.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
}

// capNetRaw is cap_net_raw, effective and permitted, as it is stored in a
// file's attribute (capabilities(7), version 2).
const capNetRaw = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// testLayer makes a directory with a file under two names and a symbolic link.
// With root the file has an owner and a capability.
func testLayer(t *testing.T, layer string) {
	t.Helper()
	a := filepath.Join(layer, "etc/a")
	err := os.MkdirAll(filepath.Dir(a), 0o750)
	err = errors.Join(err,
		os.WriteFile(a, []byte("hello"), 0o640),
		os.Link(a, filepath.Join(layer, "etc/b")),
		os.Symlink("a", filepath.Join(layer, "etc/c")))
	if os.Geteuid() == 0 {
		err = errors.Join(err, os.Chown(a, 101, 102), unix.Setxattr(a, "security.capability", []byte(capNetRaw), 0))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWriteImage(t *testing.T) {
	dir := t.TempDir()
	layer, out := filepath.Join(dir, "layer"), filepath.Join(dir, "out.tar")
	testLayer(t, layer)
	img := Image{Ref: "lab.local/x:1", Layers: []string{layer}, Entrypoint: []string{"/x"}, User: "7"}
	if err := WriteImage(out, img); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteImage(out, img); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(out); err != nil || !os.SameFile(before, after) {
		t.Errorf("the same image again replaced the file (%v)", err)
	}
	_, files := readTar(t, first)
	var man []imageManifest
	if err := json.Unmarshal(files["manifest.json"], &man); err != nil || len(man) != 1 {
		t.Fatalf("manifest %s: %v", files["manifest.json"], err)
	}
	var cfg imageConfig
	if err := json.Unmarshal(files[man[0].Config], &cfg); err != nil || cfg.Config.User != "7" || cfg.Config.Entrypoint[0] != "/x" {
		t.Errorf("configuration %s: %v", files[man[0].Config], err)
	}
	hdrs, data := readTar(t, files[man[0].Layers[0]])
	if a := hdrs["etc/a"]; a == nil || a.Mode != 0o640 || string(data["etc/a"]) != "hello" {
		t.Errorf("etc/a is %+v with %q", a, data["etc/a"])
	} else if os.Geteuid() == 0 && (a.Uid != 101 || a.Gid != 102 || a.PAXRecords["SCHILY.xattr.security.capability"] != capNetRaw) {
		t.Errorf("etc/a has owner %d:%d, attributes %q", a.Uid, a.Gid, a.PAXRecords)
	}
	if b := hdrs["etc/b"]; b == nil || b.Typeflag != tar.TypeLink || b.Linkname != "etc/a" {
		t.Errorf("etc/b is %+v, want a hard link to etc/a", b)
	}
	if c := hdrs["etc/c"]; c == nil || c.Typeflag != tar.TypeSymlink || c.Linkname != "a" {
		t.Errorf("etc/c is %+v, want a symbolic link to a", c)
	}
	if d := hdrs["etc/"]; d == nil || d.Mode != 0o750 {
		t.Errorf("etc/ is %+v, want mode 750", d)
	}
}

func TestWriteImageRefusals(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		img  Image
		want string
	}{
		{"no tag", Image{Ref: "x", Layers: []string{dir}}, `"x" needs a name and a tag`},
		{"no layers", Image{Ref: "x:1"}, "no layers"},
		{"layer missing", Image{Ref: "x:1", Layers: []string{dir + "/nothing"}}, "no such file"},
	} {
		out := filepath.Join(dir, "out.tar")
		if err := WriteImage(out, c.img); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", c.name, err, c.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: a file was left", c.name)
		}
	}
}

func TestSpecRefusals(t *testing.T) {
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{Nodes: 201}, "Nodes is 201; it can be 0 to 200"},
		{Spec{Routers: -1}, "Routers is -1; it can be 0 to 9"},
		{Spec{Dir: "/run/x"}, "choose one elsewhere"},
		{Spec{ProxyMode: []string{"ipvs"}}, `ProxyMode "ipvs"; it can be iptables or nftables`},
	} {
		if _, err := c.spec.withDefaults(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q in it", c.spec, err, c.want)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

func sortedLines(text string) []string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return lines
}

func TestFileIsWhatIsInForce(t *testing.T) {
	t.Parallel()
	a := frrtest.Start(t, frrtest.Options{})
	b := frrtest.Start(t, frrtest.Options{})
	path := filepath.Join(t.TempDir(), "frr.conf")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 101, 102); err != nil {
		t.Fatal(err)
	}
	d := driver(t, a, Options{ConfFile: path})
	clean(t, apply(t, d, document(3)))
	// What FRR refuses is not in the file.
	apply(t, d, document(50, edit(nil, "neighbor 192.0.2.2", "timers connect 1\n", "timers connect 99999\n")))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b.Load(t, string(text))
	if want, got := sorted(a.Running(t)), sorted(b.Running(t)); got != want {
		t.Errorf("an FRR with the file has\n%s\nwant\n%s", got, want)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o640 {
		t.Errorf("mode %v, want 0640", got)
	}
	if _, gid := owner(info); gid != 102 {
		t.Errorf("group %d, want 102 as before", gid)
	}
	if rest, _ := filepath.Glob(path + "?*"); len(rest) > 0 {
		t.Errorf("left beside the file: %q", rest)
	}
}

func TestFileFollowsAtMostOnceASecond(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	path := filepath.Join(t.TempDir(), "frr.conf")
	d := driver(t, f, Options{ConfFile: path})
	stop := time.Now().Add(1500 * time.Millisecond)
	seen := map[string]bool{}
	for i := 1; time.Now().Before(stop); i++ {
		clean(t, apply(t, d, document(i%7+1)))
		if text, err := os.ReadFile(path); err == nil {
			seen[string(text)] = true
		}
	}
	if len(seen) < 1 || len(seen) > 2 {
		t.Errorf("%d versions of the file within 1.5 s, want 1 or 2", len(seen))
	}
	clean(t, apply(t, d, document(9)))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "network 10.0.0.8/32 ") {
		t.Errorf("after Close the file is not the last state: %v\n%s", err, text)
	}
}

func TestFileThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	failed := make(chan error, 10)
	d := New(Options{Command: f.Vtysh(), ConfFile: filepath.Join(t.TempDir(), "none", "frr.conf"), OnError: func(err error) { failed <- err }})
	defer d.Close()
	clean(t, apply(t, d, document(1)))
	select {
	case err := <-failed:
		if !strings.Contains(err.Error(), "none/frr.conf") {
			t.Errorf("error %q does not name the file", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("no error within 5 s")
	}
}

// A file that could not be written is written once it can, with what is in force
// then, and nothing is left to be done after Close.
func TestFileIsWrittenOnceItCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "missing")
		var count atomic.Int32
		failures := func() int32 { synctest.Wait(); return count.Load() }
		c := &confFile{path: filepath.Join(dir, "frr.conf"), fail: func(error) { count.Add(1) }}
		c.keep(document(1))
		time.Sleep(time.Second)
		c.keep(document(2))
		time.Sleep(fileRetry)
		if n := failures(); n != 2 {
			t.Fatalf("%d failures within %v, want 2", n, fileRetry)
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		time.Sleep(fileRetry)
		n := failures()
		text, err := os.ReadFile(c.path)
		if err != nil || !strings.Contains(string(text), "network 10.0.0.1/32") || n != 2 {
			t.Errorf("%v, %d failures; the file is\n%s", err, n, text)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		c.keep(document(3))
		told := failures()
		if err := c.close(); err == nil {
			t.Error("Close does not say that the file is not written")
		}
		time.Sleep(time.Minute)
		if n := failures(); n != told {
			t.Errorf("%d failures were told of after Close", n-told)
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	if err := d.Check(t.Context(), document(3).Text()); err != nil {
		t.Error(err)
	}
	err := d.Check(t.Context(), "route-map a permit 1\n set tag 5\n set colour red\nrouter bgp 65000\n foo bar\n neighbor x password y z\n")
	for _, want := range []string{`line 3 ("set colour red"): Unknown command`, `line 5 ("foo bar"): Unknown command`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check = %v, want %q in it", err, want)
		}
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	clean(t, apply(t, d, document(1)))
	var summary struct {
		IPv4Unicast struct {
			AS    uint32 `json:"as"`
			Peers map[string]any
		} `json:"ipv4Unicast"`
	}
	if err := d.Show(t.Context(), "show bgp summary json", &summary); err != nil {
		t.Fatal(err)
	}
	if summary.IPv4Unicast.AS != 65100 || len(summary.IPv4Unicast.Peers) != 1 {
		t.Errorf("summary = %+v, want AS 65100 and one peer", summary)
	}
	var text string
	if err := d.Show(t.Context(), "show bfd peers brief", &text); err != nil || !strings.Contains(text, "SessionId") {
		t.Errorf("show bfd peers brief = %q, %v", text, err)
	}
	if err := d.Show(t.Context(), "show nonsense", nil); err == nil || !strings.Contains(err.Error(), "Unknown command") {
		t.Errorf("show nonsense: %v, want FRR's refusal", err)
	}
	none(t, apply(t, d, document(1)))
}

func owner(info os.FileInfo) (uid, gid uint32) {
	s := info.Sys().(*syscall.Stat_t)
	return s.Uid, s.Gid
}

// SPDX-License-Identifier: Apache-2.0

package links_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/links"
)

func TestParseExclusion(t *testing.T) {
	for _, row := range []struct{ name, text, matches, not, says string }{
		{"a list", "announcedInterfacesToExclude: [\"^veth.*\", \"^lo$\"]", "veth1 lo", "eth0 lo1 myveth", ""},
		{"as the ConfigMap has it", "announcedInterfacesToExclude:\n- ^docker.*\n- ^cbr.*\n", "docker0 cbr0", "eth0", ""},
		{"unanchored", "announcedInterfacesToExclude: [th, x]", "eth0 vxlan0", "lo", ""},
		{"nothing", "", "", "eth0 lo", ""},
		{"an empty list", "announcedInterfacesToExclude: []", "", "eth0 lo", ""},
		{"an empty key", "announcedInterfacesToExclude:", "", "eth0", ""},
		{"no regular expression", "announcedInterfacesToExclude: [a, '^(veth', b, '[']", "", "", `announcedInterfacesToExclude[1]: "^(veth" is not a regular expression`},
		{"both are named", "announcedInterfacesToExclude: [a, '^(veth', b, '[']", "", "", `announcedInterfacesToExclude[3]: "["`},
		{"an empty one", "announcedInterfacesToExclude: ['']", "", "", "announcedInterfacesToExclude[0]: is empty"},
		{"a misspelt key", "announcedInterfaceToExclude: [a]", "", "", "want the one key announcedInterfacesToExclude"},
		{"no list", "announcedInterfacesToExclude: a", "", "", "with a list of regular expressions"},
		{"no string", "announcedInterfacesToExclude: [{a: b}]", "", "", "with a list of regular expressions"},
		{"no YAML", "announcedInterfacesToExclude: [", "", "", "with a list of regular expressions"},
	} {
		x, err := links.ParseExclusion([]byte(row.text))
		switch {
		case row.says == "" && err != nil:
			t.Errorf("%s: %v", row.name, err)
		case row.says != "" && (err == nil || !strings.Contains(err.Error(), row.says)):
			t.Errorf("%s: says %v, want %q in it", row.name, err, row.says)
		}
		for _, name := range strings.Fields(row.matches) {
			if _, ok := x.Match(name); !ok {
				t.Errorf("%s: %s is not matched", row.name, name)
			}
		}
		for _, name := range strings.Fields(row.not) {
			if p, ok := x.Match(name); ok {
				t.Errorf("%s: %s is matched by %s", row.name, name, p)
			}
		}
	}
}

func TestDefaultExclusion(t *testing.T) {
	x, err := links.NewExclusion(links.DefaultExclusion...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields("docker0 cbr0 dummy0 virbr0 lxcbr0 veth1234 lo cali12 tunl0 flannel.1 kube-ipvs0 cni0 nodelocaldns lxc1") {
		if _, ok := x.Match(name); !ok {
			t.Errorf("%s is not matched", name)
		}
	}
	for _, name := range strings.Fields("eth0 eno1 enp3s0f0 bond0 bond0.100 br0 vlan7 lo1 wlan0") {
		if p, ok := x.Match(name); ok {
			t.Errorf("%s is matched by %s", name, p)
		}
	}
}

// A mount is a folder as the kubelet mounts a ConfigMap: the file is a link to one
// in ..data, which is a link to a folder that is replaced as a whole.
type mount struct {
	t       *testing.T
	dir     string
	version int
	reports chan string
}

func newMount(t *testing.T) *mount {
	return &mount{t: t, dir: t.TempDir(), reports: make(chan string, 100)}
}

func (m *mount) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *mount) file() string { return filepath.Join(m.dir, "excludel2.yaml") }

// put makes text the content of the mounted file.
func (m *mount) put(text string) {
	m.t.Helper()
	m.version++
	now, before := fmt.Sprintf("..v%d", m.version), fmt.Sprintf("..v%d", m.version-1)
	m.must(os.Mkdir(filepath.Join(m.dir, now), 0o755))
	m.must(os.WriteFile(filepath.Join(m.dir, now, "excludel2.yaml"), []byte(text), 0o644))
	m.must(os.Symlink(now, filepath.Join(m.dir, "..data_tmp")))
	m.must(os.Rename(filepath.Join(m.dir, "..data_tmp"), filepath.Join(m.dir, "..data")))
	if _, err := os.Lstat(m.file()); err != nil {
		m.must(os.Symlink(filepath.Join("..data", "excludel2.yaml"), m.file()))
	}
	m.must(os.RemoveAll(filepath.Join(m.dir, before)))
}

// watch starts WatchExclusion, and returns what ends it.
func (m *mount) watch() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- links.WatchExclusion(ctx, m.file(), func(x *links.Exclusion, err error) {
			m.reports <- fmt.Sprint(x.Patterns(), " ", err)
		})
	}()
	return func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				m.t.Error("WatchExclusion:", err)
			}
		case <-time.After(timeLimit):
			m.t.Error("WatchExclusion has not returned")
		}
	}
}

// want waits for the next report, in which all of parts must be.
func (m *mount) want(parts ...string) {
	m.t.Helper()
	select {
	case got := <-m.reports:
		if slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(got, p) }) {
			m.t.Errorf("reported %q, want %q in it", got, parts)
		}
	case <-time.After(timeLimit):
		m.t.Fatalf("no report; want one with %q", parts)
	}
}

func TestWatchExclusion(t *testing.T) {
	m := newMount(t)
	m.put("announcedInterfacesToExclude: [a]")
	end := m.watch()
	m.want("[a] <nil>")
	m.put("announcedInterfacesToExclude: [a]") // the same
	m.put("announcedInterfacesToExclude: [b, c]")
	m.want("[b c] <nil>")
	m.put("announcedInterfacesToExclude: ['(']")
	m.want("[b c] ", m.file(), "announcedInterfacesToExclude[0]")
	m.put("announcedInterfacesToExclude: [d]")
	m.want("[d] <nil>")
	m.must(os.Remove(m.file()))
	m.want("[] <nil>")
	m.put("announcedInterfacesToExclude: ['(']")
	m.want("[] ", "announcedInterfacesToExclude[0]")
	end()
	m.put("announcedInterfacesToExclude: [e]")
	select {
	case got := <-m.reports:
		t.Errorf("reported %q after its end", got)
	default:
	}
}

// TestExclusionReplaced: a mount that is replaced while it is read is never taken
// for one without the file.
func TestExclusionReplaced(t *testing.T) {
	m := newMount(t)
	m.reports = make(chan string, 10000)
	m.put("announcedInterfacesToExclude: [a]")
	defer m.watch()()
	for i := range 500 {
		m.put(fmt.Sprintf("announcedInterfacesToExclude: [a, b%d]", i))
	}
	for last := ""; last != "[a b499] <nil>"; {
		select {
		case last = <-m.reports:
			if !strings.HasPrefix(last, "[a") {
				t.Fatalf("reported %q", last)
			}
		case <-time.After(timeLimit):
			t.Fatalf("the last list was not reported; but %q", last)
		}
	}
}

// TestExclusionMissing: no file excludes nothing, and one that comes is seen.
func TestExclusionMissing(t *testing.T) {
	m := newMount(t)
	end := m.watch()
	defer end()
	m.want("[] <nil>")
	m.put("announcedInterfacesToExclude: [a]")
	m.want("[a] <nil>")
}

// TestExclusionNoFolder: nothing is mounted at all.
func TestExclusionNoFolder(t *testing.T) {
	m := newMount(t)
	m.must(os.Remove(m.dir))
	end := m.watch()
	m.want("[] <nil>")
	end()
}

// TestExclusionInvalidFirst: where no valid list is known the shipped one holds.
func TestExclusionInvalidFirst(t *testing.T) {
	m := newMount(t)
	m.put("announcedInterfacesToExclude: ['(']")
	end := m.watch()
	defer end()
	m.want("[^docker.* ", "^lxc.*] reading the interfaces to leave alone from ")
	m.put("announcedInterfacesToExclude: [a]")
	m.want("[a] <nil>")
}

// TestExclusionUnreadable: a file that cannot be read is no missing file.
func TestExclusionUnreadable(t *testing.T) {
	m := newMount(t)
	m.must(os.Mkdir(m.file(), 0o755))
	end := m.watch()
	defer end()
	m.want("[^docker.* ", "is a directory")
}

func TestExclusionLeavesNothing(t *testing.T) {
	m := newMount(t)
	m.watch()()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range 20 {
		m.watch()()
	}
	left(t, goroutines, files)
}

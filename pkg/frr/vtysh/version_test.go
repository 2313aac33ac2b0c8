// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"strings"
	"sync"
	"testing"

	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

// Which FRR it is, is told once for each start of it, and what it lacks.
func TestFRRIsFound(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	var mu sync.Mutex
	var all []Found
	d := driver(t, f, Options{OnFound: func(f Found) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, f)
	}})
	told := func(want int) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if len(all) != want {
			t.Fatalf("told of %+v, want %d", all, want)
		}
	}
	clean(t, apply(t, d, document(1)))
	told(1)
	if got := all[0]; !strings.HasPrefix(got.Version, "10.") || !got.BMP || len(got.Missing()) > 0 {
		t.Errorf("found %+v, which lacks %q", got, got.Missing())
	}
	d.Forget() // a new vtysh, the same FRR
	clean(t, apply(t, d, document(2)))
	told(1)
	f.KillDaemon(t, "bgpd")
	f.StartDaemon(t, "bgpd")
	d.Forget()
	clean(t, apply(t, d, document(2)))
	told(2)
}

func TestWhatFRRLacks(t *testing.T) {
	const modules = "Module information for zebra:\nzebra 8.4.4 daemon\npid: 5\n\nModule information for bgpd:\nbgpd 8.4.4 daemon\n%s\npid: 7\n\nModule information for bfdd:\npid: 9\n"
	for _, c := range []struct {
		version, module string
		want            []string
	}{
		{"FRRouting 10.3 (n1) on Linux(6.1).", "bgpd_bmp 10.3", nil},
		{"FRRouting 10.0-dev (n1) on Linux(6.1).", "bgpd_bmp 10.0", nil},
		{"FRRouting 10.3 (n1) on Linux(6.1).", "", []string{"no BMP module: session states are not pushed"}},
		{"FRRouting 8.4.4 (n1) on Linux(6.1).", "bgpd_bmp 8.4.4", []string{"older than 10.0"}},
		{"FRRouting 9.1 (n1).", "", []string{"no BMP module", "older than 10.0"}},
	} {
		f := foundIn(c.version, strings.Replace(modules, "%s", c.module, 1))
		got := f.Missing()
		if len(got) != len(c.want) || f.pid != "7" {
			t.Errorf("%q, %q: found %+v, which lacks %q, want %q", c.version, c.module, f, got, c.want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], c.want[i]) {
				t.Errorf("%q: lacks %q, want %q", c.version, got[i], c.want[i])
			}
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package charts_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"metallb.io/metallb-frr/e2e/need"
)

// asSpeaker makes the test binary do what the speaker needs its rights for.
const asSpeaker = "METALLB_TEST_AS_SPEAKER"

func TestMain(m *testing.M) {
	if os.Getenv(asSpeaker) == "" {
		os.Exit(m.Run())
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		fmt.Println("opening a packet socket:", err)
		os.Exit(1)
	}
	unix.Close(fd)
}

// TestTheSpeakersRightsSuffice for the sockets of ARP and NDP, exactly: the user
// and the capabilities of the chart, and no way to gain others.
func TestTheSpeakersRightsSuffice(t *testing.T) {
	if os.Geteuid() != 0 {
		need.Skip(t, "giving up rights takes root")
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		need.Skip(t, "no setpriv (util-linux)")
	}
	out, err := render(t)
	if err != nil {
		t.Fatal(err, out)
	}
	pod := at(t, object(t, out, "DaemonSet", "speaker"), "spec", "template", "spec")
	security := at(t, pod, "containers", "speaker", "securityContext")
	if at(t, security, "allowPrivilegeEscalation") != false {
		t.Error("the speaker may gain privileges")
	}
	var bounding []string
	drop, _ := at(t, security, "capabilities", "drop").([]any)
	for _, c := range drop {
		bounding = append(bounding, "-"+strings.ToLower(fmt.Sprint(c)))
	}
	add, _ := at(t, security, "capabilities", "add").([]any)
	given := append([]string{}, bounding...)
	for _, c := range add {
		given = append(given, "+"+strings.ToLower(fmt.Sprint(c)))
	}
	user := fmt.Sprint(at(t, pod, "securityContext", "runAsUser"))
	for _, row := range []struct {
		user     string
		bounding []string
		enough   bool
	}{
		{user, given, true},
		{user, bounding, false},
		{"65534", given, false},
	} {
		cmd := exec.CommandContext(t.Context(), setpriv, "--no-new-privs", "--reuid", row.user, "--inh-caps=-all",
			"--bounding-set="+strings.Join(row.bounding, ","), "/proc/self/fd/3")
		self, err := os.Open("/proc/self/exe") // which another user could not find
		if err != nil {
			t.Fatal(err)
		}
		cmd.ExtraFiles = []*os.File{self}
		cmd.Env = append(os.Environ(), asSpeaker+"=1")
		said, err := cmd.CombinedOutput()
		self.Close()
		if (err == nil) != row.enough || err != nil && !strings.Contains(string(said), "opening a packet socket: operation not permitted") {
			t.Errorf("user %s with %v: %v, %s", row.user, row.bounding, err, said)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/labels"

	"metallb.io/metallb-frr/pkg/members"
	"metallb.io/metallb-frr/pkg/speaker"
)

// secretFile is the file in the folder of --ml-secret-key-path.
const secretFile = "secretkey"

// Limits of --l2-gratuitous-period, where it is not 0.
const (
	minGratuitous = time.Second
	maxGratuitous = 24 * time.Hour
)

// layer2Flags say how addresses are announced by ARP and NDP, and how the speakers
// know of one another.
type layer2Flags struct {
	bind, advertise string
	port            string
	labels          string
	secret          string
	wan             bool
	config          string
	tuning          tuningFlags
	period          time.Duration
	exclude         string
}

func (l *layer2Flags) register(fs *flag.FlagSet) {
	fs.StringVar(&l.bind, "ml-bindaddr", os.Getenv("METALLB_ML_BIND_ADDR"), "`address` of this node where other speakers reach this one, IPv4 or IPv6; empty: a speaker counts as alive while its Node is Ready (METALLB_ML_BIND_ADDR)")
	fs.StringVar(&l.advertise, "ml-advertiseaddr", os.Getenv("METALLB_ML_ADVERTISE_ADDR"), "`address` that the others are told, where --ml-bindaddr is 0.0.0.0 or :: (METALLB_ML_ADVERTISE_ADDR)")
	fs.StringVar(&l.port, "ml-bindport", env("METALLB_ML_BIND_PORT", fmt.Sprint(members.DefaultPort)), "TCP and UDP `port` of the speakers' membership, the same on all nodes (METALLB_ML_BIND_PORT)")
	fs.StringVar(&l.labels, "ml-labels", os.Getenv("METALLB_ML_LABELS"), "label `selector` of the speakers' Pods; empty: as with an empty --ml-bindaddr (METALLB_ML_LABELS)")
	fs.StringVar(&l.secret, "ml-secret-key-path", os.Getenv("METALLB_ML_SECRET_KEY_PATH"), "`folder` of the file "+secretFile+" that the speakers share, and encrypt with; empty: nothing is encrypted (METALLB_ML_SECRET_KEY_PATH)")
	fs.BoolVar(&l.wan, "ml-wan-config", false, "speakers are far from each other: numbers for that, which find a dead one in half a minute")
	fs.StringVar(&l.config, "ml-config", "/etc/metallb/memberlist/config.json", "`file` with all numbers of memberlist; where it exists it wins over the flags, those of heartbeats excepted")
	l.tuning.register(fs)
	fs.DurationVar(&l.period, "l2-gratuitous-period", time.Minute, "`time` between two unsolicited announcements of an address after those of its beginning, 1s to 24h; 0: none")
	fs.StringVar(&l.exclude, "l2-exclude", "/etc/metallb/excludel2.yaml", "`file` that lists the interfaces to leave alone; where it is missing, none is")
}

// peers returns the selector of the speakers' Pods, or nothing where they are not
// looked for.
func (l *layer2Flags) peers() string {
	if l.bind == "" {
		return ""
	}
	return l.labels
}

// layer2 returns what the flags say, or what is wrong with them. What is in files
// is read, and judged, when the membership starts: it keeps nobody from announcing
// routes.
func (l *layer2Flags) layer2(node string, log logr.Logger) (*speaker.Layer2, error) {
	if l.period != 0 && (l.period < minGratuitous || l.period > maxGratuitous) {
		return nil, fmt.Errorf("--l2-gratuitous-period %v is out of range; want %v to %v, or 0 for none", l.period, minGratuitous, maxGratuitous)
	}
	o := &speaker.Layer2{Period: l.period, Exclude: l.exclude}
	tuning, err := l.tuning.over(l.preset())
	if err != nil {
		return nil, err
	}
	if l.peers() == "" {
		return o, nil
	}
	if _, err := labels.Parse(l.labels); err != nil {
		return nil, fmt.Errorf("--ml-labels %q is no label selector; want one such as %q: %w", l.labels, "app=metallb,component=speaker", err)
	}
	mo := members.Options{Node: node, Tuning: tuning, Log: log}
	if mo.Bind, mo.Advertise, err = l.addresses(); err != nil {
		return nil, err
	}
	o.Members = func() (*members.Members, error) { return l.start(mo) }
	return o, nil
}

// start begins the membership with what the files say now.
func (l *layer2Flags) start(o members.Options) (*members.Members, error) {
	var err error
	if o.Secret, err = l.readSecret(); err != nil {
		return nil, err
	}
	if o.Tuning, err = l.readConfig(o.Tuning); err != nil {
		return nil, err
	}
	return members.Start(o)
}

func (l *layer2Flags) preset() members.Tuning {
	if l.wan {
		return members.WAN()
	}
	return members.LAN()
}

// addresses returns where to listen, and what to tell the others; the latter is
// not valid where it is the former.
func (l *layer2Flags) addresses() (bind, advertise netip.AddrPort, err error) {
	port, err := parsePort("--ml-bindport", l.port)
	if err != nil {
		return bind, advertise, err
	}
	addr, err := parseAddr("--ml-bindaddr", l.bind)
	if err != nil {
		return bind, advertise, err
	}
	bind = netip.AddrPortFrom(addr, port)
	if !addr.IsUnspecified() {
		return bind, advertise, nil
	}
	if l.advertise == "" {
		return bind, advertise, fmt.Errorf("--ml-bindaddr is %s, which no other speaker can reach; want --ml-advertiseaddr (METALLB_ML_ADVERTISE_ADDR) too, with the Pod's address", addr)
	}
	told, err := parseAddr("--ml-advertiseaddr", l.advertise)
	if err == nil && told.IsUnspecified() {
		err = fmt.Errorf("--ml-advertiseaddr is %s, which no other speaker can reach; want the Pod's address", told)
	}
	return bind, netip.AddrPortFrom(told, port), err
}

func parseAddr(flag, text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return addr, fmt.Errorf("%s %q is no address; want an IPv4 or IPv6 address of this node, such as 192.0.2.1 or 2001:db8::1", flag, text)
	}
	return addr.Unmap(), nil
}

// readSecret returns what the speakers share. A file that is not there is not the
// same as none asked for: that would be a membership open to all.
func (l *layer2Flags) readSecret() ([]byte, error) {
	if l.secret == "" {
		return nil, nil
	}
	path := filepath.Join(l.secret, secretFile)
	secret, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading the speakers' shared secret: %s is missing; want the key %q of the Secret mounted in the folder of --ml-secret-key-path, or that flag empty for no encryption", path, secretFile)
	case err != nil:
		return nil, fmt.Errorf("reading the speakers' shared secret: %w", err)
	case len(secret) == 0:
		return nil, fmt.Errorf("reading the speakers' shared secret: %s is empty; want at least one byte, better 16 at random, in the key %q of the Secret", path, secretFile)
	}
	return secret, nil
}

// readConfig returns the numbers of the file of --ml-config, or those of the flags
// where there is none.
func (l *layer2Flags) readConfig(flags members.Tuning) (members.Tuning, error) {
	if l.config == "" {
		return flags, nil
	}
	text, err := os.ReadFile(l.config)
	if errors.Is(err, fs.ErrNotExist) {
		return flags, nil
	}
	if err != nil {
		return flags, fmt.Errorf("reading --ml-config: %w", err)
	}
	t, err := members.ParseTuning(flags, text)
	if err != nil {
		return flags, fmt.Errorf("--ml-config %s: %w", l.config, err)
	}
	return t, nil
}

// parsePort reads the value of a flag; 0 is none.
func parsePort(flag, text string) (uint16, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%s %q is no port; want 1 to 65535", flag, text)
	}
	return uint16(port), nil
}

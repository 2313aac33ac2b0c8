// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
)

// Tuning holds the numbers of the membership protocol, under the names that
// memberlist and the optional file of MetalLB have. LAN and WAN are the presets;
// members with different numbers understand each other, and each judges by its
// own.
type Tuning struct {
	// TCPTimeout bounds connecting, reading and writing of one exchange of states.
	TCPTimeout time.Duration
	// IndirectChecks is how many others are asked to probe a member that does not
	// answer us. 0: none.
	IndirectChecks int
	// RetransmitMult: a message is passed on this many times ceil(log10(n+1)),
	// for n members.
	RetransmitMult int
	// SuspicionMult: a suspect is declared dead after this many times
	// max(1, log10 n) probe intervals, for n members, in which it did not answer.
	SuspicionMult int
	// SuspicionMaxTimeoutMult: where no others confirm the suspicion, it lasts
	// this many times longer. 1: no confirmation is waited for.
	SuspicionMaxTimeoutMult int
	// PushPullInterval is how often a member exchanges its whole state with
	// another one; longer from 33 members on. 0: never.
	PushPullInterval time.Duration
	// ProbeTimeout is how long a probed member has to answer before others are
	// asked to probe it too: above the round trip, and at most half of
	// ProbeInterval, so that those can say that they got no answer either.
	ProbeTimeout time.Duration
	// ProbeInterval is how often a member probes another one, each in its turn.
	ProbeInterval time.Duration
	// DisableTCPPings: a member that does not answer over UDP is not asked over
	// TCP.
	DisableTCPPings bool `json:"DisableTcpPings"`
	// AwarenessMaxMultiplier bounds how many times longer than ProbeInterval a
	// member waits that sees that it is itself the slow one.
	AwarenessMaxMultiplier int
	// GossipNodes is how many others a member passes news on to at once.
	GossipNodes int
	// GossipInterval is how often it does, while it has news.
	GossipInterval time.Duration
	// GossipToTheDeadTime is how long the dead are still told, so that one that is
	// not dead can object.
	GossipToTheDeadTime time.Duration
	// GossipVerifyIncoming: what is not encrypted with the key is refused. Only
	// with a key.
	GossipVerifyIncoming bool
	// GossipVerifyOutgoing: what is sent is encrypted. Only with a key.
	GossipVerifyOutgoing bool
	// EnableCompression: what is sent is compressed (LZW). Both are understood.
	EnableCompression bool
	// HandoffQueueDepth is how many messages wait at most; more are dropped.
	HandoffQueueDepth int
	// UDPBufferSize is the size of the largest packet, in bytes, without IP and
	// UDP headers.
	UDPBufferSize int
	// QueueCheckInterval is how often memberlist measures its queue.
	QueueCheckInterval time.Duration

	// Heartbeat is how often a member sends a packet to the three that watch it,
	// for as long as both are members of this kind. 0: none; then only probes find
	// the dead. A file cannot set it.
	Heartbeat time.Duration `json:"-"`
	// Silence is how long two of those three must have heard nothing before a
	// member counts as dead, and one of them alone, for itself, twice as long; more
	// than twice Heartbeat. 0 without Heartbeat. A file cannot set it.
	Silence time.Duration `json:"-"`
}

// LAN returns the default preset: memberlist's and MetalLB's numbers, with
// heartbeats. A death is known everywhere within 600 ms, whatever the number of
// members; a member may be silent for 400 ms.
func LAN() Tuning {
	return Tuning{
		TCPTimeout:              10 * time.Second,
		IndirectChecks:          3,
		RetransmitMult:          4,
		SuspicionMult:           4,
		SuspicionMaxTimeoutMult: 6,
		PushPullInterval:        30 * time.Second,
		ProbeTimeout:            500 * time.Millisecond,
		ProbeInterval:           time.Second,
		AwarenessMaxMultiplier:  8,
		GossipNodes:             3,
		GossipInterval:          100 * time.Millisecond,
		GossipToTheDeadTime:     30 * time.Second,
		GossipVerifyIncoming:    true,
		GossipVerifyOutgoing:    true,
		HandoffQueueDepth:       1024,
		UDPBufferSize:           1400,
		QueueCheckInterval:      30 * time.Second,
		Heartbeat:               100 * time.Millisecond,
		Silence:                 500 * time.Millisecond,
	}
}

// WAN returns the preset for members that are far from each other: that of
// memberlist, which MetalLB has too, without heartbeats. A death takes half a
// minute and more.
func WAN() Tuning {
	return Tuning{
		TCPTimeout:              30 * time.Second,
		IndirectChecks:          3,
		RetransmitMult:          4,
		SuspicionMult:           6,
		SuspicionMaxTimeoutMult: 6,
		PushPullInterval:        time.Minute,
		ProbeTimeout:            3 * time.Second,
		ProbeInterval:           5 * time.Second,
		AwarenessMaxMultiplier:  8,
		GossipNodes:             4,
		GossipInterval:          500 * time.Millisecond,
		GossipToTheDeadTime:     time.Minute,
		GossipVerifyIncoming:    true,
		GossipVerifyOutgoing:    true,
		EnableCompression:       true,
		HandoffQueueDepth:       1024,
		UDPBufferSize:           1400,
		QueueCheckInterval:      30 * time.Second,
	}
}

// ParseTuning reads the contract's optional file config.json: one JSON object
// with every number of Tuning that a file can set and nothing else, because half
// a preset is rarely what was meant. The heartbeats are those of preset. A
// duration is a string such as "500ms", or a whole number of nanoseconds. Errors
// name the keys.
func ParseTuning(preset Tuning, data []byte) (Tuning, error) {
	var keys map[string]json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&keys); err != nil {
		return Tuning{}, fmt.Errorf("reading the memberlist configuration: it is not a JSON object: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return Tuning{}, errors.New("reading the memberlist configuration: something follows the JSON object")
	}
	t := Tuning{Heartbeat: preset.Heartbeat, Silence: preset.Silence}
	var missing []string
	v := reflect.ValueOf(&t).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		name := cmp.Or(f.Tag.Get("json"), f.Name)
		raw, ok := keys[name]
		delete(keys, name)
		switch {
		case name == "-":
		case !ok:
			missing = append(missing, name)
		default:
			if err := parseField(raw, v.FieldByIndex(f.Index).Addr().Interface()); err != nil {
				return Tuning{}, fmt.Errorf("reading the memberlist configuration: %s is %s: %w", name, raw, err)
			}
		}
	}
	if missing != nil {
		return Tuning{}, fmt.Errorf("reading the memberlist configuration: it has no %s; all keys must be there", strings.Join(missing, ", "))
	}
	for name := range keys {
		return Tuning{}, fmt.Errorf("reading the memberlist configuration: there is no key %s", name)
	}
	if err := t.Check(); err != nil {
		return Tuning{}, fmt.Errorf("reading the memberlist configuration: %w", err)
	}
	return t, nil
}

func parseField(raw json.RawMessage, into any) error {
	if string(raw) == "null" {
		return errors.New("a value is needed")
	}
	d, ok := into.(*time.Duration)
	if !ok {
		return json.Unmarshal(raw, into)
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		if err := json.Unmarshal(raw, (*int64)(d)); err != nil {
			return errors.New(`a duration is needed, such as "500ms" or a number of nanoseconds`)
		}
		return nil
	}
	var err error
	*d, err = time.ParseDuration(text)
	return err
}

// Check reports the first number that is out of its range.
func (t Tuning) Check() error {
	const day = 24 * time.Hour
	for _, d := range []struct {
		name          string
		is, low, high time.Duration
	}{
		{"TCPTimeout", t.TCPTimeout, 100 * time.Millisecond, day},
		{"PushPullInterval", t.PushPullInterval, 0, day},
		{"ProbeInterval", t.ProbeInterval, 10 * time.Millisecond, day},
		{"ProbeTimeout", t.ProbeTimeout, time.Millisecond, t.ProbeInterval},
		{"GossipInterval", t.GossipInterval, time.Millisecond, day},
		{"GossipToTheDeadTime", t.GossipToTheDeadTime, 0, day},
		{"QueueCheckInterval", t.QueueCheckInterval, 100 * time.Millisecond, day},
	} {
		if d.is < d.low || d.is > d.high {
			return fmt.Errorf("%s is %v; it must be between %v and %v", d.name, d.is, d.low, d.high)
		}
	}
	for _, n := range []struct {
		name          string
		is, low, high int
	}{
		{"IndirectChecks", t.IndirectChecks, 0, 100},
		{"RetransmitMult", t.RetransmitMult, 1, 100},
		{"SuspicionMult", t.SuspicionMult, 1, 1000},
		{"SuspicionMaxTimeoutMult", t.SuspicionMaxTimeoutMult, 1, 1000},
		{"AwarenessMaxMultiplier", t.AwarenessMaxMultiplier, 1, 100},
		{"GossipNodes", t.GossipNodes, 1, 100},
		{"HandoffQueueDepth", t.HandoffQueueDepth, 16, 1 << 20},
		{"UDPBufferSize", t.UDPBufferSize, 512, 65000},
	} {
		if n.is < n.low || n.is > n.high {
			return fmt.Errorf("%s is %d; it must be between %d and %d", n.name, n.is, n.low, n.high)
		}
	}
	switch {
	case t.Heartbeat == 0 && t.Silence == 0:
	case t.Heartbeat < 10*time.Millisecond || t.Heartbeat > time.Minute:
		return fmt.Errorf("the Heartbeat is %v; it must be between 10ms and 1m, or 0 with a Silence of 0 for no heartbeats", t.Heartbeat)
	case t.Silence <= 2*t.Heartbeat || t.Silence > time.Hour:
		return fmt.Errorf("the Silence is %v; it must be more than twice Heartbeat, which is %v, and at most 1h", t.Silence, t.Heartbeat)
	}
	return nil
}

// config returns memberlist's configuration.
func (t Tuning) config() *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	from, into := reflect.ValueOf(t), reflect.ValueOf(c).Elem()
	for _, f := range reflect.VisibleFields(from.Type()) {
		if name := cmp.Or(f.Tag.Get("json"), f.Name); name != "-" {
			into.FieldByName(name).Set(from.FieldByIndex(f.Index))
		}
	}
	// A member that is dead, and comes back with another address, is the same.
	c.DeadNodeReclaimTime = time.Millisecond
	return c
}

// SPDX-License-Identifier: Apache-2.0

package members

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

// file is MetalLB's LAN preset as its users write it.
const file = `{
  "TCPTimeout": "10s", "IndirectChecks": 3, "RetransmitMult": 4, "SuspicionMult": 4,
  "SuspicionMaxTimeoutMult": 6, "PushPullInterval": "30s", "ProbeTimeout": 500000000,
  "ProbeInterval": "1s", "DisableTcpPings": false, "AwarenessMaxMultiplier": 8,
  "GossipNodes": 3, "GossipInterval": "200ms", "GossipToTheDeadTime": "30s",
  "GossipVerifyIncoming": true, "GossipVerifyOutgoing": true, "EnableCompression": true,
  "HandoffQueueDepth": 1024, "UDPBufferSize": 1400, "QueueCheckInterval": "30s"
}`

func TestParseTuning(t *testing.T) {
	got, err := ParseTuning(LAN(), []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	want := Tuning{
		TCPTimeout: 10 * time.Second, IndirectChecks: 3, RetransmitMult: 4, SuspicionMult: 4, SuspicionMaxTimeoutMult: 6,
		PushPullInterval: 30 * time.Second, ProbeTimeout: 500 * time.Millisecond, ProbeInterval: time.Second,
		AwarenessMaxMultiplier: 8, GossipNodes: 3, GossipInterval: 200 * time.Millisecond, GossipToTheDeadTime: 30 * time.Second,
		GossipVerifyIncoming: true, GossipVerifyOutgoing: true, EnableCompression: true, HandoffQueueDepth: 1024,
		UDPBufferSize: 1400, QueueCheckInterval: 30 * time.Second, Heartbeat: LAN().Heartbeat, Silence: LAN().Silence,
	}
	if got != want {
		t.Errorf("read %+v", got)
	}
}

func TestParseTuningNamesWhatIsWrong(t *testing.T) {
	var all map[string]any
	if err := json.Unmarshal([]byte(file), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 19 {
		t.Fatalf("%d keys, and not the contract's 19", len(all))
	}
	for key := range all {
		without := map[string]any{}
		for k, v := range all {
			if k != key {
				without[k] = v
			}
		}
		text, _ := json.Marshal(without)
		if _, err := ParseTuning(LAN(), text); err == nil || !strings.Contains(err.Error(), "it has no "+key+";") {
			t.Errorf("without %s: %v", key, err)
		}
	}
	for text, want := range map[string]string{
		"":   "not a JSON object",
		"[]": "not a JSON object",
		"{}": "it has no TCPTimeout, IndirectChecks,",
		strings.Replace(file, "{", `{"Surprise": 1,`, 1):                         "no key Surprise",
		strings.Replace(file, "{", `{"Heartbeat": "1s",`, 1):                     "no key Heartbeat",
		strings.Replace(file, `"10s"`, `"10"`, 1):                                `TCPTimeout is "10"`,
		strings.Replace(file, `"10s"`, `null`, 1):                                "TCPTimeout is null: a value is needed",
		strings.Replace(file, `"10s"`, `1.5`, 1):                                 "a duration is needed",
		strings.Replace(file, `"IndirectChecks": 3`, `"IndirectChecks": "3"`, 1): `IndirectChecks is "3"`,
		strings.Replace(file, `"200ms"`, `"0s"`, 1):                              "GossipInterval is 0s; it must be between 1ms and",
		strings.Replace(file, `500000000`, `"2s"`, 1):                            "ProbeTimeout is 2s; it must be between 1ms and 1s",
		strings.Replace(file, `1400`, `100`, 1):                                  "UDPBufferSize is 100; it must be between 512 and 65000",
		file + "{}":                                                              "something follows",
	} {
		if _, err := ParseTuning(LAN(), []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s...: %v, and not %q", text, err, want)
		}
	}
}

func TestPresets(t *testing.T) {
	for name, p := range map[string]Tuning{"LAN": LAN(), "WAN": WAN()} {
		if err := p.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	slow := LAN()
	slow.Silence = 2 * slow.Heartbeat
	if err := slow.Check(); err == nil || !strings.Contains(err.Error(), "Silence is 200ms; it must be more than twice") {
		t.Error(err)
	}
	// The contract's WAN numbers are memberlist's.
	ours, theirs := WAN().config(), memberlist.DefaultWANConfig()
	ours.DeadNodeReclaimTime = 0
	if a, b := fmt.Sprintf("%+v", *ours), fmt.Sprintf("%+v", *theirs); a != b {
		t.Errorf("the WAN preset is\n%s\nand not\n%s", a, b)
	}
	if c := LAN().config(); c.ProbeInterval != LAN().ProbeInterval || c.UDPBufferSize != 1400 || c.EnableCompression {
		t.Errorf("LAN's numbers do not arrive: %+v", c)
	}
}

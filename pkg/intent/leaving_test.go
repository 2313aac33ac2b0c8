// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
)

const tiredNode = `
apiVersion: v1
kind: Node
metadata: {name: n1}
spec:
  unschedulable: true
  taints:
  - {key: node.kubernetes.io/unschedulable, effect: NoSchedule}
  - {key: example.com/repair, value: disk, effect: NoExecute}
status:
  conditions:
  - {type: DiskPressure, status: "True"}
  - {type: Ready, status: "False"}
  - {type: example.com/Kernel, status: Unknown}
`

func TestDrainOn(t *testing.T) {
	for _, row := range []struct{ list, why string }{
		{"", ""},
		{" , ", ""},
		{"cordon", "node n1 is cordoned (spec.unschedulable)"},
		{"condition/DiskPressure", "node n1 has the condition DiskPressure=True"},
		{"condition/DiskPressure=True", "node n1 has the condition DiskPressure=True"},
		{"condition/DiskPressure=False", ""},
		{"condition/Ready", ""},
		{"condition/Ready=False", "node n1 has the condition Ready=False"},
		{"condition/Ready=Unknown", ""},
		{"condition/example.com/Kernel=Unknown", "node n1 has the condition example.com/Kernel=Unknown"},
		{"condition/MemoryPressure", ""},
		{"node.kubernetes.io/unschedulable", "node n1 has the taint node.kubernetes.io/unschedulable:NoSchedule"},
		{"node.kubernetes.io/unschedulable:NoExecute", ""},
		{"example.com/repair", "node n1 has the taint example.com/repair=disk:NoExecute"},
		{"example.com/repair=disk", "node n1 has the taint example.com/repair=disk:NoExecute"},
		{"example.com/repair=", ""},
		{"example.com/repair=fan", ""},
		{"example.com/repair:NoExecute", "node n1 has the taint example.com/repair=disk:NoExecute"},
		{"example.com/repair=disk:NoExecute", "node n1 has the taint example.com/repair=disk:NoExecute"},
		{"example.com/repair=disk:NoSchedule", ""},
		{"other, condition/Ready=False ,cordon", "node n1 has the condition Ready=False"},
	} {
		s := read(t, tiredNode)
		var err error
		if s.DrainOn, err = intent.ParseDrainOn(row.list); err != nil {
			t.Errorf("%q: %v", row.list, err)
			continue
		}
		why := ""
		if l := intent.Resolve(nil, s).Node("n1").Leaving; l != nil {
			why = l.Message
			if l.Cause != intent.ByDrainOn {
				t.Errorf("%q: cause %d", row.list, l.Cause)
			}
		}
		if why != row.why {
			t.Errorf("%q: %q, want %q", row.list, why, row.why)
		}
	}
}

func TestDrainOnRefused(t *testing.T) {
	for list, says := range map[string]string{
		"cordon, not a key":            `"not a key": "not a key" is no key of a taint`,
		"Cordon!":                      `"Cordon!" is no key of a taint`,
		"condition/":                   `"" is no type of a condition`,
		"condition/Ready=Maybe":        `"Maybe" is no status of a condition`,
		"condition/Ready=":             `"" is no status of a condition`,
		"example.com/repair:Sometimes": `"Sometimes" is no effect of a taint`,
		"example.com/repair:":          `"" is no effect of a taint`,
		"example.com/repair=a b":       `"a b" is no value of a taint`,
		"=x":                           `"" is no key of a taint`,
	} {
		if _, err := intent.ParseDrainOn(list); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "want cordon, condition/Type") {
			t.Errorf("%q: %v; want %s, and what would be right", list, err, says)
		}
	}
}

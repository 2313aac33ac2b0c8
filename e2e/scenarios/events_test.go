// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// told waits until there is an event about an object ("ConfigMap bgpextras") with
// that reason and all those parts in its message, not older than since.
func (w *world) told(t *testing.T, ctx context.Context, since time.Time, namespace, object, reason string, parts ...string) {
	t.Helper()
	kind, name, _ := strings.Cut(object, " ")
	about := fields.Set{"involvedObject.kind": kind, "involvedObject.name": name}.AsSelector().String()
	w.eventually(t, ctx, fmt.Sprintf("event %s about %s with %q", reason, object, parts), func() error {
		list, err := w.k8s.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: about})
		if err != nil {
			return err
		}
		var have []string
		for _, e := range list.Items {
			if e.LastTimestamp.Time.Before(since.Truncate(time.Second)) {
				continue
			}
			if e.Reason == reason && hasAll(e.Message, parts) {
				return nil
			}
			have = append(have, e.Reason+": "+e.Message)
		}
		return fmt.Errorf("there are %q", have)
	})
}

func hasAll(text string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"encoding/json"
	"fmt"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// accept parses an object's spec. Where it is invalid, the spec that was last
// accepted, which the controller keeps in the object's status, stays in force;
// the findings are those of what is written now.
func accept[S, T any](r *resolver, ref Ref, spec *S, last *v1beta1.AcceptedSpec, parse func(*S) (*T, []Finding)) *T {
	out, findings := parse(spec)
	for _, f := range findings {
		f.Object = ref
		r.find(f)
	}
	if out != nil || last == nil || len(last.Spec.Raw) == 0 {
		return out
	}
	before := new(S)
	if err := json.Unmarshal(last.Spec.Raw, before); err != nil {
		r.find(Finding{Object: ref, Severity: Warning, Reason: LastAcceptedUnreadable, Field: "status.lastAccepted",
			Message: fmt.Sprintf("cannot be read and is not used: %v", err)})
		return nil
	}
	out, _ = parse(before)
	return out
}

// invalid returns no object and one Finding that says why.
func invalid[T any](reason Reason, field, value, format string, args ...any) (*T, []Finding) {
	return nil, []Finding{fault(reason, field, value, format, args...)}
}

func fault(reason Reason, field, value, format string, args ...any) Finding {
	return Finding{Severity: Invalid, Reason: reason, Field: field, Value: value, Message: fmt.Sprintf(format, args...)}
}

func index(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

// SPDX-License-Identifier: Apache-2.0

package frr

import "metallb.io/metallb-frr/pkg/intent"

// TemplateRefused: a template of a user's own is broken; the built-in one is used.
const TemplateRefused intent.Reason = "TemplateRefused"

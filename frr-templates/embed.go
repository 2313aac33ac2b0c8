// SPDX-License-Identifier: Apache-2.0

// Package frrtemplates holds the text templates that FRR's configuration is
// rendered from, one per element of frr.conf. README.md in this folder says what
// each receives. The package is vocabulary: files and nothing else.
package frrtemplates

import "embed"

// FS holds the built-in templates, *.tmpl.
//
//go:embed *.tmpl
var FS embed.FS

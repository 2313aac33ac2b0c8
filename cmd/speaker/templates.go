// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/intent"
)

// templatesFrom returns the FRR templates with those of the folder dir in place
// of the built-in ones, and what is wrong with them, which it logs too. An empty
// dir names none.
func templatesFrom(dir string, log logr.Logger) (*frr.Templates, []intent.Finding) {
	if dir == "" {
		return frr.BuiltIn(), nil
	}
	templates, findings, err := frr.Override(os.DirFS(dir))
	if err != nil {
		log.Error(err, "FRR templates not read; the built-in ones are used", "folder", dir)
		return templates, []intent.Finding{{
			Object: frr.TemplatesRef, Severity: intent.Invalid, Reason: frr.TemplateRefused, Field: "--frr-templates", Value: dir, Message: err.Error() + "; the built-in templates are used",
		}}
	}
	for _, f := range findings {
		log.Info("FRR template refused", "reason", f.Message, "folder", dir)
	}
	return templates, findings
}

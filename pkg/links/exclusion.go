// SPDX-License-Identifier: Apache-2.0

package links

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"sigs.k8s.io/yaml"
)

// excludeKey is the one key of excludel2.yaml.
const excludeKey = "announcedInterfacesToExclude"

// DefaultExclusion are the expressions of the ConfigMap metallb-excludel2 as it is
// shipped: interfaces of pods, tunnels and what Kubernetes makes for itself.
var DefaultExclusion = []string{
	"^docker.*", "^cbr.*", "^dummy.*", "^virbr.*", "^lxcbr.*", "^veth.*", "^lo$",
	"^cali.*", "^tunl.*", "^flannel.*", "^kube-ipvs.*", "^cni.*", "^nodelocaldns.*", "^lxc.*",
}

// Exclusion is the list of interfaces that are left alone: nothing is announced or
// answered on them. It does not change. Nil: there is none.
type Exclusion struct{ patterns []*regexp.Regexp }

// NewExclusion returns the list of the interfaces that one of the regular
// expressions matches anywhere in the name. An error names those that are none; an
// empty one, which would match every name, is refused too.
func NewExclusion(patterns ...string) (*Exclusion, error) {
	x := &Exclusion{}
	var errs []error
	for i, p := range patterns {
		re, err := regexp.Compile(p)
		switch {
		case p == "":
			errs = append(errs, fmt.Errorf("%s[%d]: is empty, and would match every interface; want a regular expression such as %q", excludeKey, i, "^veth.*"))
		case err != nil:
			errs = append(errs, fmt.Errorf("%s[%d]: %q is not a regular expression: %w", excludeKey, i, p, err))
		default:
			x.patterns = append(x.patterns, re)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return x, nil
}

// ParseExclusion reads the text of an excludel2.yaml, as in
//
//	announcedInterfacesToExclude: ["^veth.*", "^lo$"]
//
// An empty one excludes nothing. A key that is not this one is refused, for a
// misspelt list would otherwise exclude nothing, without a word.
func ParseExclusion(text []byte) (*Exclusion, error) {
	var file struct {
		Patterns []string `json:"announcedInterfacesToExclude"`
	}
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		return nil, fmt.Errorf("want the one key %s with a list of regular expressions: %w", excludeKey, err)
	}
	return NewExclusion(file.Patterns...)
}

// Match returns the first expression that matches an interface's name.
func (x *Exclusion) Match(name string) (pattern string, ok bool) {
	if x == nil {
		return "", false
	}
	for _, re := range x.patterns {
		if re.MatchString(name) {
			return re.String(), true
		}
	}
	return "", false
}

// Patterns returns the expressions in their order.
func (x *Exclusion) Patterns() []string {
	if x == nil {
		return nil
	}
	var out []string
	for _, re := range x.patterns {
		out = append(out, re.String())
	}
	return out
}

// Equal reports whether both have the same expressions in the same order.
func (x *Exclusion) Equal(y *Exclusion) bool { return slices.Equal(x.Patterns(), y.Patterns()) }

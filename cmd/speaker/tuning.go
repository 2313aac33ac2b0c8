// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"metallb.io/metallb-frr/pkg/members"
)

// tuningFlags are the numbers of members.Tuning that were given, one flag for
// each field.
type tuningFlags struct {
	given []given
}

// given is one flag of the command line.
type given struct {
	field string // of members.Tuning
	flag  string // as given, such as --ml-probe-interval=1s
	value reflect.Value
}

func (t *tuningFlags) register(fs *flag.FlagSet) {
	lan, wan := reflect.ValueOf(members.LAN()), reflect.ValueOf(members.WAN())
	for i, f := range reflect.VisibleFields(lan.Type()) {
		name := tuningFlag(f.Name)
		usage := fmt.Sprintf("`%s` of the speakers' membership; default %v, with --ml-wan-config %v", f.Name, lan.Field(i), wan.Field(i))
		take := func(text string) error {
			v, err := parseTuning(f.Type, text)
			if err == nil {
				t.given = append(t.given, given{f.Name, "--" + name + "=" + text, v})
			}
			return err
		}
		if f.Type.Kind() == reflect.Bool {
			fs.BoolFunc(name, usage, take)
		} else {
			fs.Func(name, usage, take)
		}
	}
}

// tuningFlag returns the name of a field's flag: ml-tcp-timeout of TCPTimeout.
func tuningFlag(field string) string {
	var b strings.Builder
	b.WriteString("ml")
	lower := func(i int) bool { return i >= 0 && i < len(field) && unicode.IsLower(rune(field[i])) }
	for i, r := range field {
		if unicode.IsUpper(r) && (i == 0 || lower(i-1) || lower(i+1)) { // a word begins
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func parseTuning(t reflect.Type, text string) (reflect.Value, error) {
	switch t {
	case reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(text)
		if err != nil {
			err = errors.New("want a duration such as 500ms")
		}
		return reflect.ValueOf(d), err
	case reflect.TypeFor[bool]():
		b, err := strconv.ParseBool(text)
		if err != nil {
			err = errors.New("want true or false")
		}
		return reflect.ValueOf(b), err
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		err = errors.New("want a whole number")
	}
	return reflect.ValueOf(n), err
}

// over returns preset with what was given in its place. No heartbeats means no
// silence to judge either, unless one was given.
func (t *tuningFlags) over(preset members.Tuning) (members.Tuning, error) {
	var flags []string
	v := reflect.ValueOf(&preset).Elem()
	silence := false
	for _, g := range t.given {
		v.FieldByName(g.field).Set(g.value)
		flags = append(flags, g.flag)
		silence = silence || g.field == "Silence"
	}
	if preset.Heartbeat == 0 && !silence {
		preset.Silence = 0
	}
	if err := preset.Check(); err != nil {
		return preset, fmt.Errorf("%s: %w", strings.Join(flags, " "), err)
	}
	return preset, nil
}

// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// Options are what a Document depends on beside the plan.
type Options struct {
	// Templates render the fragments; nil: BuiltIn.
	Templates *Templates
	// LogLevel is FRR's: emergencies, alerts, critical, errors, warnings,
	// notifications, informational (the default) or debugging.
	LogLevel string
	// BMPHost and BMPPort are where bgpd reports its sessions (RFC 7854);
	// 127.0.0.1 and 11019 by default.
	BMPHost string
	BMPPort uint16
}

func (o Options) withDefaults() Options {
	if o.Templates == nil {
		o.Templates = builtIn
	}
	if o.LogLevel == "" {
		o.LogLevel = "informational"
	}
	if o.BMPHost == "" {
		o.BMPHost = "127.0.0.1"
	}
	if o.BMPPort == 0 {
		o.BMPPort = 11019
	}
	return o
}

var builtIn = BuiltIn()

// Build renders a plan. prev, which may be nil, is the Document made before with
// the same options: fragments of networks that did not change are taken from it,
// so the cost is that of what changed. An error is a template's and names it.
func Build(prev *Document, p *plan.NodePlan, o Options) (*Document, error) {
	b := &builder{o: o.withDefaults(), doc: &Document{made: new(mark), routers: p.Routers}}
	b.doc.self = b.doc
	b.build(prev, p)
	if b.err != nil {
		return nil, fmt.Errorf("building the FRR configuration of node %s: %w", p.Node, b.err)
	}
	return b.doc, nil
}

func (b *builder) build(prev *Document, p *plan.NodePlan) {
	b.add("global", nil, nil, "global", map[string]any{"Node": p.Node, "LogLevel": b.o.LogLevel})
	for _, profile := range p.BFDProfiles {
		b.add("bfd profile "+profile.Name, []intent.Ref{profile.Ref()}, nil, "bfd-profile", bfdData(profile))
	}
	for _, c := range classesOf(p) {
		b.class(c)
	}
	for _, r := range p.Routers {
		b.maps(r)
	}
	for _, r := range p.Routers {
		b.router(r)
	}
	b.networks(b.overlay(prev, p.Extras), p)
}

type builder struct {
	o    Options
	doc  *Document
	err  error                                  // the first
	seen func(name string, data map[string]any) // hears what each template is given; nil: nobody
}

func (b *builder) add(key string, origins []intent.Ref, node []string, template string, data map[string]any) *Fragment {
	f := &Fragment{Key: key, Origins: origins}
	b.fill(f, template, node, data)
	if f.failed != nil && len(b.doc.Unrendered) < maxUnrendered {
		b.doc.Unrendered = append(b.doc.Unrendered, *f.failed)
	}
	b.doc.Base = append(b.doc.Base, f)
	return f
}

// maxUnrendered bounds Document.Unrendered.
const maxUnrendered = 100

// fill executes a template for a fragment. Where one of the user's own fails on
// what it is given, although it worked on the samples, the built-in one takes its
// place.
func (b *builder) fill(f *Fragment, name string, node []string, data map[string]any) {
	if b.seen != nil {
		b.seen(name, data)
	}
	lines, err := b.o.Templates.try(name, node, data)
	if err != nil && b.o.Templates.own {
		f.failed = &Refusal{
			Line: Line{Text: name + ".tmpl"}, Origins: append(slices.Clip(f.Origins), TemplatesRef),
			Message: fmt.Sprintf("your own template fails here and the built-in one is used: %v", err),
		}
		lines, err = builtIn.try(name, node, data)
	}
	if err != nil && b.err == nil {
		b.err = err
	}
	f.Lines = lines
}

// classesOf returns the classes of all routers, by name: VRFs may share some.
func classesOf(p *plan.NodePlan) []*plan.Class {
	byName := map[string]*plan.Class{}
	for _, r := range p.Routers {
		for _, c := range r.Classes {
			byName[c.Name] = c
		}
	}
	return slices.SortedFunc(maps.Values(byName), func(a, b *plan.Class) int { return strings.Compare(a.Name, b.Name) })
}

func (b *builder) class(c *plan.Class) {
	var names []string
	for _, ad := range c.Ads {
		names = append(names, ad.Name)
	}
	b.add("class "+c.Name, adRefs(c), nil, "class", map[string]any{
		"Name": c.Name, "Family": familyName(c.Family), "Advertisements": names, "Tag": c.Tag,
	})
}

// maps renders the in and out maps of a router's sessions.
func (b *builder) maps(r *plan.Router) {
	for _, s := range r.Sessions {
		who := map[string]any{"ID": s.ID, "Peer": s.Peer.Name}
		b.add("in map "+s.ID, []intent.Ref{s.Peer.Ref()}, nil, "peer-in", who)
		for _, e := range s.Exports {
			origins := append([]intent.Ref{s.Peer.Ref()}, adRefs(e.Class)...)
			b.add("out map "+s.ID+" "+e.Class.Name, origins, nil, "peer-out", exportData(s, e))
		}
		b.add("out map "+s.ID+" end", []intent.Ref{s.Peer.Ref()}, nil, "peer-out-end", who)
	}
}

func exportData(s *plan.Session, e plan.Export) map[string]any {
	var standard, large []string
	for _, c := range e.Communities {
		if c.IsLarge() {
			large = append(large, c.Value())
		} else {
			standard = append(standard, communityName(c))
		}
	}
	return map[string]any{
		"ID": s.ID, "Peer": s.Peer.Name, "Class": e.Class.Name, "Seq": e.Class.Seq, "Tag": e.Class.Tag,
		"LocalPref": e.LocalPref, "Communities": standard, "LargeCommunities": large,
	}
}

func (b *builder) router(r *plan.Router) {
	header := routerNode(r)
	b.add("router "+r.VRF, r.Origins, nil, "router", map[string]any{
		"ASN": r.ASN, "VRF": r.VRF, "RouterID": addrText(r.RouterID),
		"BMPHost": b.o.BMPHost, "BMPPort": b.o.BMPPort, "GracefulShutdown": r.Marked,
	})
	for _, s := range r.Sessions {
		b.add("neighbor "+s.ID, []intent.Ref{s.Peer.Ref()}, header, "neighbor", neighborData(s))
	}
	for _, family := range []bgp.Family{bgp.IPv4, bgp.IPv6} {
		node := familyNode(header, family)
		for _, s := range r.Sessions {
			if !slices.Contains(s.Families, family) {
				continue
			}
			f := b.add("neighbor "+s.ID+" "+family.String(), []intent.Ref{s.Peer.Ref()}, node, "neighbor-family",
				map[string]any{"ID": s.Neighbor(), "Map": s.ID})
			f.OutMap = s.ID + "-out"
			f.Clear = SoftClear{VRF: r.VRF, Family: family.String(), Neighbor: s.Neighbor()}
		}
	}
}

func (b *builder) networks(prev *Document, p *plan.NodePlan) {
	defer b.unrendered(prev)
	if prev != nil && b.patch(prev, p) {
		b.extraNetworks(len(b.doc.touched) == 0)
		return
	}
	size := 0
	for _, r := range p.Routers {
		size += len(r.Routes)
	}
	b.doc.Networks = make(map[NetworkKey]*Fragment, size)
	for _, r := range p.Routers {
		header := routerNode(r)
		for prefix, route := range r.Routes {
			key := NetworkKey{r.VRF, prefix}
			if prev != nil {
				if f := prev.Networks[key]; f != nil && f.isRoute(header, route) {
					b.doc.Networks[key] = f
					continue
				}
			}
			b.doc.Networks[key] = b.network(key, header, route)
		}
	}
	b.extraNetworks(false)
}

// patch takes the networks from prev and makes anew those only that the plan has
// touched since. It reports whether that could be done.
func (b *builder) patch(prev *Document, p *plan.NodePlan) bool {
	if prev.self != prev || len(prev.routers) != len(p.Routers) {
		return false
	}
	for i, r := range p.Routers {
		prefixes, known := r.Touched(prev.routers[i])
		if !known {
			return false
		}
		for _, prefix := range prefixes {
			b.doc.touched = append(b.doc.touched, NetworkKey{r.VRF, prefix})
		}
	}
	b.doc.from, b.doc.Networks = prev.made, prev.Networks
	if len(b.doc.touched) == 0 {
		return true
	}
	b.doc.Networks = maps.Clone(prev.Networks)
	for _, r := range p.Routers {
		prefixes, _ := r.Touched(prev.routers[slices.Index(p.Routers, r)])
		for _, prefix := range prefixes {
			key := NetworkKey{r.VRF, prefix}
			if route := r.Routes[prefix]; route != nil {
				b.doc.Networks[key] = b.network(key, routerNode(r), route)
			} else {
				delete(b.doc.Networks, key)
			}
		}
	}
	return true
}

func (b *builder) network(key NetworkKey, header []string, route *plan.Route) *Fragment {
	f := &Fragment{Key: "network " + route.Prefix.String(), route: route}
	for _, s := range route.Services {
		f.Origins = append(f.Origins, s.Ref())
	}
	b.fill(f, "network", familyNode(header, route.Class.Family), map[string]any{
		"Prefix": route.Prefix.String(), "Class": route.Class.Name,
	})
	if f.failed != nil {
		b.fail(key, f)
	}
	return f
}

func (b *builder) fail(key NetworkKey, f *Fragment) {
	if b.doc.failed == nil {
		b.doc.failed = map[NetworkKey]*Fragment{}
	}
	if len(b.doc.failed) < maxUnrendered {
		b.doc.failed[key] = f
	}
}

// unrendered reports the networks that a template of the user's failed for: now,
// and in prev where they are still what they were.
func (b *builder) unrendered(prev *Document) {
	if prev != nil {
		for key, f := range prev.failed {
			if b.doc.Networks[key] == f {
				b.fail(key, f)
			}
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(b.doc.failed), NetworkKey.compare) {
		if f := b.doc.failed[key]; b.doc.Networks[key] == f && len(b.doc.Unrendered) < maxUnrendered {
			b.doc.Unrendered = append(b.doc.Unrendered, *f.failed)
		}
	}
}

// isRoute reports whether f is what network would render.
func (f *Fragment) isRoute(header []string, route *plan.Route) bool {
	return f.route != nil && f.Lines[0].Node[0] == header[0] && (f.route == route ||
		f.route.Class.Name == route.Class.Name && slices.Equal(f.route.Services, route.Services))
}

func routerNode(r *plan.Router) []string {
	text := "router bgp " + strconv.FormatUint(uint64(r.ASN), 10)
	if r.VRF != "" {
		text += " vrf " + r.VRF
	}
	return []string{text}
}

func familyNode(router []string, f bgp.Family) []string {
	return append(slices.Clip(router), "address-family "+f.String()+" unicast")
}

func adRefs(c *plan.Class) []intent.Ref {
	refs := make([]intent.Ref, len(c.Ads))
	for i, ad := range c.Ads {
		refs[i] = ad.Ref()
	}
	return refs
}

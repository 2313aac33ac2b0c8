// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

func read(t testing.TB, manifests string) *intent.Snapshot {
	t.Helper()
	s, err := intent.ReadYAML(strings.NewReader(manifests), "metallb-system")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// planned is the Result of the node n1, which forwards.
func planned(t testing.TB, manifests string) *plan.Result {
	t.Helper()
	return plan.ForNode(nil, intent.Resolve(nil, read(t, manifests)), plan.NodeFacts{Name: "n1", Forwarding: true})
}

func object(kind, name, rest string) string {
	version := "metallb.io/v1beta1"
	switch kind {
	case "BGPPeer":
		version = "metallb.io/v1beta2"
	case "Node", "Service":
		version = "v1"
	}
	return fmt.Sprintf("---\napiVersion: %s\nkind: %s\nmetadata: {name: %s%s\n", version, kind, name, rest)
}

func node(name, meta, status string) string {
	return object("Node", name, meta+"}\nstatus: {"+status+"}")
}
func pool(name, addresses string) string {
	return object("IPAddressPool", name, "}\nspec: {addresses: ["+addresses+"]}")
}
func peer(name, addr, extra string) string {
	return object("BGPPeer", name, "}\nspec: {myASN: 64512, peerASN: 65000, peerAddress: '"+addr+"'"+extra+"}")
}
func ad(name, spec string) string { return object("BGPAdvertisement", name, "}\nspec: {"+spec+"}") }

// service writes a Service that has addresses and a ready endpoint on each node.
func service(name, addresses, extra string, nodes ...string) string {
	var ingress, list []string
	for a := range strings.FieldsSeq(addresses) {
		ingress = append(ingress, "{ip: '"+a+"'}")
	}
	for _, n := range nodes {
		list = append(list, "{addresses: [10.244.0.1], nodeName: "+n+"}")
	}
	return object("Service", name, ", labels: {name: "+name+"}}\nspec: {type: LoadBalancer, clusterIPs: [10.96.0.1]"+extra+"}\nstatus: {loadBalancer: {ingress: ["+strings.Join(ingress, ", ")+"]}}") +
		"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " + name + "-a, namespace: default, labels: {kubernetes.io/service-name: " + name + "}}\nendpoints: [" + strings.Join(list, ", ") + "]\n"
}

const (
	local    = ", externalTrafficPolicy: Local"
	ready    = "addresses: [{type: InternalIP, address: 10.0.0.11}]"
	hostname = "nodeSelectors: [{matchLabels: {kubernetes.io/hostname: %s}}]"
)

var (
	n1, n2   = node("n1", ", labels: {kubernetes.io/hostname: n1}", ready), node("n2", ", labels: {kubernetes.io/hostname: n2}", ready)
	twoNodes = n1 + n2
	base     = twoNodes + pool("a", "192.0.2.0/24, 'fd00::/64'") + peer("tor1", "10.0.0.1", "")
	web      = service("web", "192.0.2.7", "", "n2")
)

// show writes what a plan announces, in a form to compare: per router and prefix
// the class and the Services, and per session what it offers.
func show(p *plan.NodePlan) string {
	var out strings.Builder
	for _, r := range p.Routers {
		fmt.Fprintf(&out, "router %q AS %d id %v\n", r.VRF, r.ASN, r.RouterID)
		for _, c := range r.Classes {
			fmt.Fprintf(&out, " class %s %v tag %d seq %d\n", c.Name, c.Family, c.Tag, c.Seq)
		}
		for _, s := range r.Sessions {
			fmt.Fprintf(&out, " session %s %v\n", s.ID, s.Families)
			for _, e := range s.Exports {
				fmt.Fprintf(&out, "  %s tag %d pref %d %v\n", e.Class.Name, e.Class.Tag, e.LocalPref, e.Communities)
			}
		}
		var lines []string
		for prefix, route := range r.Routes {
			lines = append(lines, fmt.Sprintf(" route %s %v %s %d %v", prefix, route.Prefix == prefix, route.Class.Name, route.Class.Tag, route.Services))
		}
		slices.Sort(lines)
		out.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return out.String()
}

// route returns the class and the Services of a prefix, or "none".
func route(p *plan.NodePlan, prefix string) string {
	for _, r := range p.Routers {
		if route := r.Routes[netip.MustParsePrefix(prefix)]; route != nil {
			return fmt.Sprintf("%s %v", route.Class.Name, route.Services)
		}
	}
	return "none"
}

// export returns what a session offers of a class, or "nothing".
func export(p *plan.NodePlan, session, class string) string {
	for _, r := range p.Routers {
		for _, s := range r.Sessions {
			for _, e := range s.Exports {
				if s.ID == session && e.Class.Name == class {
					return fmt.Sprintf("%d %v", e.LocalPref, e.Communities)
				}
			}
		}
	}
	return "nothing"
}

// extras is the ConfigMap bgpextras with that text.
func extras(text string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: bgpextras}\ndata: {extras: %q}\n", text)
}

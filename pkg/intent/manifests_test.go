// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
)

// read reads manifests into a Snapshot of the namespace metallb-system.
func read(t testing.TB, manifests string) *intent.Snapshot {
	t.Helper()
	s, err := intent.ReadYAML(strings.NewReader(manifests), "metallb-system")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func resolve(t testing.TB, manifests string) *intent.Intent {
	t.Helper()
	return intent.Resolve(nil, read(t, manifests))
}

// own writes an object of the product's namespace.
func own(kind, name, rest string) string {
	version := "v1beta1"
	if kind == "BGPPeer" {
		version = "v1beta2"
	}
	return "---\napiVersion: metallb.io/" + version + "\nkind: " + kind + "\nmetadata: {name: " + name + "}\n" + rest + "\n"
}

func pool(name, spec string) string { return own("IPAddressPool", name, "spec: "+spec) }
func peer(name, spec string) string { return own("BGPPeer", name, "spec: "+spec) }
func ad(name, spec string) string   { return own("BGPAdvertisement", name, "spec: "+spec) }
func l2ad(name, spec string) string { return own("L2Advertisement", name, "spec: "+spec) }
func bfd(name, spec string) string  { return own("BFDProfile", name, "spec: "+spec) }
func community(name, spec string) string {
	return own("Community", name, "spec: "+spec)
}

// service writes a LoadBalancer Service; rest are lines of metadata and spec.
func service(name, meta, spec string) string {
	return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name + meta + "}\nspec: {type: LoadBalancer, clusterIPs: [10.96.0.1]" + spec + "}\n"
}

// clusterService writes a Service that the product has nothing to do with.
func clusterService(name, addr string) string {
	return "---\napiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\nspec: {clusterIP: " + addr + ", clusterIPs: [" + addr + "]}\n"
}

// node writes a Node with addresses ("192.0.2.1, ExternalIP 198.51.100.1").
func node(name, podCIDRs, addresses string) string {
	var list []string
	for _, a := range strings.Split(addresses, ", ") {
		kind, addr, typed := strings.Cut(a, " ")
		if !typed {
			kind, addr = "InternalIP", kind
		}
		list = append(list, "{type: "+kind+", address: "+addr+"}")
	}
	return "---\napiVersion: v1\nkind: Node\nmetadata: {name: " + name + "}\nspec: {podCIDRs: [" + podCIDRs + "]}\nstatus: {addresses: [" + strings.Join(list, ", ") + "]}\n"
}

func endpoints(name, service, list string) string {
	return "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " + name + ", namespace: default, labels: {kubernetes.io/service-name: " + service + "}}\naddressType: IPv4\nendpoints: [" + list + "]\n"
}

// reasonsIn returns the values of the constants that a file declares.
func reasonsIn(t *testing.T, file string) []intent.Reason {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []intent.Reason
	for _, decl := range parsed.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			if name, ok := v.Type.(*ast.Ident); !ok || name.Name != "Reason" {
				continue
			}
			for _, value := range v.Values {
				text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				reasons = append(reasons, intent.Reason(text))
			}
		}
	}
	if len(reasons) == 0 {
		t.Fatalf("%s declares no Reason", file)
	}
	return reasons
}

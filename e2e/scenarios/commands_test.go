// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

// commands are those of the documents, with <namespace> and <service-name> filled
// in, and what their output has. (`kubectl top` needs a metrics server, which is
// not the product's.)
var commands = []struct {
	line string
	want []string // regular expressions
}{
	// That GitOps tools and people can wait for everything that they write.
	{"kubectl -n metallb-system wait --for=condition=Ready --timeout=20s " + userKinds + " --all",
		[]string{"ipaddresspool.metallb.io/prod-pool condition met", "bgppeer.metallb.io/tor2 condition met",
			"bgpadvertisement.metallb.io/prod-adv condition met", "l2advertisement.metallb.io/extra condition met",
			"bfdprofile.metallb.io/tor-bfd condition met", "community.metallb.io/names condition met"}},

	// The guide.
	{"kubectl get pods -n metallb-system", []string{`(?m)^controller-\S+ +1/1 +Running`, `(?m)^speaker-\S+ +2/2 +Running`}},
	{"kubectl describe ipaddresspool -n metallb-system", []string{"prod-pool", "203.0.113.0/24", "Accepted"}},
	{"kubectl describe l2advertisement -n metallb-system", []string{"extra"}},
	{"kubectl describe bgppeer -n metallb-system", []string{"Peer Address: +172.30.0.1", "Established"}},
	{"kubectl describe bgpadvertisement -n metallb-system", []string{"prod-adv", "65000:100"}},
	{"kubectl get svc web -n NS", []string{`web +LoadBalancer +\S+ +ADDRESS +80:`}},
	{"kubectl logs -n metallb-system -l app=metallb,component=controller", []string{`"level"`}},
	{"kubectl logs -n metallb-system -l app=metallb,component=speaker", []string{`"level"`}},
	{`kubectl logs -n metallb-system -l app=metallb,component=speaker | grep "BGP session established"`, []string{"tor1", "tor2", "172.30.0.1", "172.30.0.2"}},
	{"kubectl get events -n metallb-system", []string{`Started +pod/speaker-`}},
	{"kubectl get services --all-namespaces -o wide | grep LoadBalancer", []string{"ADDRESS"}},
	{"kubectl exec -n metallb-system ds/speaker -- mirror-status", []string{"172.30.0.1", "172.30.0.2", "ADDRESS/32", "(?i)up"}},

	// The handbook.
	{`kubectl -n metallb-system logs -l app=metallb,component=speaker -c speaker | grep "BGP session established"`, []string{"tor1", "tor2"}},
	{`kubectl logs -n metallb-system -l component=speaker | grep -i "BGP session"`, []string{"tor1", "tor2"}},
	{"kubectl get svc web -n NS -o jsonpath='{.status.loadBalancer.ingress[0].ip}'", []string{"^ADDRESS$"}},
	{`kubectl get endpointslices -n NS -l kubernetes.io/service-name=web -o jsonpath='{range .items[*].endpoints[*]}{.nodeName}{"\n"}{end}'`, []string{"n2"}},
	{`kubectl exec -n metallb-system ds/speaker -c frr -- vtysh -c "show bfd peers brief"`, []string{`172\.30\.0\.1\d +172.30.0.1 +up`, `172\.30\.0\.1\d +172.30.0.2 +up`}},

	// The runbook.
	{"kubectl -n metallb-system get pods -o wide", []string{`(?m)^speaker-.* n3 `}},
	{"kubectl -n metallb-system get ipaddresspools,l2advertisements", []string{"ipaddresspool.metallb.io/prod-pool +true +false +.*203.0.113.0/24", "l2advertisement.metallb.io/extra"}},
	{"kubectl get svc -A | grep LoadBalancer", []string{"ADDRESS"}},
	{"kubectl -n metallb-system logs deploy/controller --tail=200", []string{`"level"`}},
	{"kubectl -n metallb-system logs daemonset/speaker --tail=200", []string{"BGP session established"}},
	{"kubectl -n metallb-system describe pod -l app.kubernetes.io/name=metallb", []string{"Name: +controller-", "Name: +speaker-"}},
	{"kubectl -n NS describe svc web", []string{"LoadBalancer Ingress: +ADDRESS"}},
	{"kubectl -n metallb-system get ipaddresspool metallb-pool -o yaml", []string{"autoAssign: false", "type: Ready"}},
	{"kubectl get nodes -o wide", []string{"n1 +Ready", "n3 +Ready"}},
	{"kubectl -n NS get endpoints web", []string{`web +10\.244\.2\.\d+:8080`}},
	{"kubectl -n metallb-system get ipaddresspools,l2advertisements -o yaml", []string{"kind: L2Advertisement"}},
	{"kubectl -n metallb-system get deploy,daemonset", []string{`deployment.apps/controller +2/2`, `daemonset.apps/speaker +3 +3 +3`}},
	{"kubectl -n metallb-system describe deploy controller", []string{"Name: +controller", "Available +True"}},
}

// The commands of the documents work as they stand there.
func TestCommandsOfTheDocuments(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	w.apply(t, ctx, w.torConfig()+webPods(ns, "web", "n2")+service(ns, "web", "Cluster")+
		object("IPAddressPool", "metallb-pool", `{addresses: [198.51.100.0/28], autoAssign: false}`)+
		object("L2Advertisement", "extra", `{ipAddressPools: [metallb-pool]}`)+
		object("Community", "names", `{communities: [{name: lab, value: "65000:100"}]}`))
	w.podsReady(t, ctx, ns, "web")
	addr := w.address(t, ctx, ns, "web")
	rec.reach(t, ctx, host(addr), everywhere...)
	w.answers(t, ctx, netip.AddrPortFrom(addr, 80), "n2")
	w.says(t, ctx, verdict{"BGPPeer tor1", "Established", "True", "", nil}, verdict{"BGPPeer tor2", "Established", "True", "", nil})
	for _, c := range commands {
		line := strings.ReplaceAll(c.line, "NS", ns)
		out, err := w.shell(ctx, line)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, want := range c.want {
			want = strings.ReplaceAll(want, "ADDRESS", regexp.QuoteMeta(addr.String()))
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("%s\nits output lacks %s:\n%s", line, want, out)
			}
		}
	}
	w.agree(t, ctx)
}

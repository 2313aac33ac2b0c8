// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
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

// guide are the command lines of deploy/docs/operating.md and layer2.md, as they
// stand there but for the names of node and Service, and what their output has. What
// comes before " #" in a line counts.
var guide = map[string][]string{
	"kubectl -n metallb-system get pods -o wide":                                                                {`(?m)^speaker-.* n3 `},
	"kubectl -n metallb-system get ipaddresspools,bgppeers,bgpadvertisements,bfdprofiles":                       {"ipaddresspool.metallb.io/prod-pool", "bgppeer.metallb.io/tor1", "bgpadvertisement.metallb.io/prod-adv", "bfdprofile.metallb.io/tor-bfd"},
	"kubectl get services -A | grep LoadBalancer":                                                               {"ADDRESS"},
	`kubectl -n metallb-system logs -l app=metallb,component=speaker -c speaker --tail=-1 | grep "BGP session"`: {"BGP session established.*tor1"},
	"kubectl -n metallb-system wait --for=condition=Ready bgppeer/tor1 ipaddresspool/prod-pool":                 {"bgppeer.metallb.io/tor1 condition met", "ipaddresspool.metallb.io/prod-pool condition met"},
	"kubectl describe service web":                                                                              {`nodeAssigned .*announcing from node "n1", "n2", "n3" with protocol "bgp"`},
	`kubectl get service web -o jsonpath='{range .status.conditions[*]}{.type}={.status} {.reason}: {.message}{"\n"}{end}'`: {
		`metallb\.io/AddressAssigned=True Assigned: ADDRESS from pool prod-pool`, `metallb\.io/Announced=True Announced: ADDRESS from n1, n2, n3 over bgp \(peers tor1, tor2\)`},
	"kubectl wait --for=condition=metallb.io/Announced service/web":                                                                                                                            {"service/web condition met"},
	"kubectl -n metallb-system get servicebgpstatuses -l metallb.io/service-name=web,metallb.io/service-namespace=default -o wide":                                                             {`(?m)^bgp-\S+ +n1 +web +NS`, `(?m)^bgp-\S+ +n3 +web +NS`},
	`kubectl -n metallb-system get servicebgpstatuses -l metallb.io/node=worker-1 -o jsonpath='{range .items[*]}{.status.serviceNamespace}/{.status.serviceName}: {.status.peers}{"\n"}{end}'`: {`(?m)^NS/web: \["tor1","tor2"\]$`},
	"kubectl -n metallb-system get servicel2statuses":                                                                                                                                          {`(?m)^l2-\S+ +n\d +lan +NS`},
	`kubectl -n metallb-system logs -l app=metallb,component=speaker -c speaker --tail=-1 | grep '"msg":"address'`:                                                                             {`"msg":"address announced".*"reason":"Claimed".*"service":"NS/lan"`},
	"kubectl -n metallb-system get bgppeers":                                                                                                                                                   {`(?m)^tor1 .* 3/3`, `(?m)^tor2 .* 3/3`},
	"kubectl -n metallb-system describe bgppeer tor1":                                                                                                                                          {`Established: +3`, `Bfd Up: +3`},
	"kubectl -n metallb-system get configurationstate speaker-worker-1 -o jsonpath='{.status.sessions}'":                                                                                       {`"peer":"tor1"`, `"state":"Established"`},
	`kubectl -n metallb-system exec ds/speaker -c frr -- vtysh -c "show bgp summary"`:                                                                                                          {`172\.30\.0\.1 `, `Total number of neighbors 2`},
	`kubectl -n metallb-system exec ds/speaker -c frr -- vtysh -c "show bfd peers brief"`:                                                                                                      {`172\.30\.0\.1\d +172.30.0.1 +up`},
	`kubectl -n metallb-system exec ds/speaker -c frr -- vtysh -c "show bfd peers"`:                                                                                                            {`peer 172\.30\.0\.1 `, `Status: up`},
	`kubectl -n metallb-system exec ds/speaker -c frr -- vtysh -c "show running-config"`:                                                                                                       {`network ADDRESS/32 route-map prod-adv\.v4`},
	"kubectl -n metallb-system exec ds/speaker -c speaker -- mirror-status":                                                                                                                    {"ADDRESS/32"},
	`kubectl annotate node NODE --overwrite metallb.io/pause-repairs-until="$(date -u -d '+30 min' +%Y-%m-%dT%H:%M:%SZ)"`:                                                                      {"node/n1 annotated"},
	`kubectl -n metallb-system get configurationstate speaker-NODE -o jsonpath='{.status.conditions[?(@.type=="frrInSync")]}'`:                                                                 {`"reason":"RepairsPaused"`},
	"kubectl annotate node NODE metallb.io/pause-repairs-until-":                                                                                                                               {"node/n1 annotated"},
	"kubectl label node NODE node.kubernetes.io/exclude-from-external-load-balancers=":                                                                                                         {"node/n1 labeled"},
	`kubectl -n metallb-system wait configurationstate/speaker-NODE --for=jsonpath='{.status.conditions[?(@.type=="inService")].reason}'=RoutesWithdrawn`:                                      {"condition met"},
	"kubectl label node NODE node.kubernetes.io/exclude-from-external-load-balancers-":                                                                                                         {"node/n1 unlabeled"},
}

// elsewhere are the command lines of the guides that are for the way from MetalLB, or
// out of a webhook that nobody answers for; TestComingFromMetalLB in cmd/controller
// runs them.
var elsewhere = []string{
	"kubectl delete validatingwebhookconfiguration metallb-webhook-configuration",
	`kubectl patch crd bgppeers.metallb.io --type=json -p '[{"op":"replace","path":"/spec/conversion","value":{"strategy":"None"}}]'`,
}

// guideLines are the command lines of the guides.
func guideLines(t *testing.T) []string {
	t.Helper()
	var text []byte
	for _, name := range []string{"operating.md", "layer2.md"} {
		one, err := os.ReadFile("../../deploy/docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, one...)
	}
	var lines []string
	inside := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			inside = line == "```sh"
			continue
		}
		if inside {
			line, _, _ = strings.Cut(line, " #")
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// The commands of the documents work as they stand there.
func TestCommandsOfTheDocuments(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	w.apply(t, ctx, w.torConfig()+webPods(ns, "web", "n2")+service(ns, "web", "Cluster")+
		object("IPAddressPool", "metallb-pool", `{addresses: [198.51.100.0/28], autoAssign: false}`)+
		object("L2Advertisement", "extra", `{ipAddressPools: [metallb-pool]}`)+
		plain(ns, "lan", everywhere, ", annotations: {metallb.io/address-pool: metallb-pool}")+
		object("Community", "names", `{communities: [{name: lab, value: "65000:100"}]}`))
	w.podsReady(t, ctx, ns, "web")
	addr := w.address(t, ctx, ns, "web")
	rec.reach(t, ctx, host(addr), everywhere...)
	w.answers(t, ctx, netip.AddrPortFrom(addr, 80), "n2")
	w.says(t, ctx, verdict{"BGPPeer tor1", "Established", "True", "", nil}, verdict{"BGPPeer tor2", "Established", "True", "", nil})
	names := strings.NewReplacer("NS", ns, "ADDRESS", regexp.QuoteMeta(addr.String()))
	for _, c := range commands {
		w.outputs(t, ctx, names.Replace(c.line), c.want, names)
	}
	t.Cleanup(func() {
		if _, err := w.shell(context.Background(), "kubectl annotate node n1 metallb.io/pause-repairs-until- && kubectl label node n1 "+excludeLabel+"-"); err != nil {
			t.Error(err)
		}
	})
	w.watched(t, ctx)
	here := strings.NewReplacer("worker-1", "n1", "NODE", "n1", "service-namespace=default", "service-namespace="+ns, "service web", "service web -n "+ns, "service/web", "-n "+ns+" service/web")
	missing := maps.Clone(guide)
	for _, line := range guideLines(t) {
		if slices.Contains(elsewhere, line) {
			continue
		}
		want, known := guide[line]
		if !known {
			t.Errorf("%s\nstands in a guide, and what it is to print is not known here", line)
		}
		delete(missing, line)
		w.outputs(t, ctx, here.Replace(line), want, names)
	}
	for line := range missing {
		t.Errorf("%s\nstands in no guide", line)
	}
	rec.reach(t, ctx, host(addr), everywhere...)
	w.agree(t, ctx)
}

// outputs runs a command line until its output has everything that is wanted: some
// of it is about what takes its time.
func (w *world) outputs(t *testing.T, ctx context.Context, line string, want []string, names *strings.Replacer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	for {
		out, err := w.shell(ctx, line)
		if err != nil {
			t.Error(err)
			return
		}
		lacks := slices.IndexFunc(want, func(want string) bool { return !regexp.MustCompile(names.Replace(want)).MatchString(out) })
		if lacks < 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Errorf("%s\nits output lacks %s:\n%s", line, names.Replace(want[lacks]), out)
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

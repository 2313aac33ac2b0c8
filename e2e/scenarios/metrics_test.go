// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
)

// The ports of metrics, HTTPS.
const (
	speakerPort = 9120
	frrPort     = 9121
)

// token makes a ServiceAccount that may read metrics, as for Prometheus, and
// returns a token of its.
func (w *world) token(t *testing.T, ctx context.Context, namespace string) string {
	t.Helper()
	name := namespace + "-metrics" // the role is the cluster's
	t.Cleanup(func() {
		if _, err := w.Kubectl(context.Background(), "delete", "clusterrole,clusterrolebinding", name, "--ignore-not-found"); err != nil {
			t.Error(err)
		}
	})
	w.kubectl(t, ctx, "create", "clusterrole", name, "--verb=get", "--non-resource-url=/metrics")
	w.kubectl(t, ctx, "create", "clusterrolebinding", name, "--clusterrole="+name, "--serviceaccount="+namespace+":prometheus")
	w.kubectl(t, ctx, "-n", namespace, "create", "serviceaccount", "prometheus")
	return strings.TrimSpace(w.kubectl(t, ctx, "-n", namespace, "create", "token", "prometheus"))
}

// get asks a node for a path over HTTPS, from another node of the cluster.
func (w *world) get(ctx context.Context, n *lab.Node, port int, path, token string) (status int, body string, err error) {
	from := w.Node(0)
	if n.Name == from.Name {
		from = w.Node(1)
	}
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: from.Dial, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the certificate is the speaker's own, as MetalLB's
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s:%d%s", n.Addr4, port, path), nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// scrape returns a node's series with their values.
func (w *world) scrape(t *testing.T, ctx context.Context, n *lab.Node, port int, token string) map[string]float64 {
	t.Helper()
	status, body, err := w.get(ctx, n, port, "/metrics", token)
	if err == nil && status != http.StatusOK {
		err = errors.New(body)
	}
	if err != nil {
		t.Fatalf("metrics of %s at %d: status %d: %v", n.Name, port, status, err)
	}
	series := map[string]float64{}
	for line := range strings.Lines(body) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(line, "#") || !ok {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("metrics of %s at %d: %q: %v", n.Name, port, line, err)
		}
		series[name] = v
	}
	return series
}

// reaches waits until a series of a node's speaker has that value or more.
func (w *world) reaches(t *testing.T, ctx context.Context, n *lab.Node, token, series string, want float64) {
	t.Helper()
	w.eventually(t, ctx, fmt.Sprintf("%s on %s to be %g", series, n.Name, want), func() error {
		if have := w.scrape(t, ctx, n, speakerPort, token)[series]; have < want {
			return fmt.Errorf("it is %g", have)
		}
		return nil
	})
}

// MetalLB's names for what FRR says of BGP and BFD sessions.
var (
	bgpNames = []string{"session_up", "announced_prefixes_total", "updates_total", "updates_total_received", "opens_sent", "opens_received",
		"notifications_sent", "keepalives_sent", "keepalives_received", "route_refresh_sent", "total_sent", "total_received"}
	bfdNames = []string{"session_up", "control_packet_input", "control_packet_output", "echo_packet_input", "echo_packet_output",
		"session_up_events", "session_down_events", "zebra_notifications"}
)

// What is announced is to be seen as MetalLB's users are used to: one
// ServiceBGPStatus per node, one event on the Service, and metrics under all names
// for whoever has a token.
func TestWhatIsAnnouncedIsSeen(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	since := time.Now()
	w.apply(t, ctx, w.torConfig()+plain(ns, "web", everywhere))
	addr := w.address(t, ctx, ns, "web")
	rec.reach(t, ctx, host(addr), everywhere...)
	w.watched(t, ctx)

	want := "n1 [\"tor1\",\"tor2\"]\nn2 [\"tor1\",\"tor2\"]\nn3 [\"tor1\",\"tor2\"]\n"
	w.statuses(t, ctx, ns, want)
	w.told(t, ctx, since, ns, "Service web", "nodeAssigned", `announcing from node "n1", "n2", "n3" with protocol "bgp"`)

	n, token := w.Node(2), w.token(t, ctx, ns)
	for _, port := range []int{speakerPort, frrPort} {
		for _, wrong := range []string{"", "wrong"} {
			if status, body, err := w.get(ctx, n, port, "/metrics", wrong); status != http.StatusUnauthorized || err != nil {
				t.Errorf("metrics at %d with token %q: status %d, error %v, want 401:\n%s", port, wrong, status, err, body)
			}
		}
	}
	if status, body, err := w.get(ctx, n, frrPort, "/livez", ""); status != http.StatusOK || err != nil {
		t.Errorf("livez: status %d, error %v: %s", status, err, body)
	}
	w.reaches(t, ctx, n, token, fmt.Sprintf(`metallb_speaker_announced{ip="%s",node="n3",protocol="bgp",service="%s/web"}`, addr, ns), 1)
	w.frrSeries(t, ctx, n, token)

	w.deleteService(t, ctx, ns, "web")
	w.statuses(t, ctx, ns, "")
	w.eventually(t, ctx, "the series of the Service to be gone", func() error {
		for series := range w.scrape(t, ctx, n, speakerPort, token) {
			if strings.HasPrefix(series, "metallb_speaker_announced") {
				return fmt.Errorf("there is %s", series)
			}
		}
		return nil
	})
	w.agree(t, ctx)
}

// frrSeries checks that each of MetalLB's series is there for each router, and
// says what is so.
func (w *world) frrSeries(t *testing.T, ctx context.Context, n *lab.Node, token string) {
	t.Helper()
	series := w.scrape(t, ctx, n, frrPort, token)
	value := func(kind, name, peer string) float64 {
		id := fmt.Sprintf(`metallb_%s_%s{peer="%s",vrf="default"}`, kind, name, peer)
		v, has := series[id]
		if !has {
			t.Errorf("there is no series %s", id)
		}
		return v
	}
	for _, r := range w.Routers() {
		bgp, bfd := r.Addr4.String()+":179", r.Addr4.String()
		for _, name := range bgpNames {
			value("bgp", name, bgp)
		}
		for _, name := range bfdNames {
			value("bfd", name, bfd)
		}
		for _, name := range []string{"session_up", "announced_prefixes_total"} {
			if v := value("bgp", name, bgp); v != 1 {
				t.Errorf("metallb_bgp_%s of %s is %g, want 1", name, bgp, v)
			}
		}
		for _, v := range []float64{value("bgp", "updates_total", bgp), value("bgp", "keepalives_sent", bgp), value("bgp", "total_received", bgp),
			value("bfd", "session_up", bfd), value("bfd", "control_packet_input", bfd), value("bfd", "control_packet_output", bfd)} {
			if v < 1 {
				t.Errorf("a series of %s is %g, want at least 1:\n%v", r.Name, v, series)
			}
		}
	}
}

// statuses waits until the ServiceBGPStatuses of the Service web are these, by node.
func (w *world) statuses(t *testing.T, ctx context.Context, ns, want string) {
	t.Helper()
	w.eventually(t, ctx, "ServiceBGPStatuses", func() error {
		got, err := w.Kubectl(ctx, "-n", product.Namespace, "get", "servicebgpstatuses", "--sort-by=.status.node",
			"-l", "metallb.io/service-name=web,metallb.io/service-namespace="+ns,
			"-o", `jsonpath={range .items[*]}{.status.node} {.status.peers}{"\n"}{end}`)
		if err == nil && got != want {
			err = fmt.Errorf("they are\n%s\nwant\n%s", got, want)
		}
		return err
	})
}

// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// kubeProxy asks the node's kube-proxy whether its rules are in force.
//
// Its health check alone does not tell: it answers 200 from its start, before it
// has written any, and says then that it was updated just now. What tells is its
// gauge of the last time that the rules were synced, which is there, for each IP
// family, from the first time on (kubernetes/pkg/proxy; with 1.36 0.2 to 0.3 s
// later, with hardly a Service and nothing else to do). Where the metrics are turned off or elsewhere,
// the health check must do: each family was updated after we asked first, or so
// long ago that it was not the start.
type kubeProxy struct {
	health, metrics string // URLs
	first           map[string]time.Time
}

// proxySettled is how old a family's last update must be to be more than
// kube-proxy's start.
const proxySettled = 5 * time.Second

func localProxy() kubeProxy {
	return kubeProxy{health: "http://127.0.0.1:10256/healthz", metrics: "http://127.0.0.1:10249/metrics"}
}

// proxyHealth is the body of a health check. Those of older kube-proxies and of
// their replacements have neither healthy nor status.
type proxyHealth struct {
	Healthy     *bool                        `json:"healthy"`
	CurrentTime time.Time                    `json:"currentTime"`
	Status      map[string]proxyFamilyHealth `json:"status"` // by IP family: IPv4, IPv6
}

type proxyFamilyHealth struct {
	LastUpdated time.Time `json:"lastUpdated"`
	Healthy     bool      `json:"healthy"`
}

// ready asks once.
func (p *kubeProxy) ready(ctx context.Context) (ok, listens bool) {
	code, body := ask(ctx, p.health)
	if code == 0 {
		return false, false
	}
	var h proxyHealth
	if json.Unmarshal(body, &h) != nil {
		h = proxyHealth{}
	}
	switch {
	case h.Healthy == nil && code != http.StatusOK:
		return false, true
	case h.Healthy != nil && len(h.Status) == 0:
		return false, true // it has only just started
	}
	// 503 with all families healthy is a node that is about to be deleted: it
	// forwards all the same.
	for _, f := range h.Status {
		if !f.Healthy {
			return false, true
		}
	}
	if code, text := ask(ctx, p.metrics); code == http.StatusOK {
		if synced, known := syncedFamilies(text); known {
			return synced.all(h), true
		}
	}
	return p.settled(h), true
}

// settled judges by the health check alone.
func (p *kubeProxy) settled(h proxyHealth) bool {
	if p.first == nil {
		p.first = map[string]time.Time{}
	}
	all := true
	for family, f := range h.Status {
		first, seen := p.first[family]
		if !seen {
			first = f.LastUpdated
			p.first[family] = first
		}
		if f.LastUpdated.Equal(first) && h.CurrentTime.Sub(f.LastUpdated) < proxySettled {
			all = false
		}
	}
	return all
}

// families are those whose rules have been synced; "" stands for all.
type families map[string]bool

// all reports whether every family of the health check is among them.
func (synced families) all(h proxyHealth) bool {
	for family := range h.Status {
		if !synced[family] && !synced[""] {
			return false
		}
	}
	return len(synced) > 0
}

// lastSynced is kube-proxy's gauge; an older one has no label for the family.
const lastSynced = "kubeproxy_sync_proxy_rules_last_timestamp_seconds"

// syncedFamilies reads kube-proxy's metrics (Prometheus' text format). known: they
// are kube-proxy's; a family that was never synced is then missing or 0.
func syncedFamilies(text []byte) (synced families, known bool) {
	synced = families{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		known = known || strings.Contains(line, "kubeproxy_")
		rest, is := strings.CutPrefix(line, lastSynced)
		if !is {
			continue
		}
		family := ""
		if labels, value, has := strings.Cut(rest, "}"); has {
			rest = value
			_, family, _ = strings.Cut(labels, `ip_family="`)
			family, _, _ = strings.Cut(family, `"`)
		}
		if at, err := strconv.ParseFloat(strings.TrimSpace(rest), 64); err == nil && at > 0 {
			synced[family] = true
		}
	}
	return synced, known
}

// ask gets a URL; code 0: nobody answers.
func ask(ctx context.Context, url string) (code int, body []byte) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, body
}

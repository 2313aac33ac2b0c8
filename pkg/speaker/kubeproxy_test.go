// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// proxyAnswer is what a kube-proxy answers at one moment; code 0: nothing listens.
type proxyAnswer struct {
	code          int
	health        string
	metrics       string // empty: there are none
	ready, listen bool
}

// health writes the body of a health check, with each family's age in seconds.
func health(healthy bool, families ...string) string {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var status []string
	for _, f := range families {
		name, age, _ := strings.Cut(f, " ")
		seconds, _ := time.ParseDuration(age + "s")
		status = append(status, fmt.Sprintf(`%q:{"lastUpdated":%q,"healthy":%t}`, name, now.Add(-seconds).Format(time.RFC3339Nano), healthy))
	}
	body := fmt.Sprintf(`{"lastUpdated":%q,"currentTime":%q,"nodeEligible":true,"healthy":%t`, now.Format(time.RFC3339Nano), now.Format(time.RFC3339Nano), healthy)
	if len(status) > 0 {
		body += `,"status":{` + strings.Join(status, ",") + "}"
	}
	return body + "}"
}

const (
	neverSynced = "# TYPE kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds gauge\nkubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family=\"IPv4\"} 1.7e+09\n"
	synced4     = "kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"} 1.7953e+09\n"
	synced6     = "kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv6\"} 1.7953e+09\n"
	syncedOld   = "kubeproxy_sync_proxy_rules_last_timestamp_seconds 1.7953e+09\n"
	unsyncedOld = "kubeproxy_sync_proxy_rules_last_timestamp_seconds 0\n"
	noHealthy   = `{"lastUpdated": "2026-11-21 12:00:00 +0000 UTC m=+9.1","currentTime": "2026-11-21 12:00:00 +0000 UTC m=+9.1", "nodeEligible": true}`
)

func TestKubeProxyReady(t *testing.T) {
	const ok, bad = http.StatusOK, http.StatusServiceUnavailable
	for name, answers := range map[string][]proxyAnswer{
		"nothing listens":                  {{0, "", "", false, false}},
		"just started":                     {{ok, health(true), neverSynced, false, true}},
		"just started, no metrics":         {{ok, health(true), "", false, true}},
		"no rules yet, but healthy":        {{ok, health(true, "IPv4 1", "IPv6 1"), neverSynced, false, true}},
		"one family synced":                {{ok, health(true, "IPv4 0", "IPv6 1"), neverSynced + synced4, false, true}},
		"both synced":                      {{ok, health(true, "IPv4 0", "IPv6 0"), neverSynced + synced4 + synced6, true, true}},
		"one family only":                  {{ok, health(true, "IPv4 0"), synced4, true, true}},
		"hangs":                            {{bad, health(false, "IPv4 90"), synced4, false, true}},
		"node about to be deleted":         {{bad, health(true, "IPv4 9"), synced4, true, true}},
		"no metrics, long there":           {{ok, health(true, "IPv4 20", "IPv6 20"), "", true, true}},
		"no metrics, recent":               {{ok, health(true, "IPv4 1", "IPv6 20"), "", false, true}},
		"no metrics, updated meanwhile":    {{ok, health(true, "IPv4 1", "IPv6 2"), "", false, true}, {ok, health(true, "IPv4 0", "IPv6 2"), "", false, true}, {ok, health(true, "IPv4 0", "IPv6 1"), "", true, true}},
		"another program's metrics":        {{ok, health(true, "IPv4 1"), "up 1\n", false, true}},
		"older, synced":                    {{ok, noHealthy, syncedOld, true, true}},
		"older, not synced":                {{ok, noHealthy, unsyncedOld, false, true}},
		"older, no metrics":                {{ok, noHealthy, "", true, true}},
		"older, not healthy":               {{bad, noHealthy, syncedOld, false, true}},
		"a replacement that says only 200": {{ok, "ok", "", true, true}},
	} {
		var now proxyAnswer
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/healthz":
				w.WriteHeader(now.code)
				io.WriteString(w, now.health)
			case now.metrics == "":
				w.WriteHeader(http.StatusNotFound)
			default:
				io.WriteString(w, now.metrics)
			}
		}))
		p := kubeProxy{health: server.URL + "/healthz", metrics: server.URL + "/metrics"}
		for i, now1 := range answers {
			if now = now1; now.code == 0 {
				server.Close()
			}
			if ready, listens := p.ready(t.Context()); ready != now.ready || listens != now.listen {
				t.Errorf("%s, answer %d: ready %t, listens %t; want %t, %t", name, i, ready, listens, now.ready, now.listen)
			}
		}
		server.Close()
	}
}

// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"

	"metallb.io/metallb-frr/e2e/apiserver"
)

// older makes an API server one that cannot list by a watch, and keeps what lists ask
// for.
type older struct {
	next http.RoundTripper

	mu       sync.Mutex
	versions map[string]int // of lists
}

func (o *older) RoundTrip(r *http.Request) (*http.Response, error) {
	query := r.URL.Query()
	if query.Has("sendInitialEvents") {
		return &http.Response{
			StatusCode: http.StatusUnprocessableEntity, Request: r, ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {"application/json"}},
			Body:   io.NopCloser(strings.NewReader(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422,"message":"sendInitialEvents: Forbidden"}`)),
		}, nil
	}
	if !query.Has("watch") {
		o.mu.Lock()
		o.versions[query.Get("resourceVersion")]++
		o.mu.Unlock()
	}
	return o.next.RoundTrip(r)
}

// The process that writes begins with what is written now, not with what some API
// server remembers: it would give away what the leader before it gave already.
func TestFirstListIsNotOld(t *testing.T) {
	cfg := apiserver.Start(t)
	apiserver.InstallCRDs(t, cfg)
	for name, test := range map[string]struct {
		o    Options
		want string
	}{
		"a controller": {Options{StatusWriter: true, Endpoints: true}, ""},
		"a speaker":    {Options{Node: "n1", Endpoints: true}, "0"}, // one per node; it gives nothing
	} {
		asked := &older{versions: map[string]int{}}
		through := rest.CopyConfig(cfg)
		through.Wrap(func(next http.RoundTripper) http.RoundTripper { asked.next = next; return asked })
		startCluster(t, through, test.o)
		asked.mu.Lock()
		if n := asked.versions[test.want]; n < 10 || len(asked.versions) != 1 {
			t.Errorf("%s lists versions %v, want %q only", name, asked.versions, test.want)
		}
		asked.mu.Unlock()
	}
}

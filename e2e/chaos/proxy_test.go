// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"metallb.io/metallb-frr/e2e/apiserver"
)

// proxy stands between a controller and the API server and does to requests what
// networks and overloaded API servers do.
type proxy struct {
	kubeconfig string

	mu      sync.Mutex
	random  *rand.Rand
	lose    float64       // the share of writes whose answer is lost
	fail    float64       // the share of writes that are answered 504 after they were made
	delay   time.Duration // the longest that a part of a watch is held back
	hold    chan struct{} // writes wait for it to be closed, if set, also where nobody waits for their answer
	written int           // writes of Services' statuses that came
	lost    int           // answers to such writes that were lost
	arrived chan struct{} // receives a value for a write that came to hold
}

func newProxy(t *testing.T, config *rest.Config, random *rand.Rand) *proxy {
	t.Helper()
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{random: random, arrived: make(chan struct{}, 1)}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport, // adds the token
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ModifyResponse: func(r *http.Response) error {
			if r.Request.URL.Query().Has("watch") {
				r.Body = slow{r.Body, p}
			}
			return nil
		},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler:           http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) { p.serve(forward, out, r) }),
		ReadHeaderTimeout: limit,
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-ended })
	p.kubeconfig = apiserver.Kubeconfig(t, &rest.Config{Host: "http://" + listener.Addr().String()})
	return p
}

func (p *proxy) serve(forward http.Handler, out http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPatch || !strings.Contains(r.URL.Path, "/services/") {
		forward.ServeHTTP(out, r)
		return
	}
	p.mu.Lock()
	p.written++
	hold, luck := p.hold, p.random.Float64()
	lose, fail := luck < p.lose, luck >= p.lose && luck < p.lose+p.fail
	if lose || fail {
		p.lost++
	}
	p.mu.Unlock()
	if hold != nil {
		select {
		case p.arrived <- struct{}{}:
		default:
		}
		<-hold
	}
	if !lose && !fail {
		forward.ServeHTTP(out, r)
		return
	}
	forward.ServeHTTP(&nowhere{header: http.Header{}}, r)
	if lose {
		panic(http.ErrAbortHandler) // closes the connection
	}
	out.Header().Set("Content-Type", "application/json")
	out.Header().Set("Retry-After", "1") // as where etcd did not answer in time
	out.WriteHeader(http.StatusGatewayTimeout)
	_, _ = io.WriteString(out, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Timeout","code":504,"message":"request did not complete within the allotted timeout"}`)
}

// nowhere is where lost answers go.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header            { return n.header }
func (n *nowhere) WriteHeader(int)                {}
func (n *nowhere) Write(data []byte) (int, error) { return len(data), nil }

// slow is the body of a watch that arrives in its own time.
type slow struct {
	io.ReadCloser
	p *proxy
}

func (s slow) Read(data []byte) (int, error) {
	n, err := s.ReadCloser.Read(data)
	s.p.mu.Lock()
	delay := s.p.delay
	if delay > 0 {
		delay = time.Duration(s.p.random.Int64N(int64(delay)))
	}
	s.p.mu.Unlock()
	if delay > 0 && n > 0 {
		<-time.After(delay)
	}
	return n, err
}

// set changes what the proxy does.
func (p *proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *proxy) count(what *int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *what
}

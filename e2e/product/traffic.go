// SPDX-License-Identifier: Apache-2.0

package product

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
)

// Request is one HTTP request over a connection of its own.
type Request struct {
	Start time.Time
	Took  time.Duration
	Pod   string // that answered
	Node  string // that the Pod is on
	Seen  string // the client's address and port as the Pod saw it
	Err   error  // nil if it was answered in time with status 200
}

// Tally counts answers.
type Tally struct {
	ByNode map[string]int
	Failed int
	First  error // of those that failed
}

// Count tallies requests.
func Count(requests []Request) Tally {
	t := Tally{ByNode: map[string]int{}}
	for _, r := range requests {
		switch {
		case r.Err == nil:
			t.ByNode[r.Node]++
		case t.Failed == 0:
			t.First = r.Err
			fallthrough
		default:
			t.Failed++
		}
	}
	return t
}

// URL is where a Service of [WebApp] answers at that address.
func URL(a netip.Addr) string { return "http://" + netip.AddrPortFrom(a, 80).String() + "/" }

// Ask makes one request from the client with that time limit.
func Ask(ctx context.Context, c *lab.Client, url string, timeout time.Duration) Request {
	return ask(ctx, c.HTTP(timeout), url)
}

func ask(ctx context.Context, c *http.Client, url string) (r Request) {
	r.Start = time.Now()
	defer func() { r.Took = time.Since(r.Start) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		r.Err = err
		return r
	}
	resp, err := c.Do(req)
	if err != nil {
		r.Err = err
		return r
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil || resp.StatusCode != http.StatusOK {
		r.Err = fmt.Errorf("GET %s: status %s, body %q, %w", url, resp.Status, body, err)
		return r
	}
	for field := range strings.FieldsSeq(string(body)) {
		switch key, value, _ := strings.Cut(field, "="); key {
		case "pod":
			r.Pod = value
		case "node":
			r.Node = value
		case "client":
			r.Seen = value
		}
	}
	if r.Node == "" {
		r.Err = fmt.Errorf("GET %s: answer %q does not name a node", url, body)
	}
	return r
}

// Requests makes n requests from the client, at most parallel at a time, each
// with a time limit of 2 seconds.
func Requests(ctx context.Context, c *lab.Client, url string, n, parallel int) Tally {
	hc := c.HTTP(2 * time.Second)
	out := make([]Request, n)
	var wg sync.WaitGroup
	next := make(chan int)
	for range parallel {
		wg.Go(func() {
			for i := range next {
				out[i] = ask(ctx, hc, url)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return Count(out)
}

// Stream is a steady stream of requests, which go out at their times whether or
// not the ones before have been answered.
type Stream struct {
	stop  context.CancelFunc
	ended chan struct{}
	mu    sync.Mutex
	made  []Request
}

// StartStream begins to make a request from the client every so often, each
// with that time limit. It goes on until Stop, or until ctx is done.
func StartStream(ctx context.Context, c *lab.Client, url string, every, timeout time.Duration) *Stream {
	sending, stop := context.WithCancel(ctx)
	s := &Stream{stop: stop, ended: make(chan struct{})}
	hc := c.HTTP(timeout)
	go func() {
		defer close(s.ended)
		var wg sync.WaitGroup
		defer wg.Wait()
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-sending.Done():
				return
			case <-t.C:
				// ctx, not sending: what is on its way may finish.
				wg.Go(func() {
					r := ask(ctx, hc, url)
					s.mu.Lock()
					defer s.mu.Unlock()
					s.made = append(s.made, r)
				})
			}
		}
	}()
	return s
}

// Stop ends the stream, waits for the requests that are on their way, and
// returns all, in no certain order.
func (s *Stream) Stop() []Request {
	s.stop()
	<-s.ended
	return s.made
}

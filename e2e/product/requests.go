// SPDX-License-Identifier: Apache-2.0

package product

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
)

// Tally says how a number of requests went.
type Tally struct {
	// ByNode counts the answers by the node that the answering pod runs on.
	// With externalTrafficPolicy Local that is the node that the routers chose.
	ByNode map[string]int
	// Failed requests had no answer in time; LastError is what one of them met.
	Failed    int
	LastError error
	// First and Last are when the first and the last failure began.
	First, Last time.Time
}

// OK is the number of requests that were answered.
func (t Tally) OK() int {
	n := 0
	for _, c := range t.ByNode {
		n += c
	}
	return n
}

// String returns a line per node.
func (t Tally) String() string {
	var nodes []string
	for n := range t.ByNode {
		nodes = append(nodes, n)
	}
	sort.Strings(nodes)
	var b strings.Builder
	for _, n := range nodes {
		fmt.Fprintf(&b, "%-4s %4d  %s\n", n, t.ByNode[n], strings.Repeat("#", t.ByNode[n]/4))
	}
	return b.String()
}

// add counts one request.
func (t *Tally) add(node string, err error, began time.Time) {
	if err == nil {
		if t.ByNode == nil {
			t.ByNode = map[string]int{}
		}
		t.ByNode[node]++
		return
	}
	t.Failed++
	t.LastError = err
	if t.First.IsZero() || began.Before(t.First) {
		t.First = began
	}
	if began.After(t.Last) {
		t.Last = began
	}
}

var answeredBy = regexp.MustCompile(`node=(\S+)`)

// Get makes one request over a connection of its own and returns the node that
// answered.
func Get(ctx context.Context, c *http.Client, url string) (node string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return "", err
	}
	m := answeredBy.FindSubmatch(body)
	if m == nil {
		return "", fmt.Errorf("GET %s: %s: %q names no node", url, resp.Status, body)
	}
	return string(m[1]), nil
}

// Requests makes n requests from a client, parallel at a time, each over a new
// connection.
func Requests(ctx context.Context, c *lab.Client, url string, n, parallel int) Tally {
	var tally Tally
	var mu sync.Mutex
	var wg sync.WaitGroup
	todo := make(chan struct{}, n)
	for range n {
		todo <- struct{}{}
	}
	close(todo)
	client := c.HTTP(2 * time.Second)
	for range parallel {
		wg.Go(func() {
			for range todo {
				began := time.Now()
				node, err := Get(ctx, client, url)
				mu.Lock()
				tally.add(node, err, began)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return tally
}

// Stream is a steady flow of requests, each over a new connection.
type Stream struct {
	cancel context.CancelFunc
	done   chan struct{}
	mu     sync.Mutex
	tally  Tally
	count  int
}

// StartStream begins a request every pause, each with its own time limit.
func StartStream(ctx context.Context, c *lab.Client, url string, pause, limit time.Duration) *Stream {
	ctx, cancel := context.WithCancel(ctx)
	s := &Stream{cancel: cancel, done: make(chan struct{})}
	go s.run(ctx, c.HTTP(limit), url, pause)
	return s
}

func (s *Stream) run(ctx context.Context, client *http.Client, url string, pause time.Duration) {
	defer close(s.done)
	each(ctx, pause, func(ctx context.Context, began time.Time) {
		node, err := Get(ctx, client, url)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.count++
		s.tally.add(node, err, began)
	})
}

// each calls do every pause, beside each other, until ctx ends. It returns when all
// have: what is under way is finished, and has a context that does not end.
func each(ctx context.Context, pause time.Duration, do func(ctx context.Context, began time.Time)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case began := <-tick.C:
			wg.Go(func() { do(context.WithoutCancel(ctx), began) })
		}
	}
}

// Answered returns how many requests have ended so far.
func (s *Stream) Answered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Stop ends the stream and returns how it went.
func (s *Stream) Stop() Tally {
	s.cancel()
	<-s.done
	return s.tally
}

// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"metallb.io/metallb-frr/e2e/wire"
)

// watchPause is how often a watch asks: often enough to see who owns an address for
// a tenth of a second.
const watchPause = 50 * time.Millisecond

// watchAnswers is how long a watch goes on in the end, for answers that are late.
const watchAnswers = 500 * time.Millisecond

// A Watch records who says that they have certain addresses on the nodes' network,
// and has a client ask for them all the time.
type Watch struct {
	*wire.Capture
	asker *wire.Asker
	who   string
}

// Watch begins to watch addresses. The asker's kernel hears all the answers: a
// client whose outage is measured must be another.
func (l *Lab) Watch(asker *Client, addrs ...netip.Addr) (*Watch, error) {
	c, err := l.Capture()
	if err != nil {
		return nil, err
	}
	a, err := asker.Ask(watchPause, addrs...)
	if err != nil {
		_, cerr := c.Stop()
		return nil, errors.Join(err, cerr)
	}
	return &Watch{c, a, asker.Name}, nil
}

// Asked waits until the watch has asked at or after a time, and returns when.
func (w *Watch) Asked(ctx context.Context, after time.Time) (time.Time, error) {
	f, err := w.Wait(ctx, after, func(f wire.Frame) bool { return f.Kind == wire.Query && f.Member == w.who })
	if err != nil {
		return time.Time{}, fmt.Errorf("waiting for %s to ask: %w", w.who, err)
	}
	return f.Time, nil
}

// Stop ends the watch once what was asked by now has had its time to be answered.
// It returns what was recorded, and until when that can be judged.
func (w *Watch) Stop(ctx context.Context) (r wire.Record, until time.Time, err error) {
	until = time.Now()
	_, err = w.Asked(ctx, until.Add(watchAnswers))
	err = errors.Join(err, w.asker.Stop())
	r, cerr := w.Capture.Stop()
	return r, until, errors.Join(err, cerr)
}

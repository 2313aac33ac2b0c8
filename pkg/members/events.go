// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/memberlist"
)

// events is what memberlist calls, with its lock on the nodes held: nothing here
// may ask it anything.
type events struct{ *Members }

var (
	_ memberlist.EventDelegate    = events{}
	_ memberlist.ConflictDelegate = events{}
	_ memberlist.Delegate         = events{}
)

// NotifyJoin takes a member in that was not known, or dead.
func (e events) NotifyJoin(n *memberlist.Node) { e.set(n, true) }

// NotifyUpdate is told of a member that sends heartbeats now, or no longer: there
// is another program behind the name.
func (e events) NotifyUpdate(n *memberlist.Node) { e.set(n, true) }

// NotifyLeave drops a member that is dead or has left.
func (e events) NotifyLeave(n *memberlist.Node) { e.set(n, false) }

// set notes whether a member is alive.
func (m *Members) set(n *memberlist.Node, alive bool) {
	if n.Name == m.o.Node {
		return
	}
	addr := addrOf(n)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	if alive {
		m.at[n.Name] = *n
		m.forget(addr.String(), n.Name)
	} else {
		delete(m.at, n.Name)
	}
	m.watch.forget(n.Name)
	m.o.Log.V(1).Info(map[bool]string{true: "member is alive", false: "member is dead or has left"}[alive], "node", n.Name, "addr", addr)
	m.alive = nil
	m.regained = m.regained || alive
	signal(m.arrange)
	signal(m.changed)
}

func addrOf(n *memberlist.Node) netip.Addr {
	a, _ := netip.AddrFromSlice(n.Addr)
	return a.Unmap()
}

// NodeMeta says that we send heartbeats.
func (e events) NodeMeta(int) []byte {
	if e.o.Tuning.Heartbeat == 0 {
		return nil
	}
	return []byte{meta}
}

// GetBroadcasts, LocalState and MergeRemoteState have nothing to add.
func (e events) GetBroadcasts(int, int) [][]byte { return nil }
func (e events) LocalState(bool) []byte          { return nil }
func (e events) MergeRemoteState([]byte, bool)   {}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// NotifyConflict is told of a member that has the name of one that is alive: it
// is not taken in before the first one is gone.
func (e events) NotifyConflict(first, second *memberlist.Node) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tellOnce(first.Name, addrOf(second).String(),
		"two speakers have the same node name; the second is ignored while the first is alive",
		"node", first.Name, "addr", addrOf(second), "peer", addrOf(first))
}

// maxNamed bounds what is remembered as logged: who can send us packets could
// otherwise fill our memory.
const maxNamed = 1024

// tellOnce logs, but not twice for the same key and kind. The caller holds mu.
func (m *Members) tellOnce(key, kind, text string, values ...any) {
	k := key + " " + kind
	if m.named[k] || len(m.named) >= maxNamed {
		return
	}
	m.named[k] = true
	m.o.Log.Info(text, values...)
}

// forget lets what concerns an address or a name be logged again. The caller
// holds mu.
func (m *Members) forget(keys ...string) {
	for k := range m.named {
		if name, _, _ := strings.Cut(k, " "); slices.Contains(keys, name) {
			delete(m.named, k)
		}
	}
}

// refused notes that packets or streams from an address cannot be read with our
// key, or ours there.
func (m *Members) refused(addr netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tellOnce(addr.String(), "key", "a speaker is refused: it has another memberlist secret, or none where we have one", "addr", addr)
}

// said takes in what memberlist logs, a line at a time: at debug, but that
// somebody has another key, which it tells in no other way.
type said struct{ m *Members }

func (s said) Write(line []byte) (int, error) {
	level, text, _ := strings.Cut(string(bytes.TrimSpace(line)), "memberlist: ")
	if from, ok := refusal(text); ok {
		s.m.refused(from)
	}
	if log := s.m.o.Log.V(1); log.Enabled() && !strings.HasPrefix(level, "[DEBUG]") {
		log.Info("memberlist", "reason", text)
	}
	return len(line), nil
}

// refusals are how memberlist v0.7.0 says that a packet or a stream has another
// key, or none, or one where we have none. Their tests notice other words.
var refusals = []string{"Decrypt packet failed", "no installed keys could decrypt", "remote state is encrypted", "remote state is not encrypted"}

// refusal reads from a line who was refused for the key's sake.
func refusal(text string) (netip.Addr, bool) {
	if !slices.ContainsFunc(refusals, func(r string) bool { return strings.Contains(text, r) }) {
		return netip.Addr{}, false
	}
	_, from, _ := strings.Cut(text, "from=")
	from, _, _ = strings.Cut(from, " ")
	a, err := netip.ParseAddrPort(from)
	return a.Addr().Unmap(), err == nil
}

// SPDX-License-Identifier: Apache-2.0

package bmp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
	packet "github.com/osrg/gobgp/v3/pkg/packet/bmp"
)

func wire(t testing.TB, m *packet.BMPMessage) []byte {
	t.Helper()
	data, err := m.Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func header(peerType uint8, addr string) packet.BMPPeerHeader {
	return *packet.NewBMPPeerHeader(peerType, 0, 7, addr, 65000, "10.0.0.9", 0)
}

func open() *bgp.BGPMessage {
	return bgp.NewBGPOpenMessage(65000, 9, "10.0.0.9", []bgp.OptionParameterInterface{})
}

func down(t testing.TB, reason uint8, n *bgp.BGPMessage, data []byte) []byte {
	return wire(t, packet.NewBMPPeerDownNotification(header(0, "192.0.2.2"), reason, n, data))
}

func up(t testing.TB, peer, local string) []byte {
	return wire(t, packet.NewBMPPeerUpNotification(header(0, peer), local, 1234, 179, open(), open()))
}

func TestDownReasons(t *testing.T) {
	cease := func(sub uint8, data string) *bgp.BGPMessage {
		return bgp.NewBGPNotificationMessage(6, sub, []byte(data))
	}
	for _, test := range []struct {
		name string
		data []byte
		want string
	}{
		{"operator at the peer", down(t, 3, cease(2, ""), nil), "peer sent NOTIFICATION Cease/Administrative Shutdown"},
		{"operator who says why", down(t, 3, cease(2, "\x09power cut"), nil), `peer sent NOTIFICATION Cease/Administrative Shutdown ("power cut")`},
		{"text longer than it is", down(t, 3, cease(4, "\xffoops"), nil), "peer sent NOTIFICATION Cease/Administrative Reset"},
		{"BFD", down(t, 1, cease(10, ""), nil), "we sent NOTIFICATION Cease/BFD Down"},
		{"hold timer", down(t, 1, bgp.NewBGPNotificationMessage(4, 0, nil), nil), "we sent NOTIFICATION Hold Timer Expired"},
		{"wrong AS", down(t, 3, bgp.NewBGPNotificationMessage(2, 2, nil), nil), "peer sent NOTIFICATION OPEN Message Error/Bad Peer AS"},
		{"subcode of the future", down(t, 3, cease(77, ""), nil), "peer sent NOTIFICATION Cease/77"},
		{"code of the future", down(t, 3, bgp.NewBGPNotificationMessage(99, 1, nil), nil), "peer sent NOTIFICATION 99/1"},
		{"state machine", down(t, 2, nil, []byte{0, 10}), "closed by us: hold timer expired"},
		{"state machine, unknown", down(t, 2, nil, []byte{1, 0}), "closed by us: FSM event 256"},
		{"interface that went down", down(t, 2, nil, []byte{0, 0}), "closed by us; bgpd gives no cause"},
		{"TCP", down(t, 4, nil, nil), "connection lost without NOTIFICATION"},
		{"removed", down(t, 5, nil, nil), "no longer configured"},
		{"reason of the future", down(t, 200, nil, nil), "reason code 200"},
	} {
		e, ok := decode(test.data, time.Now())
		if !ok || e.Kind != Down || e.Reason != test.want {
			t.Errorf("%s: %v, reason %q, want %q", test.name, e.Kind, e.Reason, test.want)
		}
		if e.Peer != netip.MustParseAddr("192.0.2.2") || e.Instance != 7 || e.ASN != 65000 || e.RouterID != netip.MustParseAddr("10.0.0.9") {
			t.Errorf("%s: %+v", test.name, e)
		}
	}
}

func TestUp(t *testing.T) {
	for _, test := range []struct{ peer, local string }{
		{"192.0.2.2", "192.0.2.1"},
		{"2001:db8::2", "2001:db8::1"},
		{"fe80::2", "fe80::1"},
	} {
		e, ok := decode(up(t, test.peer, test.local), time.Now())
		if !ok || e.Kind != Up || e.Peer.String() != test.peer || e.Local.String() != test.local {
			t.Errorf("%+v, want up with peer %s and local address %s", e, test.peer, test.local)
		}
	}
}

func TestWhatIsNoSession(t *testing.T) {
	for name, data := range map[string][]byte{
		"initiation": wire(t, packet.NewBMPInitiation(nil)),
		"statistics": wire(t, packet.NewBMPStatisticsReport(header(0, "192.0.2.2"), nil)),
		"bgpd's own table": wire(t, packet.NewBMPPeerUpNotification(
			header(packet.BMP_PEER_TYPE_LOCAL_RIB, "0.0.0.0"), "0.0.0.0", 0, 0, open(), open())),
		"cut short": down(t, 4, nil, nil)[:20],
	} {
		if e, ok := decode(data, time.Now()); ok {
			t.Errorf("%s: %+v, want nothing", name, e)
		}
	}
}

func TestInterfaceWithoutNeighbour(t *testing.T) {
	e, ok := decode(wire(t, packet.NewBMPPeerDownNotification(header(0, "0.0.0.0"), 2, nil, []byte{0, 0})), time.Now())
	if !ok || e.Kind != Down || e.Peer.IsValid() || e.Reason == "" {
		t.Errorf("%+v, want the end of a session without address", e)
	}
}

func TestSessionInAVRF(t *testing.T) {
	for peerType, vrf := range map[uint8]bool{packet.BMP_PEER_TYPE_GLOBAL: false, packet.BMP_PEER_TYPE_L3VPN: true, packet.BMP_PEER_TYPE_LOCAL: true} {
		e, ok := decode(wire(t, packet.NewBMPPeerDownNotification(header(peerType, "192.0.2.2"), 4, nil, nil)), time.Now())
		if !ok || e.VRF != vrf {
			t.Errorf("peer type %d: %+v, want VRF %t", peerType, e, vrf)
		}
	}
}

func TestReportWithUnreadableBody(t *testing.T) {
	data := down(t, 1, bgp.NewBGPNotificationMessage(4, 0, nil), nil)
	for n := packet.BMP_HEADER_SIZE + packet.BMP_PEER_HEADER_SIZE; n < len(data); n++ {
		e, ok := decode(slices.Clip(data[:n]), time.Now())
		if !ok || e.Kind != Down || !strings.Contains(e.Reason, "no reason that can be read") {
			t.Errorf("%d of %d bytes: %v, %+v, want a session that is down", n, len(data), ok, e)
		}
	}
}

func TestReadRejectsWhatIsNotBMP(t *testing.T) {
	for name, data := range map[string][]byte{
		"HTTP":      []byte("GET / HTTP/1.1\r\n\r\n"),
		"too long":  {3, 0xff, 0xff, 0xff, 0xff, 3},
		"too short": {3, 0, 0, 0, 2, 3},
	} {
		err := read(bytes.NewReader(data), func(e Event) error { t.Errorf("%s: event %+v", name, e); return nil })
		if err == nil || !strings.Contains(err.Error(), "reading BMP") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(up(f, "192.0.2.2", "192.0.2.1"))
	f.Add(down(f, 1, bgp.NewBGPNotificationMessage(6, 2, []byte("\x02no")), nil))
	f.Add(append(wire(f, packet.NewBMPInitiation(nil)), down(f, 2, nil, []byte{0, 10})...))
	f.Fuzz(func(t *testing.T, data []byte) {
		events := 0
		err := read(&endless{data: data}, func(e Event) error {
			if events++; events > 1000 {
				return errors.New("enough")
			}
			if e.Kind != Up && e.Kind != Down || e.Peer.IsUnspecified() || e.Kind == Up && !e.Peer.IsValid() {
				t.Errorf("event %+v", e)
			}
			return nil
		})
		if err == nil {
			t.Error("read ends without an error")
		}
	})
}

// endless is data over and over, up to 1 MB: a length field that is taken at its
// word would be waited for, or allocated.
type endless struct {
	data []byte
	sent int
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.data) == 0 || e.sent > 1<<20 {
		return 0, errors.New("the end")
	}
	n := 0
	for n < len(p) {
		c := copy(p[n:], e.data[(e.sent+n)%len(e.data):])
		n += c
	}
	e.sent += n
	return n, nil
}

func TestReadBoundsMemory(t *testing.T) {
	claim := make([]byte, packet.BMP_HEADER_SIZE)
	claim[0] = packet.BMP_VERSION
	binary.BigEndian.PutUint32(claim[1:], 1<<31)
	claim[5] = packet.BMP_MSG_PEER_UP_NOTIFICATION
	got := testing.AllocsPerRun(10, func() { read(bytes.NewReader(claim), nil) })
	if got > 20 {
		t.Errorf("%v allocations for a message that claims 2 GB", got)
	}
	res := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			read(bytes.NewReader(claim), nil)
		}
	})
	if res.AllocedBytesPerOp() > 4*maxMessage {
		t.Errorf("%d bytes allocated for a message that claims 2 GB", res.AllocedBytesPerOp())
	}
}

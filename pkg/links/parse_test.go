// SPDX-License-Identifier: Apache-2.0

package links

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// attribute returns an attribute as the kernel writes it.
func attribute(kind uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofNlAttr+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

func linkRow(index uint32, attrs ...[]byte) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint16(b[2:], unix.ARPHRD_ETHER)
	binary.NativeEndian.PutUint32(b[4:], index)
	binary.NativeEndian.PutUint32(b[8:], unix.IFF_UP|unix.IFF_RUNNING|unix.IFF_LOWER_UP|unix.IFF_BROADCAST)
	for _, a := range attrs {
		b = append(b, a...)
	}
	return b
}

func addrRow(index uint32, bits byte, attrs ...[]byte) []byte {
	b := make([]byte, unix.SizeofIfAddrmsg)
	b[0], b[1] = unix.AF_INET, bits
	binary.NativeEndian.PutUint32(b[4:], index)
	for _, a := range attrs {
		b = append(b, a...)
	}
	return b
}

func name(s string) []byte { return attribute(unix.IFLA_IFNAME, append([]byte(s), 0)...) }

var mac = attribute(unix.IFLA_ADDRESS, 2, 0, 0, 0, 0, 1)

// TestUnreadable: an interface or an address that cannot be read costs itself.
func TestUnreadable(t *testing.T) {
	var troubles []error
	links := assemble([][]byte{
		linkRow(1, name("eth1"), mac),
		linkRow(2, mac), // no name
		linkRow(3, name("eth3"), mac),
		{1, 2, 3},
	}, [][]byte{
		addrRow(1, 24, attribute(unix.IFA_LOCAL, 192, 0, 2)), // three bytes
		addrRow(3, 33, attribute(unix.IFA_LOCAL, 192, 0, 2, 3)),
		addrRow(3, 24, attribute(unix.IFA_LOCAL, 192, 0, 2, 3)),
		addrRow(9, 24, attribute(unix.IFA_LOCAL, 192, 0, 2, 9)), // of an interface that is gone
		{1},
	}, func(err error) { troubles = append(troubles, err) })
	if len(troubles) != 5 {
		t.Errorf("%d troubles, want 5: %v", len(troubles), errors.Join(troubles...))
	}
	if len(links) != 2 || links[1].Name != "eth1" || len(links[1].Addrs) != 0 {
		t.Errorf("read %+v, want eth1 without addresses, and eth3", links)
	}
	if got := links[3].Addrs; len(got) != 1 || got[0] != netip.MustParsePrefix("192.0.2.3/24") {
		t.Errorf("eth3 has %v, want 192.0.2.3/24", got)
	}
}

// FuzzParse: whatever the bytes are, they are read or refused.
func FuzzParse(f *testing.F) {
	head := func(kind uint16, body []byte) []byte {
		b := binary.NativeEndian.AppendUint32(nil, uint32(headBytes+len(body)))
		b = binary.NativeEndian.AppendUint16(b, kind)
		return append(append(b, make([]byte, headBytes-len(b))...), body...)
	}
	f.Add(head(unix.RTM_NEWLINK, linkRow(1, name("eth1"), mac, attribute(unix.IFLA_LINKINFO, attribute(unix.IFLA_INFO_KIND, 'v', 0)...))))
	f.Add(head(unix.RTM_NEWADDR, addrRow(1, 24, attribute(unix.IFA_LOCAL, 192, 0, 2, 3), attribute(unix.IFA_FLAGS, 0x80, 0, 0, 0))))
	f.Add(append(head(unix.RTM_DELADDR, addrRow(1, 24)), 17, 0, 0, 0, 9))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d due
		d.note(b)
		if len(d.links) > len(b)/headBytes {
			t.Errorf("%d interfaces in %d bytes", len(d.links), len(b))
		}
		for _, body := range messages(b) {
			if l, err := parseLink(body); err == nil && (l.Name == "" || l.Ethernet && len(l.MAC) != 6) {
				t.Errorf("accepted %+v", l)
			}
			if a, err := parseAddr(body); err == nil && !a.prefix.IsValid() {
				t.Errorf("accepted %+v", a)
			}
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package links

import (
	"encoding/binary"
	"errors"
	"maps"
	"net"
	"net/netip"
	"reflect"
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

// TestNote: an interface of which more than an address changed stays one.
func TestNote(t *testing.T) {
	var d due
	d.note(message(unix.RTM_NEWADDR, addrRow(1, 24)))
	d.note(append(message(unix.RTM_DELLINK, linkRow(2)), message(unix.RTM_DELADDR, addrRow(2, 24))...))
	d.note(message(unix.RTM_NEWROUTE, addrRow(3, 24)))
	if want := map[int]bool{1: false, 2: true}; d.all || !maps.Equal(d.links, want) {
		t.Errorf("due is %+v, want %v", d, want)
	}
}

// TestEqual: every field counts.
func TestEqual(t *testing.T) {
	for i := range reflect.TypeFor[Link]().NumField() {
		var a, b Link
		field := reflect.ValueOf(&b).Elem().Field(i)
		switch f := field.Addr().Interface().(type) {
		case *string:
			*f = "x"
		case *int:
			*f = 1
		case *bool:
			*f = true
		case *net.HardwareAddr:
			*f = net.HardwareAddr{1}
		case *[]netip.Prefix:
			*f = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}
		case *netip.Addr:
			*f = netip.MustParseAddr("fe80::1")
		default:
			t.Fatalf("no value for a %T", f)
		}
		if a.Equal(b) || !b.Equal(b) {
			t.Errorf("Equal does not look at %s", reflect.TypeFor[Link]().Field(i).Name)
		}
	}
}

// message returns a netlink message.
func message(kind uint16, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(headBytes+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(append(b, make([]byte, headBytes-len(b))...), body...)
}

// FuzzParse: whatever the bytes are, they are read or refused.
func FuzzParse(f *testing.F) {
	f.Add(message(unix.RTM_NEWLINK, linkRow(1, name("eth1"), mac, attribute(unix.IFLA_LINKINFO, attribute(unix.IFLA_INFO_KIND, 'v', 0)...))))
	f.Add(message(unix.RTM_NEWADDR, addrRow(1, 24, attribute(unix.IFA_LOCAL, 192, 0, 2, 3), attribute(unix.IFA_FLAGS, 0x80, 0, 0, 0))))
	f.Add(append(message(unix.RTM_DELADDR, addrRow(1, 24)), 17, 0, 0, 0, 9))
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

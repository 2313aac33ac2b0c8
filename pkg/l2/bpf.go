// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// heard is what every filter asks first: a frame that came in on the link
// itself, for it or for a group. A socket also gets the frames of the VLANs that
// are on its link, as those of another interface.
func heard(index int) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(index), SkipTrue: drop},
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: unix.PACKET_MULTICAST, SkipTrue: drop},
	}
}

// drop stands for a jump to the filter's end, until finish knows how far it is.
const drop = 0xff

// field loads size bytes at an offset of the frame and drops the frame unless
// they are as wanted.
func field(offset, size int, want uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: uint32(offset), Size: size},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: want, SkipTrue: drop},
	}
}

// arpFilter passes what parseARP can want of a link's frames: ARP.
func arpFilter(index int) []bpf.Instruction {
	return finish(append(heard(index), field(12, 2, etherARP)...))
}

// ndpFilter passes what parseNDP can want of a link's frames: solicitations and
// advertisements that come from the link. Everything else of IPv6 ends here,
// before it is copied.
func ndpFilter(index int) []bpf.Instruction {
	f := heard(index)
	f = append(f, field(12, 2, etherIPv6)...)
	f = append(f, field(offIPv6+6, 1, protoICMPv6)...)
	f = append(f, field(offIPv6+7, 1, hopLimit)...)
	f = append(f, bpf.LoadAbsolute{Off: offICMPv6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: ndSolicitation, SkipTrue: 1})
	f = append(f, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: ndAdvertisement, SkipTrue: drop})
	return finish(f)
}

// finish ends a filter with its two verdicts, and points its drops to the second.
func finish(f []bpf.Instruction) []bpf.Instruction {
	for i, in := range f {
		if j, ok := in.(bpf.JumpIf); ok && j.SkipTrue == drop {
			j.SkipTrue = uint8(len(f) - i)
			f[i] = j
		}
	}
	return append(f, bpf.RetConstant{Val: maxFrame}, bpf.RetConstant{Val: 0})
}

// attach gives a socket a filter.
func attach(fd int, filter []bpf.Instruction) error {
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return fmt.Errorf("assembling the packet filter: %w", err)
	}
	prog := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		prog[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	p := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &p); err != nil {
		return fmt.Errorf("attaching the packet filter: %w", err)
	}
	return nil
}

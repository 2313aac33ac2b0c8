// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"metallb.io/metallb-frr/e2e/wire"
)

// rawSocket sends frames, and hears those to one station alone.
type rawSocket struct{ file *os.File }

// packetSocket opens one on an interface. to is the station; nil: nothing is heard.
func packetSocket(s *space, ifname string, to *wire.MAC) (*rawSocket, error) {
	r := &rawSocket{}
	err := s.in(func() error {
		ifi, err := net.InterfaceByName(ifname)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		r.file = os.NewFile(uintptr(fd), "frames on "+ifname)
		addr := &unix.SockaddrLinklayer{Ifindex: ifi.Index}
		if to != nil {
			addr.Protocol = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8
			if err := hearOnly(fd, *to); err != nil {
				return err
			}
		}
		return os.NewSyscallError("bind", unix.Bind(fd, addr))
	})
	if err != nil {
		if r.file != nil {
			r.file.Close()
		}
		return nil, fmt.Errorf("opening a socket on %s of %s: %w", ifname, s.name, err)
	}
	return r, nil
}

// hearOnly has a socket hear what is sent to one station alone.
func hearOnly(fd int, to wire.MAC) error {
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(to[:]), SkipTrue: 3},
		bpf.LoadAbsolute{Off: 4, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(binary.BigEndian.Uint16(to[4:])), SkipTrue: 1},
		bpf.RetConstant{Val: 2048},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return err
	}
	prog := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		prog[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return os.NewSyscallError("SO_ATTACH_FILTER", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}))
}

// send sends a frame; one that finds no room is lost, as on a cable.
func (r *rawSocket) send(frame []byte) error {
	if _, err := r.file.Write(frame); err != nil && !errors.Is(err, unix.ENOBUFS) {
		return err
	}
	return nil
}

func (r *rawSocket) close() { r.file.Close() }

// askFor asks everybody for an address, again and again for some time, and returns
// how long each answer took, of so many questions.
func askFor(ctx context.Context, from *space, who l2Station, addr netip.Addr, during time.Duration) (waits []time.Duration, asked int, err error) {
	mac, own := who.mac(), who.addr4()
	if addr.Is6() {
		own = who.addr6()
	}
	socket, err := packetSocket(from, "eth0", &mac)
	if err != nil {
		return nil, 0, err
	}
	defer socket.close()
	question := wire.NewQuery(mac, own, addr)
	tick := time.NewTicker(l2Asking)
	defer tick.Stop()
	for end := time.Now().Add(during); time.Now().Before(end); asked++ {
		began := time.Now()
		if err := socket.send(question); err != nil {
			return nil, 0, fmt.Errorf("asking for %s: %w", addr, err)
		}
		heard, err := socket.claim(addr, began.Add(l2Patience))
		if err != nil {
			return nil, 0, fmt.Errorf("waiting for an answer about %s: %w", addr, err)
		}
		if heard {
			waits = append(waits, time.Since(began))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, 0, context.Cause(ctx)
		}
	}
	return waits, asked, nil
}

// claim waits for somebody to claim an address; false: nobody did.
func (r *rawSocket) claim(addr netip.Addr, until time.Time) (bool, error) {
	if err := r.file.SetReadDeadline(until); err != nil {
		return false, err
	}
	for buf := make([]byte, 2048); ; {
		n, err := r.file.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if f, ok := wire.Decode(buf[:n]); ok && f.Kind == wire.Claim && f.Addr == addr {
			return true, nil
		}
	}
}

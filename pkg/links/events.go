// SPDX-License-Identifier: Apache-2.0

package links

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// receiveBuffer is Options.ReceiveBuffer's default, in bytes.
const receiveBuffer = 1 << 20

// maxDrain is how many datagrams are taken before their interfaces are read.
const maxDrain = 1024

// datagram is the room for one, in bytes. The kernel's are at most 32 KiB.
const datagram = 64 << 10

// groups are what the kernel tells about; for this socket option each is a bit.
const groups = 1<<(unix.RTNLGRP_LINK-1) | 1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1)

// due is what has to be read again.
type due struct {
	all bool
	// links by index; true: not only its addresses.
	links map[int]bool
}

func (d *due) any() bool { return d.all || len(d.links) > 0 }

func (d *due) add(index int, link bool) {
	if d.links == nil {
		d.links = map[int]bool{}
	}
	d.links[index] = d.links[index] || link
}

// note adds what a datagram tells of.
func (d *due) note(b []byte) {
	for kind, body := range messages(b) {
		index, ok := indexOf(body)
		switch kind {
		case unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWADDR, unix.RTM_DELADDR:
			if ok {
				d.add(index, kind == unix.RTM_NEWLINK || kind == unix.RTM_DELLINK)
			}
		}
	}
}

// events is a socket on which the kernel tells of changes.
type events struct {
	file *os.File
	raw  syscall.RawConn
	buf  []byte
}

func newEvents(buffer int) (*events, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("opening a netlink socket to watch interfaces: %w", err)
	}
	file := os.NewFile(uintptr(fd), "netlink")
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
	}
	raw, rawErr := file.SyscallConn()
	if err := errors.Join(err, rawErr); err != nil {
		file.Close()
		return nil, fmt.Errorf("subscribing to the changes of interfaces: %w", err)
	}
	return &events{file: file, raw: raw, buf: make([]byte, datagram)}, nil
}

func (e *events) close() { _ = e.file.Close() }

// wait returns as soon as something was told, and adds all that was told by then
// to d. With a limit it returns after that time in any case; zero: there is none.
func (e *events) wait(d *due, limit time.Duration) error {
	var until time.Time
	if limit > 0 {
		until = time.Now().Add(limit)
	}
	if err := e.file.SetReadDeadline(until); err != nil {
		return err
	}
	var failed error
	err := e.raw.Read(func(fd uintptr) (done bool) {
		done, failed = e.drain(int(fd), d)
		return done
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return errors.Join(err, failed)
}

// drain takes what there is; it is not done when there was nothing.
func (e *events) drain(fd int, d *due) (done bool, err error) {
	for range maxDrain {
		n, from, err := unix.Recvfrom(fd, e.buf, unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return done, nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS):
			d.all = true // the kernel had more to tell than there was room for
		case err != nil:
			return true, err
		case !fromKernel(from):
			continue
		case n > len(e.buf):
			d.all = true
		default:
			d.note(e.buf[:n])
		}
		done = true
	}
	return true, nil
}

func fromKernel(from unix.Sockaddr) bool {
	s, ok := from.(*unix.SockaddrNetlink)
	return ok && s.Pid == 0
}

// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// An Asker keeps asking everybody on a network who has certain addresses, so that a
// record of that network shows at all times who says that they have. The answers go
// to the machine that it asks for, whose kernel has not asked: it takes them as news
// of neighbours that it knows, and otherwise ignores them.
type Asker struct {
	socket *os.File
	stop   chan struct{}
	done   chan struct{}
	once   sync.Once
	err    error
}

// Ask begins to ask for addresses, all in every pause, on an interface in the
// network namespace of the calling thread; from4 and from6 are the asker's own
// addresses. It needs CAP_NET_RAW.
func Ask(ifname string, from4, from6 netip.Addr, pause time.Duration, addrs ...netip.Addr) (*Asker, error) {
	s, mac, err := sender(ifname)
	if err != nil {
		return nil, fmt.Errorf("asking on %s: %w", ifname, err)
	}
	var frames [][]byte
	for _, a := range addrs {
		from := from4
		if a.Is6() {
			from = from6
		}
		frames = append(frames, NewQuery(mac, from, a))
	}
	a := &Asker{socket: s, stop: make(chan struct{}), done: make(chan struct{})}
	go a.run(pause, frames)
	return a, nil
}

func (a *Asker) run(pause time.Duration, frames [][]byte) {
	defer close(a.done)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		for _, f := range frames {
			// A cable that is out is no reason to stop.
			if _, err := a.socket.Write(f); err != nil && !errors.Is(err, unix.ENETDOWN) && !errors.Is(err, unix.ENOBUFS) {
				a.err = fmt.Errorf("asking: %w", err)
				return
			}
		}
		select {
		case <-a.stop:
			return
		case <-tick.C:
		}
	}
}

// Stop ends it. It is an error if it had ended before.
func (a *Asker) Stop() error {
	a.once.Do(func() { close(a.stop) })
	<-a.done
	a.socket.Close()
	return a.err
}

// Send sends frames on an interface in the network namespace of the calling thread.
func Send(ifname string, frames ...[]byte) error {
	s, _, err := sender(ifname)
	if err != nil {
		return fmt.Errorf("sending on %s: %w", ifname, err)
	}
	defer s.Close()
	for _, f := range frames {
		if _, err := s.Write(f); err != nil {
			return fmt.Errorf("sending on %s: %w", ifname, err)
		}
	}
	return nil
}

// sender returns a socket that hears nothing, and the interface's address.
func sender(ifname string) (*os.File, MAC, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, MAC{}, err
	}
	if len(ifi.HardwareAddr) != len(MAC{}) {
		return nil, MAC{}, fmt.Errorf("it has no Ethernet address but %q", ifi.HardwareAddr)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, MAC{}, os.NewSyscallError("socket", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: ifi.Index}); err != nil {
		unix.Close(fd)
		return nil, MAC{}, os.NewSyscallError("bind", err)
	}
	return os.NewFile(uintptr(fd), "frames to "+ifname), MAC(ifi.HardwareAddr), nil
}

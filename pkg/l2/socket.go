// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// packetWire is a wire on packet sockets (packet(7); it needs CAP_NET_RAW): one for ARP
// and one for IPv6, since one for everything would be shown every packet that
// the node receives and sends.
//
// A frame about no wanted address is read into the reader's only buffer and
// forgotten, and one that nobody has time to read waits in the socket's buffer
// or is dropped by the kernel: a flood of frames takes no memory.
type packetWire struct {
	name  string
	index int
	mac   MAC
	want  atomic.Pointer[map[netip.Addr]bool]
	arp   *packetSocket
	ndp   *packetSocket
	heard chan Message

	done    chan struct{} // closed by Close, or when a reader failed
	end     sync.Once
	why     error // once done is closed
	readers sync.WaitGroup

	mu     sync.Mutex // guards what follows
	closed bool
	groups groups

	from6 atomic.Pointer[netip.Addr] // what groups.source said, once it knew
}

// receiveBuffer is what a socket may hold of frames that were not read, in
// bytes. The kernel gives at most twice net.core.rmem_max.
const receiveBuffer = 1 << 20

// openWire opens the Ethernet link of that name in the network namespace of the
// calling thread. It may be down, and go down and come back.
func openWire(name string) (wire, error) {
	w := &packetWire{name: name, heard: make(chan Message), done: make(chan struct{})}
	if err := w.open(); err != nil {
		w.shut()
		return nil, fmt.Errorf("opening link %s: %w", name, err)
	}
	w.want.Store(&map[netip.Addr]bool{})
	w.readers.Add(2)
	go w.read(w.arp, hearARP)
	go w.read(w.ndp, hearNDP)
	return w, nil
}

func (w *packetWire) open() (err error) {
	if w.index, err = indexOf(w.name); err != nil {
		return err
	}
	w.groups = groups{index: w.index, joined: map[group]*membership{}}
	if w.arp, w.mac, err = openSocket(w.index, etherARP); err != nil {
		return err
	}
	var again MAC
	if w.ndp, again, err = openSocket(w.index, etherIPv6); err != nil {
		return err
	}
	if again != w.mac {
		return fmt.Errorf("its address changed from %s to %s meanwhile", w.mac, again)
	}
	// A kernel without IPv6 says so when a group is joined.
	if err := w.groups.open(); err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
		return err
	}
	return nil
}

func (w *packetWire) Name() string { return w.name }
func (w *packetWire) MAC() MAC     { return w.mac }

// read passes on what one socket hears. That the link went down is no end: the
// socket hears again when it comes back.
func (w *packetWire) read(p *packetSocket, hear func([]Message, []byte, MAC, map[netip.Addr]bool) []Message) {
	defer w.readers.Done()
	buf, said := make([]byte, maxFrame), make([]Message, 0, 2)
	for {
		n, err := p.file.Read(buf)
		if errors.Is(err, unix.ENETDOWN) {
			continue
		}
		if err != nil {
			w.stop(fmt.Errorf("reading from link %s: %w", w.name, err))
			return
		}
		said = hear(said[:0], buf[:n], w.mac, *w.want.Load())
		for _, m := range said {
			select {
			case w.heard <- m:
			case <-w.done:
				return
			}
		}
	}
}

func (w *packetWire) Receive() (Message, error) {
	select {
	case m := <-w.heard:
		return m, nil
	case <-w.done:
		return Message{}, w.why
	}
}

func (w *packetWire) Answer(to Message) error {
	var err error
	switch {
	case to.Kind == Claim:
		err = errors.New("a claim has no answer")
	case !to.Addr.IsValid() || !to.From.IsValid() || to.Addr.Is4() != to.From.Is4():
		err = errors.New("the question has no address, or no sender of the same family")
	case to.Addr.Is4():
		err = w.arp.sendARP(arpAnswer(w.mac, to))
	default:
		err = w.ndp.sendNDP(ndpAnswer(w.mac, to))
	}
	if err != nil {
		return fmt.Errorf("answering %s for %s on %s: %w", to.MAC, to.Addr, w.name, err)
	}
	return nil
}

func (w *packetWire) Announce(addr netip.Addr) error {
	var err error
	if addr.Is4In6() || !addr.IsValid() {
		err = errors.New("it is neither IPv4 nor IPv6")
	} else if addr.Is4() {
		err = errors.Join(
			w.arp.sendARP(arpAnnouncement(w.mac, addr, arpRequest)),
			w.arp.sendARP(arpAnnouncement(w.mac, addr, arpReply)))
	} else {
		err = w.ndp.sendNDP(ndpAnnouncement(w.mac, addr))
	}
	if err != nil {
		return fmt.Errorf("announcing %s on %s: %w", addr, w.name, err)
	}
	return nil
}

func (w *packetWire) Ask(addr netip.Addr, to MAC) error {
	probe := to == MAC{}
	var err error
	if addr.Is4In6() || !addr.IsValid() {
		err = errors.New("it is neither IPv4 nor IPv6")
	} else if addr.Is4() {
		from := netip.IPv4Unspecified()
		if !probe {
			from = w.arp.source(w.index)
		}
		err = w.arp.sendARP(arpQuestion(w.mac, addr, from, to))
	} else {
		from := netip.IPv6Unspecified()
		if !probe {
			from = w.source6()
		}
		err = w.ndp.sendNDP(ndpQuestion(w.mac, addr, from, to))
	}
	if err != nil {
		return fmt.Errorf("asking for %s on %s: %w", addr, w.name, err)
	}
	return nil
}

// source6 is the link's own IPv6 address, or the unspecified one while it has
// none.
func (w *packetWire) source6() netip.Addr {
	if a := w.from6.Load(); a != nil {
		return *a
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.groups.source()
	if !a.IsUnspecified() {
		w.from6.Store(&a)
	}
	return a
}

// Want has the readers look at the new set from the next frame on, before the
// groups are joined: nothing that comes then is missed.
func (w *packetWire) Want(addrs map[netip.Addr]bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return fmt.Errorf("wanting addresses on %s: %w", w.name, net.ErrClosed)
	}
	w.want.Store(&addrs)
	if err := w.groups.set(addrs); err != nil {
		return fmt.Errorf("on link %s: %w", w.name, err)
	}
	return nil
}

func (w *packetWire) Close() error {
	w.stop(net.ErrClosed)
	w.shut()
	w.readers.Wait()
	return nil
}

// stop ends Receive, with an error.
func (w *packetWire) stop(why error) {
	w.end.Do(func() {
		w.why = why
		close(w.done)
	})
}

// shut closes what is open.
func (w *packetWire) shut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.groups.close()
	for _, p := range []*packetSocket{w.arp, w.ndp} {
		if p != nil {
			p.file.Close()
		}
	}
}

// packetSocket hears and sends the frames of one protocol on one link.
type packetSocket struct {
	file *os.File
	conn syscall.RawConn

	mu    sync.Mutex // guards what follows
	frame []byte     // that is being sent
	err   error      // of sending it
	write func(fd uintptr) bool
}

// openSocket opens a packet socket, and returns the link's address too. It hears
// nothing before its filter is attached.
func openSocket(index int, ethertype uint16) (*packetSocket, MAC, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, MAC{}, fmt.Errorf("opening a packet socket (it needs CAP_NET_RAW): %w", err)
	}
	p := &packetSocket{file: os.NewFile(uintptr(fd), "packet socket"), frame: make([]byte, 0, 128)}
	mac, err := p.set(fd, index, ethertype)
	if err != nil {
		p.file.Close()
		return nil, MAC{}, err
	}
	return p, mac, nil
}

func (p *packetSocket) set(fd, index int, ethertype uint16) (mac MAC, err error) {
	if p.conn, err = p.file.SyscallConn(); err != nil {
		return mac, err
	}
	p.write = func(fd uintptr) bool {
		// A full queue is not waited for: the frame is lost, as on the wire.
		_, p.err = unix.Write(int(fd), p.frame)
		return true
	}
	filter := arpFilter(index)
	if ethertype == etherIPv6 {
		filter = ndpFilter(index)
	}
	if err := attach(fd, filter); err != nil {
		return mac, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer); err != nil {
		return mac, fmt.Errorf("setting the receive buffer: %w", err)
	}
	network := ethertype<<8 | ethertype>>8
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: network, Ifindex: index}); err != nil {
		return mac, fmt.Errorf("binding a packet socket: %w", err)
	}
	own, err := unix.Getsockname(fd)
	if err != nil {
		return mac, fmt.Errorf("reading the link's address: %w", err)
	}
	ll, ok := own.(*unix.SockaddrLinklayer)
	if !ok || ll.Hatype != unix.ARPHRD_ETHER || ll.Halen != 6 {
		return mac, errors.New("it is not Ethernet")
	}
	return MAC(ll.Addr[:6]), nil
}

func (p *packetSocket) sendARP(f arpFrame) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frame = appendARP(p.frame[:0], f)
	return p.send()
}

func (p *packetSocket) sendNDP(f ndpFrame) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frame = appendNDP(p.frame[:0], f)
	return p.send()
}

// send sends p.frame. It does not wait.
func (p *packetSocket) send() error {
	if err := p.conn.Write(p.write); err != nil {
		return net.ErrClosed
	}
	return p.err
}

// source is the link's first IPv4 address, or the unspecified one.
func (p *packetSocket) source(index int) netip.Addr {
	from := netip.IPv4Unspecified()
	err := p.conn.Control(func(fd uintptr) {
		ifr, err := unix.NewIfreq("any")
		if err != nil {
			return
		}
		ifr.SetUint32(uint32(index)) // its name may have changed
		if unix.IoctlIfreq(int(fd), unix.SIOCGIFNAME, ifr) != nil || unix.IoctlIfreq(int(fd), unix.SIOCGIFADDR, ifr) != nil {
			return
		}
		if a, err := ifr.Inet4Addr(); err == nil {
			from = netip.AddrFrom4([4]byte(a))
		}
	})
	if err != nil { // closed: nothing will be sent either
		return netip.IPv4Unspecified()
	}
	return from
}

// indexOf asks for an interface's index.
func indexOf(name string) (int, error) {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return 0, fmt.Errorf("%q is no interface's name: %w", name, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("opening a packet socket (it needs CAP_NET_RAW): %w", err)
	}
	defer unix.Close(fd)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr); err != nil {
		return 0, fmt.Errorf("looking up its index: %w", err)
	}
	return int(ifr.Uint32()), nil
}

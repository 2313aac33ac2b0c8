// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// captureBuffer holds what comes while a busy machine does not run the reader:
// some 20,000 frames.
const captureBuffer = 16 << 20

// A Capture takes down the frames on an interface.
type Capture struct {
	socket *os.File
	name   func(MAC) string
	done   chan struct{}
	stop   sync.Once

	mu     sync.Mutex
	frames Record
	more   chan struct{} // closed and made anew with every frame
	err    error
}

// Listen begins a capture on an interface in the network namespace of the calling
// thread; on a bridge it hears all ports. name gives MACs their members; nil: none
// has a name. It needs CAP_NET_RAW.
func Listen(ifname string, name func(MAC) string) (*Capture, error) {
	fd, err := listen(ifname)
	if err != nil {
		return nil, fmt.Errorf("capturing on %s: %w", ifname, err)
	}
	if name == nil {
		name = func(MAC) string { return "" }
	}
	c := &Capture{socket: os.NewFile(uintptr(fd), "capture on "+ifname), name: name, done: make(chan struct{}), more: make(chan struct{})}
	go c.read()
	return c, nil
}

// listen returns a packet socket that hears nothing but what the filter lets in,
// from the beginning.
func listen(ifname string) (fd int, err error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return -1, err
	}
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	prog, err := filter()
	if err != nil {
		return -1, err
	}
	err = errors.Join(
		os.NewSyscallError("SO_ATTACH_FILTER", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, prog)),
		os.NewSyscallError("SO_TIMESTAMPNS", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)),
		os.NewSyscallError("SO_RCVBUFFORCE", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer)),
		// A bridge keeps to itself what one port has for another, unless asked.
		os.NewSyscallError("PACKET_ADD_MEMBERSHIP", unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: int32(ifi.Index), Type: unix.PACKET_MR_PROMISC})),
	)
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(unix.ETH_P_ALL), Ifindex: ifi.Index}))
	}
	return fd, err
}

// filter lets in ARP, neighbour solicitations and neighbour advertisements.
func filter() (*unix.SockFprog, error) {
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherARP, SkipTrue: 6},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: etherIPv6, SkipTrue: 6},
		bpf.LoadAbsolute{Off: etherLen + 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: icmp6, SkipTrue: 4},
		bpf.LoadAbsolute{Off: etherLen + ip6Len, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: solicitation, SkipTrue: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: advertisement, SkipTrue: 1},
		bpf.RetConstant{Val: 2048},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil, err
	}
	prog := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		prog[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return &unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}, nil
}

func bigEndian(v uint16) uint16 { return v<<8 | v>>8 }

// read takes frames down until the read deadline is set.
func (c *Capture) read() {
	defer close(c.done)
	conn, err := c.socket.SyscallConn()
	if err != nil {
		c.fail(err)
		return
	}
	buf, control := make([]byte, 2048), make([]byte, 128)
	for {
		var again bool
		var rerr error
		err := conn.Read(func(fd uintptr) bool {
			again, rerr = c.receive(int(fd), buf, control)
			return !again
		})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err = errors.Join(err, rerr); err != nil {
			c.fail(err)
			return
		}
	}
}

// receive takes one frame down; again: there is none yet.
func (c *Capture) receive(fd int, buf, control []byte) (again bool, err error) {
	n, nc, _, _, err := unix.Recvmsg(fd, buf, control, 0)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return true, nil
	case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN):
		return false, nil // an interface that went down may come up again
	case err != nil:
		return false, os.NewSyscallError("recvmsg", err)
	}
	at, err := stamp(control[:nc])
	if err != nil {
		return false, err
	}
	if f, ok := Decode(buf[:n]); ok {
		f.Time, f.Member = at, c.name(f.MAC)
		c.add(f)
	}
	return false, nil
}

// stamp returns the kernel's time stamp.
func stamp(control []byte) (time.Time, error) {
	msgs, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading a frame's time stamp: %w", err)
	}
	for _, m := range msgs {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			ts := (*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
			return time.Unix(ts.Unix()), nil
		}
	}
	return time.Time{}, errors.New("a frame has no time stamp")
}

func (c *Capture) add(f Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames = append(c.frames, f)
	close(c.more)
	c.more = make(chan struct{})
}

func (c *Capture) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = errors.Join(c.err, err)
}

// Record returns what has been heard so far.
func (c *Capture) Record() Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.frames)
}

// Wait returns the first frame at or after a time that matches, as soon as there is
// one.
func (c *Capture) Wait(ctx context.Context, after time.Time, match func(Frame) bool) (Frame, error) {
	for seen := 0; ; {
		c.mu.Lock()
		fresh, more, err := c.frames[seen:], c.more, c.err
		c.mu.Unlock()
		seen += len(fresh)
		if f, ok := fresh.First(after, match); ok {
			return f, nil
		}
		if err != nil {
			return Frame{}, fmt.Errorf("waiting for a frame: %w", err)
		}
		select {
		case <-more:
		case <-c.done:
			return Frame{}, errors.New("waiting for a frame: the capture has ended")
		case <-ctx.Done():
			return Frame{}, fmt.Errorf("waiting for a frame: %w", context.Cause(ctx))
		}
	}
}

// Stop ends the capture and returns what was heard. It is an error if the kernel
// had no room for some of it: the record then shows nothing. A second call returns
// the same.
func (c *Capture) Stop() (Record, error) {
	c.stop.Do(c.end)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.frames, fmt.Errorf("capturing: %w", c.err)
	}
	return c.frames, nil
}

func (c *Capture) end() {
	c.socket.SetReadDeadline(time.Unix(0, 0))
	<-c.done
	var rerr error
	conn, err := c.socket.SyscallConn()
	if err == nil {
		err = conn.Control(func(fd uintptr) { rerr = c.rest(int(fd)) })
	}
	c.fail(errors.Join(err, rerr, c.socket.Close()))
}

// rest takes down what the kernel still has, and asks how much it had no room for.
func (c *Capture) rest(fd int) error {
	buf, control := make([]byte, 2048), make([]byte, 128)
	for {
		again, err := c.receive(fd, buf, control)
		if err != nil {
			return err
		}
		if again {
			break
		}
	}
	lost, err := drops(fd)
	if err == nil && lost > 0 {
		err = fmt.Errorf("%d frames were lost", lost)
	}
	return err
}

// drops returns how many frames the socket had no room for.
func drops(fd int) (uint32, error) {
	st, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, os.NewSyscallError("PACKET_STATISTICS", err)
	}
	return st.Drops, nil
}

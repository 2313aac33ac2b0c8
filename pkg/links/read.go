// SPDX-License-Identifier: Apache-2.0

package links

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// skipStats: counters are not asked for (RTEXT_FILTER_SKIP_STATS of
// linux/rtnetlink.h); some drivers take long to read theirs.
const skipStats = 1 << 3

// answerTime bounds the wait for an answer of the kernel's, in seconds.
const answerTime = 5

// tries is how often all is read when interfaces come and go meanwhile.
const tries = 3

// errGone: there is no such interface any more.
var errGone = errors.New("the interface is gone")

// A reader asks the kernel. Its socket lives for one round of questions.
type reader struct {
	sockets map[int]*nl.SocketHandle
	trouble func(error)
}

func newReader(trouble func(error)) (*reader, error) {
	s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("opening a netlink socket to read interfaces: %w", err)
	}
	// A kernel before 4.20 knows no strict checking; it answers with the
	// addresses of all interfaces where one is named, and we choose.
	_ = unix.SetsockoptInt(s.GetFd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	limit := &unix.Timeval{Sec: answerTime}
	if err := errors.Join(s.SetReceiveTimeout(limit), s.SetSendTimeout(limit)); err != nil {
		s.Close()
		return nil, fmt.Errorf("setting the time limits of a netlink socket: %w", err)
	}
	return &reader{sockets: map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: s}}, trouble: trouble}, nil
}

func (r *reader) close() { r.sockets[unix.NETLINK_ROUTE].Close() }

// ask sends one request and gives each the messages of the answer.
func (r *reader) ask(kind uint16, flags int, answer uint16, each func([]byte), body ...nl.NetlinkRequestData) error {
	req := nl.NewNetlinkRequest(int(kind), flags)
	req.Sockets = r.sockets
	for _, b := range body {
		req.AddData(b)
	}
	return req.ExecuteIter(unix.NETLINK_ROUTE, answer, func(m []byte) bool {
		each(m)
		return true
	})
}

// all reads every interface, by index.
func (r *reader) all() (map[int]Link, error) {
	for try := 1; ; try++ {
		links, err := r.allOnce()
		if !errors.Is(err, nl.ErrDumpInterrupted) || try == tries {
			return links, err
		}
	}
}

func (r *reader) allOnce() (map[int]Link, error) {
	var linkRows, addrRows [][]byte
	head := nl.NewIfInfomsg(unix.AF_UNSPEC)
	err := r.ask(unix.RTM_GETLINK, unix.NLM_F_DUMP, unix.RTM_NEWLINK, keep(&linkRows), head, nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStats)))
	if err != nil {
		return nil, fmt.Errorf("reading the interfaces: %w", err)
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		if err := r.ask(unix.RTM_GETADDR, unix.NLM_F_DUMP, unix.RTM_NEWADDR, keepFamily(&addrRows, family), nl.NewIfAddrmsg(family)); err != nil {
			return nil, fmt.Errorf("reading the addresses of the interfaces: %w", err)
		}
	}
	return assemble(linkRows, addrRows, r.trouble), nil
}

// assemble makes interfaces of the kernel's messages. One that cannot be read
// costs itself alone.
func assemble(linkRows, addrRows [][]byte, trouble func(error)) map[int]Link {
	links := make(map[int]Link, len(linkRows))
	for _, row := range linkRows {
		l, err := parseLink(row)
		if err != nil {
			trouble(err)
			continue
		}
		links[l.Index] = l
	}
	addrs := map[int][]address{}
	for _, row := range addrRows {
		if index, ok := indexOf(row); ok {
			if l, ok := links[index]; !ok || !l.resolves() {
				continue
			}
		}
		a, err := parseAddr(row)
		if err != nil {
			trouble(err)
			continue
		}
		addrs[a.index] = append(addrs[a.index], a)
	}
	for index, of := range addrs {
		l := links[index]
		l.setAddrs(of)
		links[index] = l
	}
	return links
}

// one reads an interface. The error is errGone where there is none.
func (r *reader) one(index int) (Link, error) {
	head := nl.NewIfInfomsg(unix.AF_UNSPEC)
	head.Index = int32(index)
	var rows [][]byte
	err := r.ask(unix.RTM_GETLINK, 0, unix.RTM_NEWLINK, keep(&rows), head, nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStats)))
	switch {
	case errors.Is(err, unix.ENODEV):
		return Link{}, errGone
	case err != nil:
		return Link{}, fmt.Errorf("reading interface %d: %w", index, err)
	case len(rows) != 1:
		return Link{}, fmt.Errorf("reading interface %d: the kernel sent %d messages, want 1", index, len(rows))
	}
	l, err := parseLink(rows[0])
	if err != nil || !l.resolves() {
		return l, err
	}
	addrs, err := r.addrs(l)
	if err != nil {
		return Link{}, err
	}
	l.setAddrs(addrs)
	return l, nil
}

// addrs reads the addresses of an interface.
func (r *reader) addrs(l Link) ([]address, error) {
	var out []address
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		var rows [][]byte
		head := nl.NewIfAddrmsg(family)
		head.Index = uint32(l.Index)
		err := r.ask(unix.RTM_GETADDR, unix.NLM_F_DUMP, unix.RTM_NEWADDR, keepFamily(&rows, family), head)
		if errors.Is(err, unix.ENODEV) {
			return nil, errGone
		}
		if err != nil {
			return nil, fmt.Errorf("reading the addresses of interface %s: %w", l.Name, err)
		}
		for _, row := range rows {
			if index, ok := indexOf(row); ok && index != l.Index {
				continue
			}
			a, err := parseAddr(row)
			if err != nil {
				return nil, fmt.Errorf("reading the addresses of interface %s: %w", l.Name, err)
			}
			out = append(out, a)
		}
	}
	return out, nil
}

func keep(rows *[][]byte) func([]byte) {
	return func(m []byte) { *rows = append(*rows, m) }
}

// keepFamily keeps the messages of one family: a kernel without IPv6 answers a
// question for IPv6 addresses with all that it has.
func keepFamily(rows *[][]byte, family int) func([]byte) {
	return func(m []byte) {
		if len(m) > 0 && int(m[0]) == family {
			*rows = append(*rows, m)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/vishvananda/netlink"

	"metallb.io/metallb-frr/e2e/wire"
)

var (
	// Free4 and Free6 are addresses of the nodes' network that no member of a lab
	// with fewer than 150 nodes has.
	Free4, Free6 = netip.MustParsePrefix("172.30.0.160/27"), netip.MustParsePrefix("fd00:30::f00:0/112")
	// Second4 and Second6 are a second network on the same switch. Nobody is in it
	// who was not put there.
	Second4, Second6 = netip.MustParsePrefix("172.30.1.0/24"), netip.MustParsePrefix("fd00:30:1::/64")
)

// The host numbers of those on the nodes' network that are no part of the cluster.
const (
	firstLANClient = 211
	firstStranger  = 231
	maxLANClients  = firstStranger - firstLANClient
	maxStrangers   = cpHost - firstStranger
)

func lanClientName(i int) string { return fmt.Sprintf("l%d", i+1) }
func strangerName(i int) string  { return fmt.Sprintf("x%d", i+1) }

// LANClient returns client i, counted from 0, of those on the nodes' own network. It
// reaches what is on that network and nothing else. Its name is l1 for the first.
func (l *Lab) LANClient(i int) *Client {
	return lanHost(lanClientName(i), firstLANClient+i)
}

func lanHost(name string, n int) *Client {
	ns := netNS{name}
	return &Client{ns.name, host(LAN4, n), host(LAN6, n), ns, port{ns, "eth0", lanBridge, n}}
}

// AddHost puts a machine on the nodes' network that is no part of the cluster and
// has, beside an address of its own, those given, which it answers for. It says
// nothing on its own. It is there until [Client.Remove]. Its name is x1 for the
// first.
func (l *Lab) AddHost(addrs ...netip.Prefix) (*Client, error) {
	for i := range maxStrangers {
		c := lanHost(strangerName(i), firstStranger+i)
		if c.ns.exists() {
			continue
		}
		err := plugHost(c.port)
		for _, a := range addrs {
			if err == nil {
				err = c.AddAddr(a)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("adding host %s: %w", c.Name, errors.Join(err, c.Remove()))
		}
		return c, nil
	}
	return nil, fmt.Errorf("adding a host: there are %d already", maxStrangers)
}

// Remove ends a host that [Lab.AddHost] made, as a power cut does. Its number is
// free again.
func (c *Client) Remove() error {
	if !strings.HasPrefix(c.Name, "x") {
		return fmt.Errorf("removing %s: it is a client of the lab's", c.Name)
	}
	if !c.ns.exists() {
		return nil
	}
	return errors.Join(c.port.unplug(), c.ns.remove())
}

// plugHost makes a namespace with one interface and no routes but its networks'.
func plugHost(p port) error {
	return errors.Join(p.ns.create(), hostSettings(p.ns), p.plug())
}

// Capture begins to take down the ARP and the neighbour discovery of the nodes'
// network, on all ports of its switch.
func (l *Lab) Capture() (c *wire.Capture, err error) {
	err = netNS{switchName}.do(func() error {
		c, err = wire.Listen(lanBridge, l.Member)
		return err
	})
	return c, err
}

// Member returns the name of the member whose interface has or had that MAC; it is
// empty where it is none's.
func (l *Lab) Member(m wire.MAC) string {
	if m[0] != macPrefix[0] || m[1] != macPrefix[1] || m[2] != macPrefix[2] {
		return ""
	}
	for _, r := range []struct {
		first, n int
		name     func(int) string
	}{
		{1, l.Spec.Routers, routerName},
		{firstHost, l.Spec.Nodes, nodeName},
		{firstLANClient, l.Spec.LANClients, lanClientName},
		{firstStranger, maxStrangers, strangerName},
		{cpHost, 1, func(int) string { return cpName }},
	} {
		if i := int(m[5]) - r.first; m[4] != clientsMAC && i >= 0 && i < r.n {
			return r.name(i)
		}
	}
	return ""
}

// Ask keeps asking everybody on the client's network for addresses, all in every
// pause, until it is stopped.
func (c *Client) Ask(pause time.Duration, addrs ...netip.Addr) (a *wire.Asker, err error) {
	err = c.ns.do(func() error {
		a, err = wire.Ask(c.port.ifname, c.Addr4, c.Addr6, pause, addrs...)
		return err
	})
	return a, err
}

// Send sends frames from the client, whatever is in them.
func (c *Client) Send(frames ...[]byte) error {
	return c.ns.do(func() error { return wire.Send(c.port.ifname, frames...) })
}

// MAC returns the present MAC of the client's interface.
func (c *Client) MAC() (wire.MAC, error) { return c.port.currentMAC() }

// MAC returns the present MAC of the node's first interface.
func (n *Node) MAC() (wire.MAC, error) { return n.lan.currentMAC() }

func (p port) currentMAC() (m wire.MAC, err error) {
	err = p.onMember(func(_ *netlink.Handle, l netlink.Link) error {
		m = wire.MAC(l.Attrs().HardwareAddr)
		return nil
	})
	return m, err
}

// AddAddr gives the client's interface another address; RemoveAddr takes it away.
func (c *Client) AddAddr(a netip.Prefix) error { return c.port.addAddr(a) }

// RemoveAddr undoes [Client.AddAddr].
func (c *Client) RemoveAddr(a netip.Prefix) error { return c.port.removeAddr(a) }

// AddAddr gives the node's first interface another address, until the node is next
// without power. Its kernel answers for it, as for its first one.
func (n *Node) AddAddr(a netip.Prefix) error { return n.lan.addAddr(a) }

// RemoveAddr undoes [Node.AddAddr].
func (n *Node) RemoveAddr(a netip.Prefix) error { return n.lan.removeAddr(a) }

// Second returns the addresses that the node would have in [Second4] and [Second6],
// for AddAddr.
func (n *Node) Second() [2]netip.Prefix { return n.lan.second() }

// Second returns the addresses that the client would have in [Second4] and
// [Second6], for AddAddr.
func (c *Client) Second() [2]netip.Prefix { return c.port.second() }

func (p port) second() (out [2]netip.Prefix) {
	for i, net := range [2]netip.Prefix{Second4, Second6} {
		out[i] = netip.PrefixFrom(host(net, p.host), net.Bits())
	}
	return out
}

var extraPort = regexp.MustCompile(`^eth[1-9]$`)

// AddPort gives the node another interface on the same network, called eth1 to
// eth9, with the addresses given and no others, until [Node.RemovePort] or until
// the node is next without power.
func (n *Node) AddPort(ifname string, addrs ...netip.Prefix) error {
	if !extraPort.MatchString(ifname) {
		return fmt.Errorf("adding %s to %s: the name can be eth1 to eth9", ifname, n.Name)
	}
	p := n.port(ifname)
	err := p.connect()
	for _, a := range addrs {
		if err == nil {
			err = p.addAddr(a)
		}
	}
	if err != nil {
		return fmt.Errorf("adding %s to %s: %w", ifname, n.Name, err)
	}
	return nil
}

// RemovePort undoes [Node.AddPort].
func (n *Node) RemovePort(ifname string) error { return n.port(ifname).unplug() }

// PortDown pulls the cable of one of the node's interfaces; PortUp plugs it back in.
func (n *Node) PortDown(ifname string) error { return n.port(ifname).linkDown() }

// PortUp undoes [Node.PortDown].
func (n *Node) PortUp(ifname string) error { return n.port(ifname).linkUp() }

func (n *Node) port(ifname string) port { return port{n.ns, ifname, lanBridge, n.lan.host} }

// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"time"
)

// A Client is a machine that is no part of the cluster: behind the routers, with
// default routes over all of them, or on the nodes' own network ([Lab.LANClient],
// [Lab.AddHost]).
type Client struct {
	Name         string
	Addr4, Addr6 netip.Addr
	ns           netNS
	port         port
}

// Client returns client i, counted from 0, of those behind the routers. The
// client's name is c1 for the first.
func (l *Lab) Client(i int) *Client {
	ns := netNS{clientName(i)}
	return &Client{
		ns.name, host(ClientNet4, firstHost+i), host(ClientNet6, firstHost+i), ns,
		port{ns, "eth0", clientBridge, firstHost + i},
	}
}

// Dial connects from the client to address, which holds a numeric address and
// port. TCP and UDP work as in [net.Dialer]. It suits http.Transport.
func (c *Client) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return dialIn(ctx, c.ns, network, address)
}

// Dial connects from the node's own network stack, like [Client.Dial].
func (n *Node) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return dialIn(ctx, n.ns, network, address)
}

// HTTP returns an HTTP client whose every request is a new connection from this
// client and takes at most timeout.
func (c *Client) HTTP(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:   timeout,
		Transport: &http.Transport{DialContext: c.Dial, DisableKeepAlives: true},
	}
}

// Exec runs a command in the client's network namespace and returns its output.
func (c *Client) Exec(ctx context.Context, name string, args ...string) (string, error) {
	return output(c.Command(ctx, name, args...))
}

// Command returns a command that will run in the client's network namespace.
func (c *Client) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	ns := []string{"--net=" + c.ns.path(), "--", name}
	return exec.CommandContext(ctx, "nsenter", append(ns, args...)...)
}

// dialIn connects from a network namespace. The socket is made on the calling
// goroutine's thread, since the address is numeric and of one family.
func dialIn(ctx context.Context, ns netNS, network, address string) (conn net.Conn, err error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("connecting from %s: %q is not a numeric address and port: %w", ns.name, address, err)
	}
	err = ns.do(func() error {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Command returns a command that will run on the named node, router or client.
func (l *Lab) Command(ctx context.Context, member, name string, args ...string) (*exec.Cmd, error) {
	for _, n := range l.Nodes() {
		if n.Name == member {
			return n.Command(ctx, name, args...)
		}
	}
	for _, r := range l.Routers() {
		if r.Name == member {
			return r.Command(ctx, name, args...)
		}
	}
	for i := range l.Spec.Clients {
		if c := l.Client(i); c.Name == member {
			return c.Command(ctx, name, args...), nil
		}
	}
	for i := range l.Spec.LANClients {
		if c := l.LANClient(i); c.Name == member {
			return c.Command(ctx, name, args...), nil
		}
	}
	return nil, fmt.Errorf("%s is not in the lab; it has n1 to n%d, tor1 to tor%d, c1 to c%d and l1 to l%d",
		member, l.Spec.Nodes, l.Spec.Routers, l.Spec.Clients, l.Spec.LANClients)
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"

	"metallb.io/metallb-frr/e2e/wire"
)

// l2Station is a machine on the bench's LAN: its place among the nodes, counted
// from 0, or another number above them.
type l2Station int

// The stations that are no nodes.
const (
	l2Client l2Station = 0xff00 + iota
	l2Flooder
)

func (n l2Station) name() string { return fmt.Sprintf("node-%03d", int(n)) }
func (n l2Station) port() string { return fmt.Sprintf("p%d", int(n)) }

func (n l2Station) mac() wire.MAC { return wire.MAC{2, 0, 0, 1, byte(n >> 8), byte(n)} }

// addr4 and addr6 are its own addresses; those of Services are in service4 and
// service6, on the same networks.
func (n l2Station) addr4() netip.Addr {
	return netip.AddrFrom4([4]byte{10, 80, byte(n >> 8), byte(n)}).Next()
}
func (n l2Station) addr6() netip.Addr {
	return netip.AddrFrom16([16]byte{0xfd, 0x80, 13: 1, 14: byte(n >> 8), 15: byte(n)}).Next()
}

var (
	l2Bits4, l2Bits6 = 16, 64
	service4         = netip.MustParsePrefix("10.80.128.0/18")
	service6         = netip.MustParsePrefix("fd80::2:0/112")
)

// manifest is the node and what its speaker has published.
func (n l2Station) manifest() string {
	m := n.mac()
	return fmt.Sprintf(`---
apiVersion: v1
kind: Node
metadata: {name: %[1]s}
status: {conditions: [{type: Ready, status: "True"}], addresses: [{type: InternalIP, address: %[3]s}]}
---
apiVersion: metallb.io/v1beta1
kind: ConfigurationState
metadata: {name: speaker-%[1]s}
status: {links: [{name: eth0, mac: '%[2]s', prefixes: ['fe80::ff:fe01:%[6]x/64', %[3]s/%[4]d, '%[5]s/64']}]}
`, n.name(), m, n.addr4(), l2Bits4, n.addr6(), uint16(m[4])<<8|uint16(m[5]))
}

const l2Announced = `---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: lan}
spec: {addresses: [10.80.128.0/18, 'fd80::2:0/112']}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: lan}
`

// l2Service is a Service that has addresses and an endpoint.
func l2Service(name string, addrs ...netip.Addr) string {
	var ingress []string
	for _, a := range addrs {
		ingress = append(ingress, "{ip: '"+a.String()+"'}")
	}
	return fmt.Sprintf(`---
apiVersion: v1
kind: Service
metadata: {name: %[1]s}
spec: {type: LoadBalancer, clusterIPs: [10.96.0.1]}
status: {loadBalancer: {ingress: [%[2]s]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s-a, namespace: default, labels: {kubernetes.io/service-name: %[1]s}}
endpoints: [{addresses: [10.244.0.1], nodeName: %[3]s}]
`, name, strings.Join(ingress, ", "), l2Station(0).name())
}

// l2Node is a node of the bench's: its namespace, which stays, and the process of
// its speaker, which comes and goes.
type l2Node struct {
	l2Station
	space   *space
	changed chan<- struct{} // holds at most one: something was said

	mu   sync.Mutex
	said speakerSays // the latest
	run  *l2Process
}

// l2Process is a speaker's process.
type l2Process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan struct{} // closed when nothing more is said
}

// newL2Node makes a node on the LAN whose Services' addresses are answered by
// whatever listens there.
func newL2Node(n l2Station, sw *space, changed chan<- struct{}) (*l2Node, error) {
	s, err := newL2Station(n, sw)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.accept(service4), s.accept(service6)); err != nil {
		s.close()
		return nil, err
	}
	return &l2Node{l2Station: n, space: s, changed: changed}, nil
}

// newL2Station makes a machine on the LAN.
func newL2Station(n l2Station, sw *space) (*space, error) {
	s, err := newSpace(n.name())
	if err != nil {
		return nil, err
	}
	err = s.plug("eth0", n.mac(), sw, n.port())
	if err == nil {
		err = s.address("eth0", netip.PrefixFrom(n.addr4(), l2Bits4), netip.PrefixFrom(n.addr6(), l2Bits6))
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// start starts the node's speaker.
func (n *l2Node) start(ctx context.Context, conf speakerConf) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", speakerPart)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := n.space.start(cmd); err != nil {
		return fmt.Errorf("starting the speaker of %s: %w", n.name(), err)
	}
	p := &l2Process{cmd, in, make(chan struct{})}
	n.mu.Lock()
	n.run, n.said = p, speakerSays{}
	n.mu.Unlock()
	go n.listen(p, out)
	return n.tell(conf)
}

// tell says something to the node's speaker.
func (n *l2Node) tell(what any) error {
	if err := json.NewEncoder(n.run.in).Encode(what); err != nil {
		return fmt.Errorf("telling the speaker of %s what to do: %w", n.name(), err)
	}
	return nil
}

// listen takes in what a speaker says.
func (n *l2Node) listen(p *l2Process, out io.Reader) {
	defer close(p.done)
	for dec := json.NewDecoder(out); ; {
		var s speakerSays
		if dec.Decode(&s) != nil {
			return
		}
		n.mu.Lock()
		if s.Stats == nil {
			s.Stats = n.said.Stats
		}
		n.said = s
		n.mu.Unlock()
		select {
		case n.changed <- struct{}{}:
		default:
		}
	}
}

func (n *l2Node) now() speakerSays {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.said
}

// kill ends the speaker's process as a power cut does.
func (n *l2Node) kill() {
	n.mu.Lock()
	p := n.run
	n.run = nil
	n.mu.Unlock()
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	_ = p.cmd.Wait()
	p.in.Close()
}

func (n *l2Node) close() {
	n.kill()
	n.space.close()
}

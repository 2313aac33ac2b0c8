// SPDX-License-Identifier: Apache-2.0

// Package lab brings up a real Kubernetes cluster and the network around it on
// one Linux machine: nodes with kubelet, containerd and kube-proxy, a control
// plane, top-of-rack routers running FRR, and clients behind the routers, each
// in Linux namespaces of its own.
//
//	         client network 172.31.0.0/24, fd00:31::/64
//	c1 ... ──┬──────────────┬──
//	       tor1           tor2            FRR, AS 65000
//	─────────┴──┬─────┬─────┴┬──────┬──
//	            n1    n2     n3     cp    172.30.0.0/24, fd00:30::/64
//
// Clients can also be on the nodes' own network, as in a network without routers
// ([Lab.LANClient]); [Lab.Capture] sees who answers there for which address.
//
// Every lab lives inside one outer set of mount, process and network
// namespaces. The first process in there is the lab's holder: when it ends, for
// whatever reason, the kernel ends every process, namespace and mount of the
// lab. Only directories remain: those of the lab's files, and empty cgroups,
// which are removed when the lab ends and again when the next one starts.
//
// A program that uses the package calls [Main] before anything else, because
// the package starts that same program again for the parts it plays inside the
// namespaces. Tests use
//
//	func TestMain(m *testing.M) { lab.Main(m.Run) }
//
// and then run, as a whole, inside namespaces of their own, where [Up] brings a
// lab up. A lab that should outlive the program is started with [Start]; later
// programs go inside with [RunIn] and take hold of it with [Open].
//
// There is no cluster DNS. Kernel settings that belong to the machine as a whole
// are left alone; the one module that may be loaded is br_netfilter.
//
// What may happen here: starting processes, making namespaces, links, mounts
// and cgroups, always inside the outer namespaces; writing below Spec.Dir and
// the image store beside it. What may not: changing the machine's own network,
// mounts or kernel settings, and knowing anything about the load balancer under
// test.
package lab

// SPDX-License-Identifier: Apache-2.0

// Package l2 makes this node answer for addresses in layer 2: ARP (RFC 826) and
// Neighbor Discovery (RFC 4861). It is a driver: it is given all addresses that
// the node can announce, whose they are by what the cluster says, and the links;
// it works out what changed, and deals with what others say on the network.
//
// An Engine holds a state for each address:
//
//	       not ours                   ours, and a speaker had it
//	   .--------------.  .------------------------------------------.
//	   v              |  |                                          v
//	+------+  ours, nobody +--------+   300 ms of silence       +-------+
//	| Idle |-- had it ---->| Asking |-------------------------->| Owner |
//	+------+               +--------+                           +-------+
//	   ^ ^                  |  ^ again                 3 misses  ^ |  | |
//	   | |     a stranger   |  | later                           | |  | |
//	   | |     has it       v  |                                 | |  | |
//	   | |              +---------+  a stranger goes on          | |  | |
//	   | |              | Foreign |<--- claiming it -------------|-'  | |
//	   | |              +---------+                              |    | |
//	   | |                                              +---------+   | |
//	   | |    a speaker before us claims it             | Yielded |<--' |
//	   | |                                              +---------+     |
//	   | |  another claims it, or 5 s    +-----------+    not ours      |
//	   | '-------------------------------| Releasing |<-----------------'
//	   '-- gone, or no link: from any    +-----------+
//
// Only Owner and Releasing answer. Owner also announces: at once, in a burst
// (Options.Burst), then each Options.Period, and with a new burst after a link
// came or its MAC changed. Over all addresses that is paced (Options.Rate, 10,000
// rounds a second, a twentieth of it at once); first rounds go first.
//
// # Taking over
//
// An address that a speaker holds, as it published or as was heard since the
// start, is taken over at once and without a question. The one who loses it by
// what the cluster says goes on answering until it hears the new one claim it, or
// hears twice from one before it, asked each 200 ms, that it has it; for 5 s at the
// longest. So there is no gap when the loser learns of it first. One that is no
// candidate any more, and what is gone from the set, is silent at once.
//
// An address that nobody holds is asked for three times, 100 ms apart, and claimed
// 100 ms after the third. If a station that is no speaker has it, it is not
// announced, and asked for again after 1 s, 2 s, ... 30 s.
//
// # Two owners
//
// Whoever owns an address and hears a speaker claim it compares their places in
// Announcement.Order. The lower one yields at once. The higher one defends: it
// announces at once and again after 0.2, 0.5 and 0.8 s. If the other one goes on, the
// next such defence follows after as long as the conflict has lasted by then, at
// least 25 and at most 200 ms: who takes an address from a speaker that learns of it
// a little later is contested for that moment, and soon has the last word again. The
// one that yielded asks the winner each 200 ms, unicast, and takes the address back
// after three questions without an answer, 0.6 to 0.8 s after the winner went; it
// stops when it is told that the address is not its own any more. Of the questions 5,000 a second are sent; where more addresses were
// yielded than fit in, a winner that is silent to all of them loses them all in
// the same time, but one address of many that a living winner dropped is noticed
// later, by one second for each 5,000.
//
// Nodes that were cut off from each other hear no first frames when the network
// heals, and the membership may be late. So a node that comes first for some of
// our addresses, and must be dead since they are ours, is asked by unicast each
// 400 ms for one of them, with those behind it; when it answers, it is asked for
// the others, at 4,000 a second. Who stops because of such an answer claims the
// address once more before it does, unless it has heard the other one claim it in the
// last 2 s: clients on its side of the cut know it for the owner, and the other one,
// which has been the owner all the time, defends what it hears claimed, and so tells
// them. What is not noticed that way, until one's next
// periodic announcement, are two owners that after such a cut also disagree on
// the order so that each thinks it comes first: that needs the API server out of
// reach too.
//
// Orders may differ for a while, or long where the API server is out of reach.
// Two that both defend end it: the one with the higher MAC gives in after 450 ms
// and two defences, the other one would after 750 ms. Two that both yielded find
// out by the other's question; the one with the lower MAC takes it back.
//
// # Strangers
//
// A MAC that no speaker published is a stranger's. Against a stranger an address
// that is ours is defended once in 10 s (RFC 5227 section 2.4); one that goes on
// for as long as above gets it. It may be a speaker whose MAC is not published
// yet, or that changed it: the two of them see it through like any two that
// disagree, and once the MAC is known as a speaker's the places count: the
// address is announced again at once, or left to that speaker and asked for each
// 200 ms. A node that never publishes its MAC stays a stranger to all others:
// they leave it what it holds on to, for up to 30 s after it went. A MAC that
// publishes late does no harm to a planned handover: who is told that the address
// is not its own any more stops at the first claim of anybody.
//
// Frames that come from one of this node's MACs, on any link, say nothing: they
// are our own, sent back by a bridge or heard by another link on the same wire.
//
// # Kernels that answer
//
// With kube-proxy in IPVS mode without strictARP the kernel of every node answers
// for every address of IPv4. Such an answer is no claim that anybody made unasked.
// A speaker's node that answers a question to all, comes after us, and does so
// again a second later, is reported (IPVSWithoutStrictARP), once; one address of
// ours is asked for each minute to find that out. A first claim does not wait for
// such answers, and from a node that was found out they do not make an owner
// yield; what it claims unasked does. A node whose speaker died on such a cluster
// keeps what was yielded to it: its kernel does answer.
package l2

// SPDX-License-Identifier: Apache-2.0

// Command web is the lab's test application. It answers every HTTP request
// with one line that names the pod, its node and the client address it sees:
//
//	pod=web-abc node=n1 client=172.31.0.11:40312
//
// It answers every datagram with such a line and, after it, what was in the
// datagram.
//
// With -linger it goes on serving for that long after it was told to stop, as a
// well-mannered application does while the word that it leaves is on its way; for
// the second half of that time /healthz answers 503, so that kube-proxy lets go of
// flows of datagrams too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	addr := flag.String("addr", ":8080", "TCP address for HTTP, and UDP address for the same line and an echo")
	linger := flag.Duration("linger", 0, "how long to go on serving after being told to stop")
	flag.Parse()
	host, err := os.Hostname()
	if err != nil {
		log.Fatalf("reading the host name: %v", err)
	}
	line := func(client string) string {
		return fmt.Sprintf("pod=%s node=%s client=%s\n", host, os.Getenv("NODE_NAME"), client)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	listen := net.ListenConfig{Control: largeBuffer}
	pc, err := listen.ListenPacket(ctx, "udp", *addr)
	if err != nil {
		log.Fatalf("listening on udp %s: %v", *addr, err)
	}
	go serveUDP(pc, line)
	srv := &http.Server{Addr: *addr, ReadHeaderTimeout: 10 * time.Second}
	var leaving atomic.Bool
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" && leaving.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, line(r.RemoteAddr))
	})
	go func() {
		<-ctx.Done()
		time.Sleep(*linger / 2)
		leaving.Store(true)
		time.Sleep(*linger / 2)
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		srv.Shutdown(end)
	}()
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatalf("serving HTTP on %s: %v", *addr, err)
	}
}

// largeBuffer gives a socket room for seconds of datagrams: on a busy machine this
// program may not run for longer than the usual 200 kB last, and what the kernel
// drops then would look as if the network had lost it. It takes root with
// CAP_NET_ADMIN; without, the room is the usual one.
func largeBuffer(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, 8<<20)
	})
}

// serveUDP answers each datagram with the line for its sender and its own text.
func serveUDP(pc net.PacketConn, line func(string) string) {
	buf := make([]byte, 2048)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			log.Fatalf("reading udp: %v", err)
		}
		// A lost answer is the asker's to notice.
		_, _ = pc.WriteTo(append([]byte(line(from.String())), buf[:n]...), from)
	}
}

package integration

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// way is a direction through a faultProxy.
type way int

const (
	up   way = iota // from vcomd to the access server
	down            // from the access server to vcomd
)

// passage says how bytes pass.
type passage int

const (
	passesAtOnce   passage = iota
	passesLate             // each piece waits
	passesTrickled         // one byte at a time, each in a segment of its own
	passesNotAtAll         // nothing is read: the sender's window closes, and opens again
)

const (
	lateBy    = 5 * time.Millisecond  // a piece, with passesLate
	trickleBy = 50 * time.Microsecond // a byte, with passesTrickled
	lookAgain = 50 * time.Millisecond // at how a connection is to end
)

// faultProxy stands between vcomd and an access server, breaks the connection in
// each way in which a network can, and records what it took and what it passed
// on.
//
// With the end of a connection, what has been acknowledged to vcomd by TCP is in
// the record, also if it was not passed on; and what was passed on has arrived at
// the server.
type faultProxy struct {
	t      *testing.T
	addr   string // for vcomd
	target string

	mu       sync.Mutex
	wake     chan struct{} // closed and replaced when something of this changes
	listener *net.TCPListener
	how      [2]passage
	silent   bool // packets from vcomd vanish: connections and tries to connect hang
	noAcks   bool // COM-PORT messages of the server vanish
	endAfter int  // new connections are reset after so many bytes down; 0: they are not
	closed   bool
	links    map[*proxyLink]struct{}
	records  []*proxyRecord

	running sync.WaitGroup
}

// proxyRecord is what one connection carried, as on the wire.
type proxyRecord struct {
	taken, passed [2][]byte
	// unheard is how many of the bytes passed down vcomd's system had not
	// acknowledged when the connection was reset.
	unheard int
}

// proxyLink is one connection through the proxy. What can change is under the
// proxy's lock.
type proxyLink struct {
	proxy          *faultProxy
	record         *proxyRecord
	client, server *net.TCPConn
	filter         splitter // of what goes down
	endAfter       int
	end            ending
	passedDown     chan struct{} // closed when nothing more is passed down
}

// ending says how a connection ends for vcomd; a later one takes the place of an
// earlier one.
type ending int

const (
	goesOn    ending = iota
	isClosed         // with FIN
	isSilent         // without a word: vcomd's packets vanish
	isAborted        // with RST
)

// newFaultProxy puts a proxy in front of the access server at target.
func newFaultProxy(t *testing.T, target string) *faultProxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &faultProxy{
		t: t, addr: ln.Addr().String(), target: target,
		wake: make(chan struct{}), links: make(map[*proxyLink]struct{}),
	}
	p.listen(ln.(*net.TCPListener))
	t.Cleanup(func() {
		p.change(func() {
			p.closed = true
			p.silent = false
			if p.listener != nil {
				_ = p.listener.Close()
			}
			for l := range p.links {
				l.endLocked(isAborted)
			}
		})
		p.running.Wait()
	})
	return p
}

// change changes what the proxy does.
func (p *faultProxy) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.wake)
	p.wake = make(chan struct{})
}

func (p *faultProxy) listen(ln *net.TCPListener) {
	p.change(func() { p.listener = ln })
	p.running.Go(func() {
		for {
			conn, err := ln.AcceptTCP()
			if err != nil {
				return
			}
			p.running.Go(func() { p.serve(conn) })
		}
	})
}

// refuse has connections refused, as by a machine whose server is not running,
// and resets the one that there is.
func (p *faultProxy) refuse() {
	p.change(func() {
		if p.listener != nil {
			_ = p.listener.Close()
			p.listener = nil
		}
		for l := range p.links {
			l.endLocked(isAborted)
		}
	})
}

// admit accepts connections again after refuse.
func (p *faultProxy) admit() {
	p.t.Helper()
	var ln net.Listener
	eventually(p.t, "the proxy has its port back", func() (ok bool) {
		var err error
		ln, err = net.Listen("tcp", p.addr)
		return err == nil
	})
	p.listen(ln.(*net.TCPListener))
}

// cut ends the connection in good order, with FIN both ways.
func (p *faultProxy) cut() { p.end(isClosed) }

// reset ends the connection with RST.
func (p *faultProxy) reset() { p.end(isAborted) }

// abandon has the connection die without a word, as with a server that loses its
// power: vcomd's packets vanish for good. New connections are made.
func (p *faultProxy) abandon() { p.end(isSilent) }

// bury ends the connections that were abandoned: vcomd has ended, too.
func (p *faultProxy) bury() {
	p.change(func() {
		for l := range p.links {
			if l.end == isSilent {
				l.endLocked(isAborted)
			}
		}
	})
}

func (p *faultProxy) end(how ending) {
	p.change(func() {
		for l := range p.links {
			l.endLocked(how)
		}
	})
}

// silence has all packets from vcomd vanish, or come through again: TCP then
// repairs what was lost.
func (p *faultProxy) silence(on bool) {
	p.change(func() {
		p.silent = on
		deaf(p.listener, on)
		for l := range p.links {
			if l.end != isSilent {
				deaf(l.client, on)
			}
		}
	})
}

// pass says how bytes pass in one way.
func (p *faultProxy) pass(w way, how passage) { p.change(func() { p.how[w] = how }) }

// dropAcks takes all COM-PORT messages out of what the server sends, or does not.
func (p *faultProxy) dropAcks(on bool) { p.change(func() { p.noAcks = on }) }

// endNewAfter resets new connections after n bytes of the server's; 0: it does
// not.
func (p *faultProxy) endNewAfter(n int) { p.change(func() { p.endAfter = n }) }

// connections counts the connections made so far.
func (p *faultProxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.records)
}

// data joins what the connections carried, Telnet's own bytes aside.
func (p *faultProxy) data(of func(*proxyRecord) []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	parts := make([][]byte, 0, len(p.records))
	for _, r := range p.records {
		parts = append(parts, dataOf(of(r)))
	}
	return bytes.Join(parts, nil)
}

// serve carries one connection.
func (p *faultProxy) serve(client *net.TCPConn) {
	defer client.Close()
	var d net.Dialer
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := d.DialContext(ctx, "tcp", p.target)
	if err != nil {
		_ = client.SetLinger(0)
		return
	}
	server := conn.(*net.TCPConn)
	defer server.Close()
	l := &proxyLink{proxy: p, client: client, server: server, record: &proxyRecord{}, passedDown: make(chan struct{})}
	open := false
	p.change(func() {
		if open = !p.closed; !open {
			return
		}
		l.endAfter = p.endAfter
		p.links[l] = struct{}{}
		p.records = append(p.records, l.record)
		if p.silent {
			deaf(client, true)
		}
	})
	if !open {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { l.carry(up, client, server) })
	both.Go(func() { l.carry(down, server, client) })
	both.Wait()
	p.change(func() { delete(p.links, l) })
}

// carry moves bytes one way until the connection is over, and then takes the
// rest.
func (l *proxyLink) carry(w way, from, to *net.TCPConn) {
	buf := make([]byte, 16<<10)
	for {
		if _, passes := l.await(w); !passes {
			break
		}
		n, err := from.Read(buf)
		l.take(w, buf[:n])
		how, passes := l.await(w)
		if !passes {
			break
		}
		if n > 0 && !l.forward(w, to, buf[:n], how) || err != nil {
			l.proxy.change(func() { l.endLocked(isClosed) })
			break
		}
	}
	if w == up {
		l.endUp()
		return
	}
	close(l.passedDown)
	// The server has all that was passed on when it has ended too. What it still
	// sends goes nowhere.
	_ = from.SetReadDeadline(time.Now().Add(patience))
	for {
		n, err := from.Read(buf)
		l.take(w, buf[:n])
		if err != nil {
			return
		}
	}
}

// endUp takes what vcomd still sends, until both sides have ended.
func (l *proxyLink) endUp() {
	p := l.proxy
	buf := make([]byte, 16<<10)
	for {
		p.mu.Lock()
		end, silent, wake := l.end, p.silent, p.wake
		p.mu.Unlock()
		switch {
		case end == isAborted:
			l.abort()
			return
		case end == isSilent || silent:
			<-wake // nothing comes, and the socket stays for vcomd not to hear of its end
			continue
		}
		_ = l.client.SetReadDeadline(time.Now().Add(lookAgain))
		n, err := l.client.Read(buf)
		l.take(up, buf[:n])
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
	}
}

// abort ends the connection with RST. Before that it has the kernel acknowledge
// nothing more, so that all that was acknowledged is in the record.
func (l *proxyLink) abort() {
	deaf(l.client, true)
	<-l.passedDown
	raw, err := l.client.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		buf := make([]byte, 16<<10)
		for {
			n, err := unix.Read(int(fd), buf)
			if n <= 0 || err != nil {
				break
			}
			l.take(up, buf[:n])
		}
		l.record.unheard, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ)
	})
	_ = l.client.SetLinger(0) // a close is then a reset
	_ = l.client.Close()
}

// await waits while bytes do not pass. It reports false when none ever will.
func (l *proxyLink) await(w way) (how passage, passes bool) {
	p := l.proxy
	for {
		p.mu.Lock()
		how, over, wake := p.how[w], l.end != goesOn, p.wake
		held := how == passesNotAtAll || p.silent
		p.mu.Unlock()
		if over {
			return how, false
		}
		if !held {
			return how, true
		}
		<-wake
	}
}

func (l *proxyLink) take(w way, b []byte) {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	l.record.taken[w] = append(l.record.taken[w], b...)
}

// forward passes a piece on. It reports false when the connection is over.
func (l *proxyLink) forward(w way, to *net.TCPConn, b []byte, how passage) bool {
	p := l.proxy
	if w == down {
		p.mu.Lock()
		noAcks := p.noAcks
		p.mu.Unlock()
		b = l.filter.without(b, noAcks)
	}
	step := len(b)
	switch how {
	case passesTrickled:
		step = 1
	case passesLate:
		time.Sleep(lateBy) // the fault itself, not a wait for something
	case passesAtOnce, passesNotAtAll:
	}
	for len(b) > 0 {
		n, err := to.Write(b[:min(step, len(b))])
		p.mu.Lock()
		l.record.passed[w] = append(l.record.passed[w], b[:n]...)
		sent, over := len(l.record.passed[w]), l.end != goesOn
		p.mu.Unlock()
		if w == down && l.endAfter > 0 && sent >= l.endAfter {
			p.change(func() { l.endLocked(isAborted) })
			return false
		}
		if err != nil || over {
			return false
		}
		if b = b[n:]; step == 1 && len(b) > 0 {
			time.Sleep(trickleBy)
			if how, passes := l.await(w); !passes {
				return false
			} else if how != passesTrickled {
				step = len(b)
			}
		}
	}
	return true
}

// endLocked passes nothing on any more. The server is told in good order, so that
// what was passed on arrives.
func (l *proxyLink) endLocked(how ending) {
	if how <= l.end {
		return
	}
	l.end = how
	switch how {
	case isClosed:
		_ = l.client.CloseWrite()
	case isSilent:
		deaf(l.client, true)
	case isAborted, goesOn:
	}
	_ = l.server.CloseWrite()
	// Both ways may wait for bytes or for room.
	_ = l.client.SetDeadline(time.Now())
	_ = l.server.SetDeadline(time.Now())
}

// deaf has the kernel drop each packet that comes for a socket before TCP sees
// it (no acknowledgement, no answer to a probe), or take them again.
func deaf(socket syscall.Conn, on bool) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	// Of each packet no byte is kept (socket(7), SO_ATTACH_FILTER).
	nothing := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
	_ = raw.Control(func(fd uintptr) {
		if on {
			_ = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
				&unix.SockFprog{Len: 1, Filter: &nothing})
			return
		}
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	})
}

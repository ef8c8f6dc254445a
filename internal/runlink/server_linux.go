package runlink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/ioctl"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/socket"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// Bounds of a Server.
const (
	maxSupervisors = 1024
	maxWaiting     = 4096 // answers that a supervisor does not read
	helloTimeout   = 5 * time.Second
	acceptPause    = 100 * time.Millisecond // after a failure
)

// Port is a port as a Server needs it; *port.Port is one. Its methods are for the
// loop.
type Port interface {
	Names() []string
	UART() port.UART
	Look()
	Attach()
	Detach()
	SetTermios(t unix.Termios) error
	DriveLines(dtr, rts comport.Control) error
	SetBreak(on bool) error
	SendBreak(d time.Duration, done func(error)) (cancel func())
	WhenSent(done func()) (cancel func())
	WhenRoom(done func()) (cancel func())
	Flush(input, output bool) error
}

// Server serves the supervisors of one port's programs. Use NewServer.
type Server struct {
	port   Port
	post   func(func())
	hangup bool
	permit func(socket.Peer) bool
	serial serial // loop only: what programs have made of it

	mu      sync.Mutex
	clients map[*supervisor]struct{}
	pending bool // a state is about to be sent
}

// NewServer returns a Server for p, which lives on the loop that post posts to.
// hangup is its policy for a lost connection. permit says who may connect, and is
// told of everybody who does.
func NewServer(p Port, post func(func()), hangup bool, permit func(socket.Peer) bool) *Server {
	return &Server{port: p, post: post, hangup: hangup, permit: permit, serial: fromSerial(pristine), clients: make(map[*supervisor]struct{})}
}

// Serve serves ln until ctx ends, and closes it. The error says that somebody else has.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() { _ = ln.Close() }() // and wait until it is: the socket is removed then
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	for {
		conn, err := ln.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return nil
		}
		switch {
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept a supervisor: %w", err)
		case err != nil:
			// Most often too many open files, which passes.
			pause := time.NewTimer(acceptPause)
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
			pause.Stop()
			continue
		}
		wg.Go(func() { s.serve(ctx, conn) })
	}
}

// Changed sends the port's state to all supervisors, soon. It is for the loop.
func (s *Server) Changed() {
	s.mu.Lock()
	due := !s.pending && len(s.clients) > 0
	s.pending = s.pending || due
	s.mu.Unlock()
	if due {
		s.post(func() {
			if s.due() { // an answer may have brought it along
				s.tell()
			}
		})
	}
}

func (s *Server) due() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending
}

// tell sends the state. Many changes before it make one message.
func (s *Server) tell() {
	packet := encode(answer{Kind: kindState, State: s.state()})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = false
	for c := range s.clients {
		c.send(packet)
	}
}

func (s *Server) state() state {
	u := s.port.UART()
	st := state{Settings: fromTermios(u.Termios), OutQueue: uint32(u.OutQueue), Hangups: u.Hangups, Serial: s.serial}
	copy(st.Path[:len(st.Path)-1], u.Path)
	if u.Open {
		st.Open = 1
	}
	for _, l := range []struct {
		is   bool
		line ioctl.Lines
	}{
		{u.DTR, ioctl.LineDTR},
		{u.RTS, ioctl.LineRTS},
		{u.Modem&comport.ModemCTS != 0, ioctl.LineCTS},
		{u.Modem&comport.ModemDSR != 0, ioctl.LineDSR},
		{u.Modem&comport.ModemDCD != 0, ioctl.LineCD},
		{u.Modem&comport.ModemRI != 0, ioctl.LineRNG},
	} {
		if l.is {
			st.Lines |= uint32(l.line)
		}
	}
	c := u.Counts
	st.Counts = [...]uint32{c.CTS, c.DSR, c.RNG, c.DCD, c.RX, c.TX, c.Frame, c.Overrun, c.Parity, c.Brk, c.BufOverrun}
	return st
}

// supervisor is one connection.
type supervisor struct {
	conn net.Conn
	out  chan []byte
	// Loop only: what can be cancelled.
	running map[uint32]func()
}

// send queues a packet. A supervisor that does not read is cut off: it connects
// again.
func (c *supervisor) send(packet []byte) {
	select {
	case c.out <- packet:
	default:
		_ = c.conn.Close()
	}
}

func (s *Server) serve(ctx context.Context, conn net.Conn) {
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if !s.permits(conn) || s.welcome(conn) != nil {
		return
	}
	c := &supervisor{conn: conn, out: make(chan []byte, maxWaiting), running: make(map[uint32]func())}
	if !s.add(c) {
		return
	}
	s.post(func() {
		s.port.Attach()
		c.send(encode(answer{Kind: kindState, State: s.state()}))
	})
	written := make(chan struct{})
	go func() {
		defer close(written)
		for packet := range c.out {
			if _, err := conn.Write(packet); err != nil {
				_ = conn.Close() // the reader ends, and out is closed
			}
		}
	}()
	buf := make([]byte, maxMessage)
	for {
		n, err := conn.Read(buf)
		var r request
		if err != nil || decode(buf[:n], &r) != nil {
			break
		}
		s.post(func() { s.do(c, r) })
	}
	// On the loop, after all that was asked: then nothing more is sent to out.
	done := make(chan struct{})
	s.post(func() {
		defer close(done)
		for _, cancel := range c.running {
			cancel()
		}
		c.running = nil
		s.port.Detach()
		s.mu.Lock()
		delete(s.clients, c)
		s.mu.Unlock()
		close(c.out)
	})
	<-done
	<-written
}

// permits asks whether the peer may be here.
func (s *Server) permits(conn net.Conn) bool {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return false
	}
	peer, err := socket.PeerOf(unixConn)
	return err == nil && s.permit(peer)
}

var errRefused = errors.New("refused")

// welcome reads the first message and answers it.
func (s *Server) welcome(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(helloTimeout)); err != nil {
		return err
	}
	buf := make([]byte, maxMessage)
	n, err := conn.Read(buf)
	if err != nil {
		return err
	}
	w := welcome{Magic: magic, Version: version}
	if s.hangup {
		w.Hangup = 1
	}
	var h hello
	if decode(buf[:n], &h) != nil || h.Magic != magic || h.Version != version {
		w.Refused = refusedVersion
	} else if names, tty := s.names(); slices.Contains(names, text(h.Name[:])) {
		w.Paths = paths(slices.DeleteFunc(names, func(name string) bool { return name == tty }))
	} else {
		w.Refused = refusedName
	}
	if _, err := conn.Write(encode(w)); err != nil {
		return err
	}
	if w.Refused != 0 {
		return errRefused
	}
	return conn.SetDeadline(time.Time{})
}

// names are those that the port goes by, its tty's path among them.
func (s *Server) names() (all []string, tty string) {
	found := make(chan struct{})
	s.post(func() {
		defer close(found)
		all, tty = s.port.Names(), s.port.UART().Path
	})
	<-found
	return all, tty
}

// paths are those among a port's names.
func paths(names []string) (field [maxPaths]byte) {
	at := 0
	for _, name := range names {
		if !filepath.IsAbs(name) {
			continue
		}
		if at+len(name)+1 > len(field) {
			return [maxPaths]byte{} // not a part of them
		}
		at += copy(field[at:], name) + 1
	}
	return field
}

func (s *Server) add(c *supervisor) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.clients) >= maxSupervisors {
		return false
	}
	s.clients[c] = struct{}{}
	return true
}

// do carries out a request, on the loop.
func (s *Server) do(c *supervisor, r request) {
	if c.running == nil {
		return
	}
	reply := func(err error) {
		delete(c.running, r.ID)
		if c.running != nil {
			// The state first: what a program has set is what it reads next.
			s.tell()
			c.send(encode(answer{Kind: kindReply, ID: r.ID, Errno: errnoOf(err)}))
		}
	}
	// What blocks is put down first: it may be done at once.
	start := func(begin func(done func(error)) (cancel func())) {
		ended := false
		cancel := begin(func(err error) {
			ended = true
			reply(err)
		})
		if !ended {
			c.running[r.ID] = cancel
		}
	}
	// A program waits, and does not fail, when more waits for the access server
	// already than there is room for. leaves has it wait until what it asked for has left.
	try := func(do func() error, leaves bool) {
		switch err := do(); {
		case errors.Is(err, port.ErrBusy):
			start(func(done func(error)) func() {
				return s.port.WhenRoom(func() { done(do()) })
			})
		case err == nil && leaves:
			// A break may wait for characters before it that the remote UART has not sent
			// (settle): the time until its end begins now.
			start(func(done func(error)) func() {
				return s.port.WhenRoom(func() { done(nil) })
			})
		default:
			reply(err)
		}
	}
	switch r.Op {
	case opSet:
		try(func() error { return s.port.SetTermios(r.Settings.termios()) }, false)
	case opLines:
		try(func() error {
			return s.port.DriveLines(
				driven(r, ioctl.LineDTR, comport.ControlDTROn, comport.ControlDTROff),
				driven(r, ioctl.LineRTS, comport.ControlRTSOn, comport.ControlRTSOff))
		}, false)
	case opBreak:
		try(func() error { return s.port.SetBreak(r.A != 0) }, r.A != 0)
	case opSendBreak:
		start(func(done func(error)) func() { return s.port.SendBreak(time.Duration(r.Time), done) })
	case opDrain:
		start(func(done func(error)) func() { return s.port.WhenSent(func() { done(nil) }) })
	case opFlush:
		reply(s.port.Flush(r.A&1 != 0, r.A&2 != 0))
	case opSerial:
		s.serial = r.Serial
		reply(nil)
	case opLook:
		s.port.Look()
		reply(nil)
	case opCancel:
		if cancel := c.running[r.A]; cancel != nil {
			delete(c.running, r.A)
			cancel()
		}
	default:
		reply(ioctl.EINVAL)
	}
}

// driven is what becomes of a line.
func driven(r request, line ioctl.Lines, on, off comport.Control) comport.Control {
	switch {
	case r.A&uint32(line) != 0:
		return on
	case r.B&uint32(line) != 0:
		return off
	default:
		return 0
	}
}

func errnoOf(err error) uint32 {
	var e ioctl.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return uint32(e)
	case errors.Is(err, port.ErrBusy), errors.Is(err, port.ErrSettings):
		return uint32(ioctl.EBUSY)
	default:
		return uint32(ioctl.EIO)
	}
}
